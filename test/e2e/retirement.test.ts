/** Keys that are replaced and retired, on the real parts: judged by the vault, by raw etcd, and by API servers that were restarted. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { V1Secret } from '@kubernetes/client-node';
import type { ApiClient, OperationAnswer } from '../../cli/api-client';
import { isFinal } from '../../domain/operation';
import { mustParseKeyId } from '../../domain/resource-ids';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { clusterWrites } from '../../launch/sandbox-control';
import type { Service } from '../../launch/service';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { grantByHand, setKeyByHand } from '../support/by-hand';
import { startDirectedService, type DirectedService } from '../support/directed-service';
import { kubeApi } from '../support/kube';
import { control, ended, makeCluster, openTemporal, people, startOwnService, until } from '../support/stack';
import { keyClient, keyVersions } from '../support/vault';

const SECRETS = 6;
const A_DAY = 86_400;

type People = Pick<ReturnType<typeof people>, 'requester' | 'approver1' | 'approver2'>;

const nameOf = ({ resourceId }: SandboxClusterFacts): string => resourceId.split('/').at(-1) ?? '';

async function ask(
  requester: ApiClient,
  { resourceId }: SandboxClusterFacts,
  kind: string,
  parameters: Record<string, unknown> = {},
): Promise<OperationAnswer> {
  const body = { kind, cluster: resourceId, parameters, change: { number: 'CHG-RETIRE' } };
  const { operation } = await requester.create(body, randomUUID());
  return await until(requester, operation.id, ({ offers, status }) => offers.includes('approve') || isFinal(status));
}

/** Waits until the operation asks for the approval of a gate, and approves it. */
async function pass({ requester, approver1, approver2 }: People, asked: OperationAnswer, gate: string): Promise<void> {
  const { id, plan } = asked;
  await until(requester, id, ({ status, steps, reason, progressText }) => {
    if (status === 'Blocked') throw new Error(`Blocked: ${reason?.detail ?? ''}\n${progressText}`);
    return status === 'AwaitingApproval' && steps.some((step) => step.id === gate && step.status === 'running');
  });
  await (gate === 'approve' ? approver1 : approver2).approve(id, plan?.digest ?? '', gate);
}

/** Waits until a step is at work. */
const at = (requester: ApiClient, id: string, step: string): Promise<OperationAnswer> =>
  until(requester, id, ({ steps, status, progressText }) => {
    if (status === 'Blocked') throw new Error(`Blocked.\n${progressText}`);
    return steps.some((one) => one.id === step && one.status === 'running');
  });

const blocked = (requester: ApiClient, id: string): Promise<OperationAnswer> =>
  until(requester, id, ({ status }) => status === 'Blocked');

/** `az keyvault key create`: keys of other objects in the vault of a cluster. */
async function otherKeys({ keyId }: SandboxClusterFacts): Promise<{ keyId: string; nextKeyId: string }> {
  const make = async (name: string): Promise<string> => (await keyClient(keyId).createRsaKey(name)).id ?? '';
  return { keyId: await make('etcd-b'), nextKeyId: await make('etcd-c') };
}

/** `az keyvault key set-attributes --enabled`. */
async function setEnabled(keyId: string, enabled: boolean): Promise<void> {
  const { name, version } = mustParseKeyId(keyId);
  await keyClient(keyId).updateKeyProperties(name, version, { enabled });
}

async function enabledNow(keyId: string): Promise<boolean | undefined> {
  return (await keyVersions(keyId)).find((version) => version.keyId === keyId)?.enabled;
}

/** Every Secret of the cluster with its value. @throws Error when the API server cannot read one */
async function valuesNow(cluster: SandboxClusterFacts): Promise<Map<string, V1Secret['data']>> {
  const { items } = await kubeApi(cluster).core.listSecretForAllNamespaces();
  return new Map(
    items
      .filter(({ metadata }) => !(metadata?.name ?? '').startsWith('keyturn-'))
      .map(({ metadata, data }) => [`${metadata?.namespace}/${metadata?.name}`, data]),
  );
}

/** Stops every API server and starts it again: what they had in memory, keys above all, is gone. */
const restart = async (cluster: SandboxClusterFacts): Promise<void> => void (await control().snapshot(nameOf(cluster)));

