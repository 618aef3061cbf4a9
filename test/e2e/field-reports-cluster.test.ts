/** What was reported of other clusters, and what the cluster itself does in them: slow, changed all the time, or out of reach. */
import { AdmissionregistrationV1Api, KubeConfig } from '@kubernetes/client-node';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { startWebhookServer } from '../activities/webhook-server';
import { tagByHand } from '../support/by-hand';
import { kubeApi } from '../support/kube';
import { askForRotation, control, ended, makeCluster, people, rotateBody, until } from '../support/stack';

const { requester, approver1 } = people();

describe('a cluster', () => {
  const NAME = 'reported';
  let cluster: SandboxClusterFacts;

  beforeAll(async () => {
    cluster = await makeCluster(NAME, { count: 4 });
  });
  afterEach(() => control().clearFault('unreachable-api-server'));

  it('whose API server the worker cannot reach is waited for, and named', async () => {
    await control().setFault('unreachable-api-server', { path: `/managedClusters/${NAME}` });
    const { operation } = await requester.create(rotateBody(cluster.resourceId, { whenBusy: 'wait' }), randomUUID());
    const waits = await until(
      requester,
      operation.id,
      ({ waitingFor }) => waitingFor?.includes('API server at') ?? false,
    );
    expect(waits.waitingFor).toMatch(/The API server at https:\/\/127\.0\.0\.1:9 gave no usable answer \([A-Z_]+\)/);
    expect(waits.offers).toContain('cancel');
    await requester.cancel(operation.id);
    expect(await ended(requester, operation.id)).toMatchObject({ status: 'Canceled' });
  });

  it('where a webhook keeps each new Secret longer than Temporal waits for a heartbeat is planned for all the same', async () => {
    const config = new KubeConfig();
    config.loadFromFile(cluster.kubeconfig);
    const admission = config.makeApiClient(AdmissionregistrationV1Api);
    const name = 'down.example.com';
    let asked = 0;
    const webhook = await startWebhookServer(() => void asked++);
    const rules = [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['secrets'] }];
    const slow = { failurePolicy: 'Ignore', timeoutSeconds: 20, rules };
    try {
      const body = webhook.configuration(name, slow) as Parameters<
        typeof admission.createValidatingWebhookConfiguration
      >[0]['body'];
      await admission.createValidatingWebhookConfiguration({ body });
      const { core } = kubeApi(cluster);
      for (let number = 0; asked === 0; number++) {
        const metadata = { name: `probe-${number}` };
        await core.createNamespacedSecret({ namespace: 'default', body: { metadata } });
        await core.deleteNamespacedSecret({ namespace: 'default', name: metadata.name });
      }
      const asking = await askForRotation(requester, cluster.resourceId);
      expect(asking.plan?.steps.map(({ id }) => id)).toContain('rotate.rewrite');
      await requester.cancel(asking.id);
      await ended(requester, asking.id);
    } finally {
      await admission.deleteValidatingWebhookConfiguration({ name });
      await webhook.close();
    }
  });

  it('whose tags are changed again and again is proven again once, with one more approval and no more', async () => {
    const patchTags = (owner: string): Promise<void> => tagByHand(cluster, { owner });
    const first = await askForRotation(requester, cluster.resourceId);
    await approver1.approve(first.id, first.plan?.digest ?? '');
    expect(await ended(requester, first.id)).toMatchObject({ status: 'Succeeded', planRevision: 1 });

    const asked = await askForRotation(requester, cluster.resourceId);
    expect(asked.plan?.steps.map(({ id }) => id)).not.toContain('current.prove');
    await patchTags('a');
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    const again = await until(
      requester,
      asked.id,
      ({ planRevision, offers }) => planRevision === 2 && offers.includes('approve'),
    );
    expect(again.plan?.warnings.map(({ code }) => code)).toContain('ClusterChangedSinceProof');
    expect(again.plan?.steps.map(({ id }) => id)).toContain('current.prove');
    await patchTags('b');
    await approver1.approve(again.id, again.plan?.digest ?? '');
    expect(await ended(requester, again.id)).toMatchObject({ status: 'Succeeded', planRevision: 2 });
  });
});

describe('another cluster', () => {
  it('with nodes that another client than AKS added is planned for with a warning, which the digest does not cover', async () => {
    // Its own: a worker that has been in a cluster keeps the way into it.
    const cluster = await makeCluster('reported-nodes', { count: 1 });
    const { core } = kubeApi(cluster);
    const names = ['one', 'two', 'three'];
    for (const name of names) {
      const metadata = { name: `nodepool1-${name}`, labels: { agentpool: 'nodepool1' } };
      await core.createNode({ body: { metadata } });
    }
    const asking = await askForRotation(requester, cluster.resourceId);
    expect(asking.plan?.warnings).toContainEqual({
      code: 'NodesDifferFromPools',
      detail: expect.stringContaining('nodepool1 has 3 node(s) and a count of 1'),
      volatile: true,
    });
    await requester.cancel(asking.id);
    await ended(requester, asking.id);
  });
});
