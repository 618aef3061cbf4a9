/** Secrets that cannot be rewritten: known before, named when met, accepted by an approver or not, never forgotten. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { OperationAnswer } from '../../cli/api-client';
import { Ledger } from '../../domain/ledger';
import { clusterWrites } from '../../launch/sandbox-control';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { FrozenSecrets } from '../support/frozen-secrets';
import { recordHistory } from '../support/histories';
import { kubeApi } from '../support/kube';
import { askForRotation, control, ended, makeCluster, people, until } from '../support/stack';

const SECRETS = 30;

describe('Secrets that an admission policy denies', () => {
  let cluster: SandboxClusterFacts;
  let frozen: FrozenSecrets;
  let blocked: OperationAnswer;

  beforeAll(async () => {
    cluster = await makeCluster('in-the-way', { count: SECRETS });
    frozen = new FrozenSecrets(cluster);
    await frozen.make('frozen-1', 'frozen-2');
  });

  const untilBlocked = (id: string): Promise<OperationAnswer> =>
    until(people().requester, id, ({ status }) => status === 'Blocked');
  const generations = async (): Promise<Ledger['generations']> => {
    const map = await kubeApi(cluster).configMap('kube-system', 'keyturn-ledger');
    return Ledger.parse(JSON.parse(map.ledger ?? '')).generations;
  };

  it('are warned of in the plan, by name and before any key is touched', async () => {
    const { requester, approver1 } = people();
    // The current key is proven first, while nothing is in the way.
    const first = await askForRotation(requester, cluster.resourceId);
    expect(first.plan?.warnings.map(({ code }) => code)).not.toContain('SecretsRefuseRewrite');
    await approver1.approve(first.id, first.plan?.digest ?? '');
    expect((await ended(requester, first.id)).status).toBe('Succeeded');

    await frozen.deny();
    const writes = clusterWrites(await control().journal(), cluster.resourceId);
    const asked = await askForRotation(requester, cluster.resourceId);
    const warning = asked.plan?.warnings.find(({ code }) => code === 'SecretsRefuseRewrite');
    expect(warning?.detail).toMatch(/AdmissionDenied.*2 Secrets: default\/frozen-1, default\/frozen-2/);
    expect(clusterWrites(await control().journal(), cluster.resourceId)).toBe(writes);

    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    blocked = await untilBlocked(asked.id);
  });

  it('stop none of the others, and are listed with reason and suggestion', async () => {
    expect(blocked).toMatchObject({
      reason: { code: 'SecretsUnproven' },
      offers: ['retry', 'accept', 'cancel'],
      blockedSecrets: {
        count: 2,
        acceptable: true,
        secrets: ['frozen-1', 'frozen-2'].map((name) => ({
          namespace: 'default',
          name,
          reason: 'AdmissionDenied',
          message: expect.stringContaining('frozen-secrets'),
          suggestion: expect.stringContaining('Exempt'),
        })),
      },
    });
    expect(blocked.progressText).toContain('default/frozen-1: AdmissionDenied');
    const newKeyId = blocked.keysNeeded.at(-1) ?? '';
    const count = await countByKey(readSecretRecords(cluster.etcd), { newKeyId });
    // The operation's own canaries are still there.
    expect(count.newKey).toBe(SECRETS + 3);
    expect(count.other).toBe(2);
  });

  it('are accepted by an approver alone, as exactly the list that stands', async () => {
    const { requester, approver1, reader } = people();
    const digest = blocked.blockedSecrets?.digest ?? '';
    const accept = (client: typeof reader, list = digest): Promise<unknown> =>
      client.accept(blocked.id, list, 'Known.');
    await expect(accept(reader)).rejects.toMatchObject({ status: 403, code: 'RoleMissing' });
    await expect(accept(requester)).rejects.toMatchObject({ status: 403, code: 'RequesterCannotApprove' });
    await expect(accept(approver1, 'sha256:other')).rejects.toMatchObject({ status: 412, code: 'BlockedListChanged' });
    await expect(approver1.accept(blocked.id, digest, ' ')).rejects.toMatchObject({ status: 400 });

    await approver1.accept(blocked.id, digest, 'Owned by another team; they follow on Monday.');
    const over = await ended(requester, blocked.id);
    expect(over).toMatchObject({
      status: 'Succeeded',
      acceptance: { by: { name: 'approver1' }, reason: 'Owned by another team; they follow on Monday.' },
      result: { rewrite: { refused: 2 }, proof: { secrets: SECRETS + 2, unproven: 2 } },
    });
    expect(over.acceptance?.secrets.map(({ name }) => name)).toEqual(['frozen-1', 'frozen-2']);
    expect(over.progressText).toContain('Accepted as not rewritten by approver1');
    await expect(accept(approver1)).rejects.toMatchObject({ status: 409, code: 'OperationEnded' });
    // What was accepted is not proven.
    expect((await generations()).at(-1)).toMatchObject({ state: 'activated' });
    await recordHistory('accepted', over.id);
  });

  it('cannot be accepted before the next rotation, which would push their key out (K2)', async () => {
    const { requester, approver1 } = people();
    const writes = clusterWrites(await control().journal(), cluster.resourceId);
    const asked = await askForRotation(requester, cluster.resourceId);
    expect(asked.plan?.steps.map(({ id }) => id)).toContain('current.prove');
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    const stuck = await untilBlocked(asked.id);
    expect(stuck).toMatchObject({ offers: ['retry', 'cancel'], blockedSecrets: { count: 2, acceptable: false } });
    const refusal = approver1.accept(stuck.id, stuck.blockedSecrets?.digest ?? '', 'Please.');
    await expect(refusal).rejects.toMatchObject({ status: 409, code: 'NothingToAccept' });
    expect(clusterWrites(await control().journal(), cluster.resourceId)).toBe(writes);

    await frozen.allow();
    await requester.retry(stuck.id);
    expect(await ended(requester, stuck.id)).toMatchObject({
      status: 'Succeeded',
      acceptance: null,
      result: { proof: { secrets: SECRETS + 2, unproven: 0 } },
    });
    expect((await generations()).at(-1)).toMatchObject({ state: 'proven' });
  });
});

describe('a Secret whose annotations leave no room for the one of a forced rewrite', () => {
  it('is named in the plan; the operation stops there, says what to remove, and goes on when that is gone', async () => {
    const { requester, approver1 } = people();
    // With KMS v1 nobody knows the provider names of a key that no operation has proven: its rewrite is forced.
    const cluster = await makeCluster('annotated', { count: 12 }, { kubernetesVersion: '1.26' });
    const { core } = kubeApi(cluster);
    // 262,110 of the 262,144 bytes that all annotations of an object may have together.
    const metadata = { name: 'annotated', annotations: { big: 'x'.repeat(262_107) } };
    await core.createNamespacedSecret({ namespace: 'default', body: { metadata, stringData: { a: 'b' } } });

    const asked = await askForRotation(requester, cluster.resourceId);
    const warning = asked.plan?.warnings.find(({ code }) => code === 'SecretsRefuseRewrite');
    expect(warning?.detail).toMatch(/^AnnotationsTooLarge: .*1 Secret: default\/annotated.*256 KiB/);
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    const blocked = await until(requester, asked.id, ({ status }) => status === 'Blocked');
    expect(blocked.blockedSecrets?.secrets).toMatchObject([
      {
        namespace: 'default',
        name: 'annotated',
        reason: 'AnnotationsTooLarge',
        suggestion: expect.stringMatching(/^Remove annotations from the Secret.*256 KiB/),
      },
    ]);
    // No key was touched.
    expect(clusterWrites(await control().journal(), cluster.resourceId)).toBe(1);

    const secret = await core.readNamespacedSecret({ namespace: 'default', name: 'annotated' });
    const body = { ...secret, metadata: { ...secret.metadata, annotations: {} } };
    await core.replaceNamespacedSecret({ namespace: 'default', name: 'annotated', body });
    await requester.retry(blocked.id);
    const over = await ended(requester, blocked.id);
    expect(over).toMatchObject({ status: 'Succeeded', result: { proof: { secrets: 13, unproven: 0 } } });
    const newKeyId = over.result?.currentKeyId ?? '';
    expect(await countByKey(readSecretRecords(cluster.etcd), { newKeyId })).toMatchObject({ newKey: 13 });
  });
});