/** Rotates away from the key of the cluster, twice; it is disabled and not deleted. */
async function replaced(by: People, cluster: SandboxClusterFacts, soakInSeconds: number): Promise<OperationAnswer> {
  const asked = await ask(by.requester, cluster, 'replace-key', { ...(await otherKeys(cluster)), soakInSeconds });
  await pass(by, asked, 'approve');
  await pass(by, asked, 'approve-deletion');
  return asked;
}

describe('a key that is replaced', () => {
  const services: Service[] = [];
  afterAll(() => Promise.all(services.map((service) => service.stop())));

  it('is disabled, and after the soak, in which the worker dies, deleted; it can be recovered', async () => {
    const cluster = await makeCluster('retire', { count: SECRETS });
    const service = await startOwnService('retire');
    services.push(service);
    const by = people(service.apiUrl);
    const asked = await replaced(by, cluster, 20);
    expect(asked.plan?.warnings.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['BackupsNeedTheKey', 'OtherUsersOfTheKey', 'OtherKeyObject']),
    );
    await at(by.requester, asked.id, 'retire.soak');
    process.kill(service.worker.pid, 'SIGKILL');

    const over = await ended(by.requester, asked.id);
    const parameters = asked.request.parameters as { keyId: string; nextKeyId: string };
    expect(over).toMatchObject({
      status: 'Succeeded',
      result: { currentKeyId: parameters.nextKeyId, previousKeyId: cluster.keyId },
    });
    expect(over.keysNeeded.sort()).toEqual([parameters.keyId, parameters.nextKeyId].sort());
    expect(over.steps.at(-1)?.result).toMatch(/^Deleted, and recoverable until /);
    const { name } = mustParseKeyId(cluster.keyId);
    await expect(keyClient(cluster.keyId).getKey(name)).rejects.toMatchObject({ statusCode: 404 });
    expect(await countByKey(readSecretRecords(cluster.etcd), { newKeyId: parameters.nextKeyId })).toEqual({
      newKey: SECRETS,
      oldKey: 0,
      plaintext: 0,
      other: 0,
    });
    await restart(cluster);
    expect((await valuesNow(cluster)).size).toBe(SECRETS);

    await (await keyClient(cluster.keyId).beginRecoverDeletedKey(name)).pollUntilDone();
    expect(await keyVersions(cluster.keyId)).toMatchObject([{ keyId: cluster.keyId, enabled: false }]);
  });

  it('holds no lock in the soak, goes on as a new run, and can be had back when the soak is canceled', async () => {
    const by = people();
    const cluster = await makeCluster('retire-soak', { count: SECRETS });
    const values = await valuesNow(cluster);
    const asked = await replaced(by, cluster, A_DAY);
    await at(by.requester, asked.id, 'retire.soak');
    expect(await enabledNow(cluster.keyId)).toBe(false);

    const meanwhile = await ask(by.requester, cluster, 'rewrite-secrets');
    await pass(by, meanwhile, 'approve');
    expect(await ended(by.requester, meanwhile.id)).toMatchObject({ status: 'Succeeded' });
    const soaking = await by.requester.get(asked.id, 0);
    expect(soaking).toMatchObject({ status: 'Running', waitingFor: expect.stringMatching(/end of the soak/) });

    const temporal = await openTemporal();
    try {
      const handle = temporal.workflow.getHandle(asked.id);
      const { runId, raw } = await handle.describe();
      const first = raw.workflowExecutionInfo?.firstRunId ?? '';
      expect(first).not.toBe(runId);
      const { events } = await temporal.workflow.getHandle(asked.id, first).fetchHistory();
      expect(events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes).toBeTruthy();
    } finally {
      await temporal.connection.close();
    }

    await by.requester.cancel(asked.id);
    const over = await ended(by.requester, asked.id);
    const undo = `az keyvault key set-attributes --id ${cluster.keyId} --enabled true`;
    expect(over).toMatchObject({ status: 'Canceled', reason: { detail: expect.stringContaining(undo) } });
    await setEnabled(cluster.keyId, true);
    await restart(cluster);
    expect(await valuesNow(cluster)).toEqual(values);
  });
});
