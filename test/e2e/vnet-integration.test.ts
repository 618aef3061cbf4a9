/** API Server VNet Integration, turned on by an operation that needs it, on the real parts: also when workers die, and when it is canceled. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { OperationAnswer } from '../../cli/api-client';
import { isFinal } from '../../domain/operation';
import { evidenceOf } from '../support/evidence';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { eventually } from '../sandbox/cluster-support';
import { addWebhookByHand, letApproveByHand } from '../support/by-hand';
import { startDirectedService, type DirectedService } from '../support/directed-service';
import { kubeApi } from '../support/kube';
import { request } from '../support/refusals';
import { control, ended, makeCluster, people, testStack, until, vaultNameOf } from '../support/stack';

const SECRETS = 20;
/** A worker that dies is noticed after four seconds, four times. */
const LIMIT_IN_MS = 900_000;
const STEPS = ['vnet.enable-integration', 'vnet.stop-cluster', 'vnet.start-cluster', 'vnet.await-api-servers'];
const Cluster = z.object({
  properties: z.object({
    powerState: z.object({ code: z.string() }),
    provisioningState: z.string(),
    apiServerAccessProfile: z.object({ enableVnetIntegration: z.boolean(), subnetId: z.string() }).optional(),
  }),
});

describe('a cluster without API Server VNet Integration', () => {
  let service: DirectedService;
  let cluster: SandboxClusterFacts;
  let canceled: SandboxClusterFacts;
  beforeAll(async () => {
    const make = async (name: string, count: number): Promise<SandboxClusterFacts> => {
      const made = await makeCluster(name, { count }, { kms: false, vaultPermissions: 'rbac' });
      await letApproveByHand(made, vaultNameOf(name));
      return made;
    };
    [service, cluster, canceled] = await Promise.all([
      startDirectedService('vnet'),
      make('vnet-crashes', SECRETS),
      make('vnet-canceled', 1),
    ]);
  }, LIMIT_IN_MS);
  afterAll(() => service.stop());

  const subnet = (): string =>
    `/subscriptions/${testStack().sandbox.subscriptionId}/resourceGroups/keyturn/providers/Microsoft.Network/virtualNetworks/net/subnets/api`;
  const ask = async (of: SandboxClusterFacts, parameters: Record<string, unknown>): Promise<OperationAnswer> => {
    const { requester } = people(service.apiUrl);
    const body = {
      kind: 'enable-kms',
      cluster: of.resourceId,
      parameters: { keyId: of.keyId, vaultAccess: 'Private', ...parameters },
      change: { number: 'CHG-VNET' },
    };
    const { operation } = await requester.create(body, randomUUID());
    return await until(requester, operation.id, ({ offers, status }) => offers.includes('approve') || isFinal(status));
  };
  /** Asks for it with the integration, and has both gates approved. */
  const begin = async (of: SandboxClusterFacts): Promise<OperationAnswer> => {
    const { requester, approver1, approver2 } = people(service.apiUrl);
    const asked = await ask(of, { enableVnetIntegration: true, apiServerSubnetId: subnet() });
    const digest = asked.plan?.digest ?? '';
    await approver1.approve(asked.id, digest);
    await until(requester, asked.id, ({ waitingFor }) => waitingFor?.includes('approve-vnet-integration') ?? false);
    await approver2.approve(asked.id, digest, 'approve-vnet-integration');
    return asked;
  };
  const inAzure = async ({ resourceId }: SandboxClusterFacts): Promise<z.infer<typeof Cluster>['properties']> =>
    Cluster.parse(await request('GET', resourceId)).properties;
  const accepted = async ({ resourceId }: SandboxClusterFacts, method: string, action = ''): Promise<number> =>
    (await control().journal()).filter(
      (one) =>
        one.method === method && one.path.toLowerCase() === `${resourceId}${action}`.toLowerCase() && one.status < 300,
    ).length;

  it('is refused private access, with the parameter that would help', async () => {
    await expect(ask(cluster, {})).rejects.toMatchObject({
      status: 422,
      code: 'VnetIntegrationMissing',
      detail: expect.stringContaining('`enableVnetIntegration` true'),
    });
  });

  it(
    'gets it, a restart and private access, though the worker dies at every boundary',
    async () => {
      const puts = await accepted(cluster, 'PUT');
      service.crashEverywhere({ before: /^vnet\.await-api-servers$/, after: /^vnet\./ });
      const { id } = await begin(cluster);
      const over = await ended(people(service.apiUrl).requester, id);
      expect(over).toMatchObject({
        status: 'Succeeded',
        planRevision: 1,
        result: { currentKeyId: cluster.keyId, proof: { secrets: SECRETS, unproven: 0 } },
      });
      const points = (when: string): unknown[] =>
        service.crashes().flatMap((one) => (one.when === when ? [one.step] : []));
      // Before each of the others the cluster is as it was after the step before.
      expect(points('before')).toEqual(STEPS.slice(-1));
      expect(points('after')).toEqual(STEPS.slice(0, -1));

      expect(await inAzure(cluster)).toMatchObject({
        powerState: { code: 'Running' },
        apiServerAccessProfile: { enableVnetIntegration: true, subnetId: subnet() },
      });
      // Each was asked for once: the integration and KMS by a PUT.
      expect((await accepted(cluster, 'PUT')) - puts).toBe(2);
      expect([await accepted(cluster, 'POST', '/stop'), await accepted(cluster, 'POST', '/start')]).toEqual([1, 1]);
      const pods = await kubeApi(cluster).core.listNamespacedPod({ namespace: 'kube-system' });
      expect(pods.items.filter(({ metadata }) => metadata?.name?.startsWith('konnectivity-agent'))).toEqual([]);
      const under = await countByKey(readSecretRecords(cluster.etcd), { newKeyId: cluster.keyId });
      expect(under).toEqual({ newKey: SECRETS, oldKey: 0, plaintext: 0, other: 0 });
      expect(evidenceOf(over)).toMatchObject({ ok: true });
    },
    LIMIT_IN_MS,
  );

  it(
    'is not stopped when a webhook came since the plan, and runs again after a cancellation between stop and start',
    async () => {
      const { requester } = people(service.apiUrl);
      const steps = service.holdSteps();
      const at = (step: string): Promise<void> => eventually(() => steps.heldAt() === step, 300_000);
      const { id } = await begin(canceled);
      await at('vnet.enable-integration');
      steps.pass('vnet.enable-integration');

      await at('vnet.stop-cluster');
      const removeWebhook = await addWebhookByHand(canceled, 'late-policies');
      steps.pass('vnet.stop-cluster');
      const { reason } = await until(requester, id, ({ status }) => status === 'Blocked');
      expect(reason).toMatchObject({ code: 'WebhooksPreventStop', detail: expect.stringContaining('late-policies') });
      expect(await accepted(canceled, 'POST', '/stop')).toBe(0);
      await removeWebhook();
      await requester.retry(id);

      await at('vnet.start-cluster');
      expect(await inAzure(canceled)).toMatchObject({ powerState: { code: 'Stopped' } });
      await requester.cancel(id);
      steps.pass('vnet.start-cluster');
      expect(await ended(requester, id)).toMatchObject({
        status: 'Canceled',
        reason: { detail: expect.stringMatching(/key was not changed.*Azure was asked to start it/) },
      });
      const runs = async (): Promise<boolean> => {
        const { powerState, provisioningState } = await inAzure(canceled);
        return powerState.code === 'Running' && provisioningState === 'Succeeded';
      };
      await eventually(runs, 300_000);
      expect([await accepted(canceled, 'POST', '/stop'), await accepted(canceled, 'POST', '/start')]).toEqual([1, 1]);
    },
    LIMIT_IN_MS,
  );
});
