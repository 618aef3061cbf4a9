/**
 * rewrite-secrets repairs a cluster in any state that a person can leave with `az aks update`. One cluster goes from state to state;
 * raw etcd is the judge.
 */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { V1Secret } from '@kubernetes/client-node';
import type { OperationAnswer } from '../../cli/api-client';
import { isFinal } from '../../domain/operation';
import { kmsKeyId } from '../../domain/resource-ids';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { readSecretRecords } from '../../sandbox/cluster/raw-records';
import { newVersionByHand, setKeyByHand, untilUpdated } from '../support/by-hand';
import { kubeApi } from '../support/kube';
import { control, ended, makeCluster, people, until } from '../support/stack';

const SECRETS = 20;
const HALF = SECRETS / 2;
/** Keys of the test by number; null is plaintext. */
type Key = 1 | 2 | 3 | 4 | null;

interface Row {
  readonly left: string;
  /** What a person does, in turn: sets a key, or writes so many Secrets (`kubectl replace`). */
  readonly does: readonly ({ readonly set: Key } | { readonly writes: number })[];
  /** What raw etcd has then. */
  readonly stored: Partial<Record<string, number>>;
  /** What the cluster encrypts with now. */
  readonly now: Key;
  /** Keys that must be needed afterwards, whatever else is. */
  readonly needed: readonly Exclude<Key, null>[];
}

/** Each begins where the one before ended: with every Secret under `now` of that one. The first begins in plaintext. */
const ROWS: readonly Row[] = [
  { left: 'off → on', does: [{ set: 1 }], stored: { plaintext: SECRETS }, now: 1, needed: [1] },
  { left: 'k1 → k2', does: [{ set: 2 }], stored: { k1: SECRETS }, now: 2, needed: [1, 2] },
  {
    left: 'k2 → k3 → k2, with Secrets written in between',
    does: [{ set: 3 }, { writes: HALF }, { set: 2 }],
    stored: { k2: HALF, k3: HALF },
    now: 2,
    needed: [2],
  },
  {
    left: 'k2 → k3, half rewritten',
    does: [{ set: 3 }, { writes: HALF }],
    stored: { k2: HALF, k3: HALF },
    now: 3,
    needed: [2, 3],
  },
  { left: 'on → off', does: [{ set: null }], stored: { k3: SECRETS }, now: null, needed: [3] },
  {
    left: 'off → on → off, with Secrets written in between',
    does: [{ set: 3 }, { writes: HALF }, { set: null }],
    stored: { k3: HALF, plaintext: HALF },
    now: null,
    needed: [3],
  },
];

