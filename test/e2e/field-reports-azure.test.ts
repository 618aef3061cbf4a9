/** What was reported of other clusters, and what Azure does in them: each is built in the sandbox, and Keyturn says what it means for the keys. */
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import type { OperationAnswer } from '../../cli/api-client';
import { shortKeyId } from '../../domain/resource-ids';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { asAdministrator, setKeyByHand } from '../support/by-hand';
import { generationsOf, underKey, writesOf, writtenKey } from '../support/cluster-state';
import { askForRotation, control, ended, makeCluster, people, until } from '../support/stack';
import { keyVersions } from '../support/vault';

const { requester, approver1 } = people();
const url = ({ resourceId }: SandboxClusterFacts, action = ''): string =>
  `https://management.azure.com${resourceId}${action}?api-version=2026-04-01`;
const approve = (asked: OperationAnswer): Promise<unknown> => approver1.approve(asked.id, asked.plan?.digest ?? '');
const blockedBy = (id: string, code: string, words = ''): Promise<OperationAnswer> =>
  until(
    requester,
    id,
    ({ status, reason }) => status === 'Blocked' && reason?.code === code && reason.detail.includes(words),
  );
const warnings = ({ plan }: OperationAnswer): Record<string, string> =>
  Object.fromEntries((plan?.warnings ?? []).map(({ code, detail }) => [code, detail]));
const stepAt = ({ steps }: OperationAnswer): string | undefined =>
  steps.find(({ status }) => status === 'running' || status === 'blocked')?.id;
const propertiesOf = async (cluster: SandboxClusterFacts): Promise<Record<string, unknown>> =>
  asAdministrator(async (request) => {
    const { body } = await request('GET', url(cluster));
    return z.looseObject({ properties: z.record(z.string(), z.unknown()) }).parse(body).properties;
  });
/** Why Azure refuses every PUT of a cluster, whatever is in it. */
const REFUSALS: readonly { readonly why: string; readonly status: number; readonly body: Record<string, unknown> }[] = [
  {
    why: 'a property of the whole body that must not change',
    status: 400,
    body: {
      code: 'PropertyChangeNotAllowed',
      message: "Changing property 'properties.agentPoolProfiles[0].osDiskType' is not allowed.",
      target: 'properties.agentPoolProfiles[0].osDiskType',
    },
  },
  {
    why: 'a node image that is too old',
    status: 400,
    body: { code: 'BadRequest', message: 'The node image version of the agent pool nodepool1 is not supported.' },
  },
  {
    why: 'a policy',
    status: 403,
    body: {
      error: { code: 'RequestDisallowedByPolicy', message: "Resource 'c1' was disallowed by policy 'no-changes'." },
    },
  },
  {
    why: 'a lock',
    status: 409,
    body: {
      error: {
        code: 'ScopeLocked',
        message: "The scope cannot perform write operation because following scope(s) are locked: 'MC_group'.",
      },
    },
  },
];

describe('a cluster whose every PUT Azure refuses', () => {
  const NAME = 'refused-puts';
  let cluster: SandboxClusterFacts;
  let left: OperationAnswer;
  let unused = '';

  beforeAll(async () => {
    cluster = await makeCluster(NAME, { count: 2 });
  });
  afterEach(() => control().clearFault('refuse-put'));

  it('blocks with the sentence of Azure, and nothing else is changed', async () => {
    const before = await propertiesOf(cluster);
    const puts = await writesOf(cluster);
    const asked = await askForRotation(requester, cluster.resourceId);
    expect(warnings(asked)).not.toHaveProperty('UnusedKeyVersion');
    for (const [number, { status, body }] of REFUSALS.entries()) {
      await control().setFault('refuse-put', { path: `/managedClusters/${NAME}`, status, body });
      await (number === 0 ? approve(asked) : requester.retry(asked.id));
      const { code, message } = (body['error'] ?? body) as { readonly code: string; readonly message: string };
      left = await blockedBy(asked.id, 'ArmRequestRefused', message);
      expect(left.reason?.detail).toContain(`(HTTP ${status}, ${code})`);
      expect(left.reason?.detail).toMatch(/changed nothing with this request.*Keep every key/);
      expect(stepAt(left)).toBe('rotate.set-kms');
      expect(left.keysNeeded).toContain(cluster.keyId);
    }
    expect(await propertiesOf(cluster)).toEqual(before);
    expect(await writesOf(cluster)).toBe(puts);
  });

  it('and is canceled names the key version that was made and not set', async () => {
    await requester.cancel(left.id);
    const over = await ended(requester, left.id);
    unused = (await keyVersions(cluster.keyId)).at(-1)?.keyId ?? '';
    expect(over).toMatchObject({ status: 'Canceled', reason: { code: 'CanceledOnRequest' } });
    expect(over.reason?.detail).toMatch(/Azure refused the change .*reported the cluster unchanged/);
    expect(over.reason?.detail).toContain(`made the key version ${unused}`);
    expect(over.keysNeeded).toContain(cluster.keyId);
  });

  it('the next plan tells of that version, and an operation that is asked to uses it instead of making another', async () => {
    const asked = await askForRotation(requester, cluster.resourceId);
    expect(warnings(asked)['UnusedKeyVersion']).toContain(unused);
    await requester.cancel(asked.id);
    await ended(requester, asked.id);

    const again = await askForRotation(requester, cluster.resourceId, { parameters: { keyId: unused } });
    expect(warnings(again)).not.toHaveProperty('UnusedKeyVersion');
    await approve(again);
    expect(await ended(requester, again.id)).toMatchObject({ status: 'Succeeded', result: { currentKeyId: unused } });
    expect(await underKey(cluster, unused)).toBe(2);
    expect(await keyVersions(cluster.keyId)).toHaveLength(2);

    const later = await askForRotation(requester, cluster.resourceId);
    expect(warnings(later)).not.toHaveProperty('UnusedKeyVersion');
  });
});

describe('an operation of Azure that another client aborts', () => {
  const NAME = 'aborted';
  const fault = { path: `/managedClusters/${NAME}` };
  let cluster: SandboxClusterFacts;
  let puts = 0;

  beforeAll(async () => {
    cluster = await makeCluster(NAME, { count: 2 });
  });
  afterEach(() => control().clearFault('hold-operation'));

  async function untilAborted(): Promise<OperationAnswer> {
    const asked = await askForRotation(requester, cluster.resourceId);
    await control().setFault('hold-operation', fault);
    await approve(asked);
    await until(
      requester,
      asked.id,
      ({ waitingFor }) => waitingFor?.includes('its operation on the cluster is') ?? false,
    );
    await asAdministrator((request) => request('POST', url(cluster, '/abort')));
    const blocked = await blockedBy(asked.id, 'ArmOperationFailed', 'ended Canceled');
    puts = await writesOf(cluster);
    expect(blocked.reason?.detail).toMatch(/A client aborted it.*activity log/);
    expect(stepAt(blocked)).toBe('rotate.set-kms');
    expect(blocked.keysNeeded).toContain(await writtenKey(cluster));
    expect(blocked.keysNeeded).toContain((await keyVersions(cluster.keyId)).at(-1)?.keyId);
    expect((await generationsOf(cluster)).at(-1)).toMatchObject({ state: 'activating' });
    await control().clearFault('hold-operation');
    return blocked;
  }

  it('is asked for once more by a retry', async () => {
    const blocked = await untilAborted();
    await requester.retry(blocked.id);
    const over = await ended(requester, blocked.id);
    expect(over).toMatchObject({ status: 'Succeeded', result: { proof: { secrets: 2, unproven: 0 } } });
    expect(await writesOf(cluster)).toBe(puts + 1);
    expect(await underKey(cluster, over.result?.currentKeyId ?? '')).toBe(2);
  });

  it('needs both keys when the operation is canceled then', async () => {
    const blocked = await untilAborted();
    await requester.cancel(blocked.id);
    const over = await ended(requester, blocked.id);
    expect([...over.keysNeeded].sort()).toEqual([...blocked.keysNeeded].sort());
    await expect(askForRotation(requester, cluster.resourceId)).rejects.toMatchObject({ code: 'ClusterNotSucceeded' });
  });
});

describe('infrastructure as code that sets its own key again', () => {
  const SECRETS = 24;
  let cluster: SandboxClusterFacts;
  let made = '';

  beforeAll(async () => {
    // Slow enough that the key is set again in the middle of a rewrite.
    const tags = { 'keyturn-rewrites-per-second': '4' };
    cluster = await makeCluster('set-again', { count: SECRETS }, { tags });
  });

  it('in the middle of a rewrite blocks with the key that was set; nothing is called proven, and both keys are needed', async () => {
    const asked = await askForRotation(requester, cluster.resourceId);
    await approve(asked);
    await until(requester, asked.id, (now) => stepAt(now) === 'rotate.rewrite' && (now.progress?.done ?? 0) > 0);
    await setKeyByHand(cluster, cluster.keyId);
    const blocked = await blockedBy(asked.id, 'ClusterChangedOutside');
    made = (await keyVersions(cluster.keyId)).at(-1)?.keyId ?? '';
    expect(blocked.reason?.detail).toContain(`Azure reports the key ${shortKeyId(cluster.keyId)} `);
    // Whoever sees it first: the look at Azure beside the rewrite, or the one before the proof is recorded.
    expect(blocked.reason?.detail).toContain(`the key ${shortKeyId(made)} `);
    expect(blocked.keysNeeded).toEqual(expect.arrayContaining([cluster.keyId, made]));
    expect((await generationsOf(cluster)).find(({ keyId }) => keyId === made)).toMatchObject({ state: 'activated' });

    // A retry alone changes nothing.
    await requester.retry(blocked.id);
    await until(requester, blocked.id, ({ steps }) => steps.some(({ attempt }) => attempt === 2));
    await requester.cancel((await blockedBy(asked.id, 'ClusterChangedOutside')).id);
    const over = await ended(requester, asked.id);
    expect(over).toMatchObject({ status: 'Canceled', result: null });
    expect(over.keysNeeded).toEqual(expect.arrayContaining([cluster.keyId, made]));
  });

  it('the next operation proves the key that is set before it sets another, and later it is the same', async () => {
    const next = await askForRotation(requester, cluster.resourceId, { parameters: { keyId: made } });
    expect(next.plan?.steps.map(({ id }) => id)).toContain('current.prove');
    expect(next.plan?.keysNeeded).toEqual(expect.arrayContaining([cluster.keyId, made]));
    await approve(next);
    expect(await ended(requester, next.id)).toMatchObject({ status: 'Succeeded', result: { currentKeyId: made } });
    expect(await underKey(cluster, made)).toBe(SECRETS);

    await setKeyByHand(cluster, cluster.keyId);
    const later = await askForRotation(requester, cluster.resourceId, { parameters: { keyId: made } });
    expect(later.plan?.steps.map(({ id }) => id)).toContain('current.prove');
    expect(later.plan?.keysNeeded).toEqual(expect.arrayContaining([cluster.keyId, made]));
  });
});