describe('a cluster that a person left', () => {
  const { requester, approver1 } = people();
  let cluster: SandboxClusterFacts;
  let values: Map<string, V1Secret['data']>;
  const keys = new Map<Exclude<Key, null>, string>();

  beforeAll(async () => {
    cluster = await makeCluster('left-by-hand', { count: SECRETS, immutableEvery: 7 }, { kms: false });
    keys.set(1, cluster.keyId);
    for (const number of [2, 3, 4] as const) keys.set(number, await newVersionByHand(cluster.keyId));
    values = await valuesNow();
  });

  const keyId = (key: Key): string | null => (key === null ? null : (keys.get(key) ?? ''));
  const secrets = async (): Promise<V1Secret[]> => (await kubeApi(cluster).core.listSecretForAllNamespaces()).items;
  const valuesNow = async (): Promise<Map<string, V1Secret['data']>> =>
    new Map((await secrets()).map(({ metadata, data }) => [`${metadata?.namespace}/${metadata?.name}`, data]));
  const stored = async (): Promise<Record<string, number>> => {
    const names = new Map([...keys].map(([number, id]) => [kmsKeyId(id), `k${number}`]));
    const counts: Record<string, number> = {};
    for await (const { scheme, keyIdHash } of readSecretRecords(cluster.etcd)) {
      const under = scheme === 'plaintext' ? scheme : (names.get(keyIdHash ?? '') ?? 'unknown');
      counts[under] = (counts[under] ?? 0) + 1;
    }
    return counts;
  };
  /** What `kubectl replace` does, stopped after so many. */
  const write = async (count: number): Promise<void> => {
    for (const secret of (await secrets()).slice(0, count)) {
      const { name = '', namespace = '' } = secret.metadata ?? {};
      const metadata = { ...secret.metadata, annotations: { written: randomUUID() } };
      await kubeApi(cluster).core.replaceNamespacedSecret({ name, namespace, body: { ...secret, metadata } });
    }
  };
  const ask = async (kind: string, parameters: Record<string, string> = {}): Promise<OperationAnswer> => {
    const body = { kind, cluster: cluster.resourceId, parameters, change: { number: 'CHG-HAND' } };
    const { operation } = await requester.create(body, randomUUID());
    return await until(requester, operation.id, ({ offers, status }) => offers.includes('approve') || isFinal(status));
  };
  const approve = (asked: OperationAnswer): Promise<unknown> => approver1.approve(asked.id, asked.plan?.digest ?? '');
  const repaired = async (now: Key, needed: readonly Key[]): Promise<void> => {
    const asked = await ask('rewrite-secrets');
    await approve(asked);
    const over = await ended(requester, asked.id);
    expect(over).toMatchObject({
      status: 'Succeeded',
      result: { currentKeyId: keyId(now), proof: { secrets: SECRETS, unproven: 0, convergenceHeld: true } },
    });
    expect(over.keysNeeded).toEqual(expect.arrayContaining(needed.map(keyId)));
    expect(await stored()).toEqual({ [now === null ? 'plaintext' : `k${now}`]: SECRETS });
    expect(await valuesNow()).toEqual(values);
  };

  it.each(ROWS)('$left is repaired by rewrite-secrets', async ({ does, stored: found, now, needed }) => {
    for (const step of does) await ('set' in step ? setKeyByHand(cluster, keyId(step.set)) : write(step.writes));
    expect(await stored()).toEqual(found);
    await repaired(now, needed);
  });

  it('in the middle of an operation that was canceled, and then changed, is repaired', async () => {
    const asked = await ask('enable-kms', { keyId: keyId(1) ?? '' });
    // The key is set, and Azure does not say so before the cancellation is there.
    await control().setFault('hold-operation', { path: '/managedclusters/left-by-hand' });
    await approve(asked);
    await until(requester, asked.id, ({ steps }) =>
      steps.some(({ id, status }) => id === 'on.set-kms' && status === 'running'),
    );
    await requester.cancel(asked.id);
    await control().clearFault('hold-operation');
    const canceled = await ended(requester, asked.id);
    expect(canceled.status).toBe('Canceled');
    expect(canceled.keysNeeded).toEqual(expect.arrayContaining([keyId(1), keyId(3)]));
    // Its end does not wait for Azure.
    await untilUpdated(cluster);
    await setKeyByHand(cluster, keyId(2));
    await repaired(2, [1, 2]);
  });

  it('k2 → k3 → k2 with a Secret under k3, which Azure does not show, is proven again before a rotation evicts k3', async () => {
    await setKeyByHand(cluster, keyId(3));
    await write(HALF);
    await setKeyByHand(cluster, keyId(2));
    const asked = await ask('rotate-key', { keyId: keyId(4) ?? '' });
    expect(asked.plan?.warnings.map(({ code }) => code)).toContain('ClusterChangedSinceProof');
    expect(asked.plan?.steps.map(({ id }) => id)).toContain('current.prove');
    await approve(asked);
    expect(await ended(requester, asked.id)).toMatchObject({ status: 'Succeeded' });
    expect(await stored()).toEqual({ k4: SECRETS });
    expect(await valuesNow()).toEqual(values);
    // And where nothing was changed since, nothing is proven twice.
    const next = await ask('rotate-key', { keyId: keyId(2) ?? '' });
    expect(next.plan?.steps.map(({ id }) => id)).not.toContain('current.prove');
    await approve(next);
    expect(await ended(requester, next.id)).toMatchObject({ status: 'Succeeded' });
  });

  it('k2 → k3 → k4, with Secrets under k2 that cannot be read, is refused until k2 is set again', async () => {
    await setKeyByHand(cluster, keyId(3));
    await expect(setKeyByHand(cluster, keyId(4))).rejects.toThrow('SandboxRolloutFailed');
    await expect(ask('rewrite-secrets')).rejects.toMatchObject({
      code: 'ClusterNotSucceeded',
      detail: expect.stringMatching(/keep every key version .*Set the key again that the Secrets are under/),
    });
    await setKeyByHand(cluster, keyId(2));
    await repaired(2, [2]);
  });
});
