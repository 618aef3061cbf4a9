/** Azure and the cluster do not say the same, or Azure changes the cluster for somebody else: the cluster itself counts. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import type { OperationAnswer } from '../../cli/api-client';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import type { Service } from '../../launch/service';
import { tagByHand } from '../support/by-hand';
import { generationsOf, underKey, writesOf, writtenKey } from '../support/cluster-state';
import { startDirectedService, type DirectedService } from '../support/directed-service';
import { askForRotation, control, ended, makeCluster, people, startOwnService, until } from '../support/stack';

const SECRETS = 20;
const { requester, approver1 } = people();

const statesOf = async (cluster: SandboxClusterFacts): Promise<Record<string, string>> =>
  Object.fromEntries((await generationsOf(cluster)).map(({ keyId, state }) => [keyId ?? 'plaintext', state] as const));

describe('a change that Azure accepts and does not make', () => {
  const NAME = 'ignored-change';
  let cluster: SandboxClusterFacts;
  let current = '';

  beforeAll(async () => {
    cluster = await makeCluster(NAME, { count: SECRETS });
    const first = await askForRotation(requester, cluster.resourceId);
    await approver1.approve(first.id, first.plan?.digest ?? '');
    current = (await ended(requester, first.id)).result?.currentKeyId ?? '';
  });
  afterEach(() => control().clearFault('ignore-change'));

  async function untilBlocked(): Promise<OperationAnswer> {
    const asked = await askForRotation(requester, cluster.resourceId);
    await control().setFault('ignore-change', { path: `/managedClusters/${NAME}` });
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    const blocked = await until(requester, asked.id, ({ status }) => status === 'Blocked');
    expect(blocked.reason).toMatchObject({
      code: 'ChangeNotApplied',
      detail: expect.stringContaining('ended its operation Succeeded, but reports'),
    });
    expect(blocked.steps.find(({ status }) => status === 'blocked')?.id).toBe('rotate.set-kms');
    return blocked;
  }

  it('blocks before anything is rewritten or a key is called activated or evicted; canceled, it says so', async () => {
    const before = await statesOf(cluster);
    const blocked = await untilBlocked();
    expect(await statesOf(cluster)).toMatchObject(before);
    expect(Object.values(await statesOf(cluster)).filter((state) => state === 'evicted')).toEqual(
      Object.values(before).filter((state) => state === 'evicted'),
    );
    expect(blocked.keysNeeded).toContain(current);
    expect(await writtenKey(cluster)).toBe(current);

    await requester.cancel(blocked.id);
    const over = await ended(requester, blocked.id);
    expect(over).toMatchObject({ status: 'Canceled', result: null });
    expect(over.reason?.detail).not.toContain('writes with the new key');
    expect(over.keysNeeded).toContain(current);
    expect(await underKey(cluster, current)).toBe(SECRETS);
  });

  it('is sent again by a retry, and the operation ends as if nothing had been', async () => {
    const blocked = await untilBlocked();
    const puts = await writesOf(cluster);
    await control().clearFault('ignore-change');
    await requester.retry(blocked.id);
    const over = await ended(requester, blocked.id);
    expect(over).toMatchObject({ status: 'Succeeded', result: { proof: { secrets: SECRETS, unproven: 0 } } });
    expect(await writesOf(cluster)).toBe(puts + 1);
    const newKeyId = over.result?.currentKeyId ?? '';
    expect(await writtenKey(cluster)).toBe(newKeyId);
    expect(await underKey(cluster, newKeyId)).toBe(SECRETS);
    expect(await statesOf(cluster)).toMatchObject({ [newKeyId]: 'proven' });
  });
});

describe('a cluster that Azure changes for somebody else', () => {
  const NAME = 'changed-by-others';
  const path = `/managedclusters/${NAME}`;
  let cluster: SandboxClusterFacts;
  let service: DirectedService;

  beforeAll(async () => {
    [cluster, service] = await Promise.all([makeCluster(NAME, { count: 40 }), startDirectedService(NAME)]);
  });
  afterEach(() => control().clearFault('hold-operation'));
  afterAll(() => service.stop());

  /** Somebody changes tags, and Azure takes as long as the test wants. */
  async function changeTags(owner: string): Promise<void> {
    await control().setFault('hold-operation', { path });
    await tagByHand(cluster, { owner });
  }
  const waitsForAzure = ({ waitingFor }: OperationAnswer): boolean => waitingFor?.includes('Updating') ?? false;
  const runningStep = ({ steps }: OperationAnswer): string | undefined =>
    steps.find(({ status }) => status === 'running')?.id;

  it('is waited for, visibly, at approval, before the key is set and before the proof is recorded', async () => {
    const by = people(service.apiUrl);
    const writesBefore = await writesOf(cluster);
    const asked = await askForRotation(by.requester, cluster.resourceId);
    await changeTags('at-approval');
    await by.approver1.approve(asked.id, asked.plan?.digest ?? '');
    const approved = await until(by.requester, asked.id, waitsForAzure);
    expect(approved).toMatchObject({ planRevision: 1, offers: expect.arrayContaining(['cancel']) });

    // Each change begins while a step has not begun; the step after it is let go on, too, until one waits for Azure.
    const steps = service.holdSteps();
    await control().clearFault('hold-operation');
    const changedAt = async (step: string, owner: string): Promise<OperationAnswer> => {
      await until(by.requester, asked.id, () => passUntil(step));
      await changeTags(owner);
      steps.pass(step);
      return until(by.requester, asked.id, (now) => (passUntil(null), waitsForAzure(now)));
    };
    const passUntil = (step: string | null): boolean => {
      const at = steps.heldAt();
      if (at === null || at === step) return at !== null;
      steps.pass(at);
      return false;
    };

    // The current key is proven first.
    const before = await changedAt('current.prove', 'before-the-key-is-set');
    expect(runningStep(before)).toBe('current.record-proof');
    expect(await writtenKey(cluster)).toBe(cluster.keyId);
    await control().clearFault('hold-operation');

    const set = await changedAt('rotate.set-kms', 'when-the-key-is-set');
    expect(runningStep(set)).toBe('rotate.set-kms');
    expect(await writtenKey(cluster)).toBe(cluster.keyId);
    await control().clearFault('hold-operation');

    const atEnd = await changedAt('rotate.rewrite', 'before-the-proof-is-recorded');
    expect(runningStep(atEnd)).toBe('rotate.record-proof');
    await control().clearFault('hold-operation');

    const over = await ended(by.requester, asked.id);
    // The approval of the first plan was enough, and everything happened once.
    expect(over).toMatchObject({ status: 'Succeeded', planRevision: 1, result: { proof: { unproven: 0 } } });
    const changesOfTags = 4;
    expect(await writesOf(cluster)).toBe(writesBefore + changesOfTags + 1);
    expect(await underKey(cluster, over.result?.currentKeyId ?? '')).toBe(40);
  });
});

describe('an operation of Azure whose URL never shows an end', () => {
  const NAME = 'stuck-url';
  let cluster: SandboxClusterFacts;
  let service: Service;

  beforeAll(async () => {
    cluster = await makeCluster(NAME, { count: SECRETS });
    service = await startOwnService(NAME, { KEYTURN_CLUSTER_DECIDES_AFTER_SECONDS: '10' });
  });
  afterEach(() => control().clearFault('stuck-operation-url'));
  afterAll(() => service.stop());

  it('does not keep a canceled operation from ending', async () => {
    // Of the shared service, for which the cluster decides after minutes.
    const asked = await askForRotation(requester, cluster.resourceId);
    await control().setFault('stuck-operation-url', { path: `/managedClusters/${NAME}` });
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    await until(requester, asked.id, ({ waitingFor }) => waitingFor?.includes('though the cluster is') ?? false);
    await requester.cancel(asked.id);
    const over = await ended(requester, asked.id);
    expect(over.status).toBe('Canceled');
    expect(over.keysNeeded).toContain(await writtenKey(cluster));
    expect(over.keysNeeded).toContain(cluster.keyId);
  });

  it('is decided by the cluster, once that has rested for as long as the settings say', async () => {
    const own = people(service.apiUrl);
    const asked = await askForRotation(own.requester, cluster.resourceId);
    await control().setFault('stuck-operation-url', { path: `/managedClusters/${NAME}` });
    await own.approver1.approve(asked.id, asked.plan?.digest ?? '');
    await until(own.requester, asked.id, ({ waitingFor }) => waitingFor?.includes('though the cluster is') ?? false);
    const over = await ended(own.requester, asked.id);
    expect(over).toMatchObject({ status: 'Succeeded', result: { proof: { unproven: 0 } } });
    expect(await underKey(cluster, over.result?.currentKeyId ?? '')).toBe(SECRETS);
    const evidence = readFileSync(over.evidence?.file ?? '', 'utf8');
    expect(evidence).toMatch(/"decidedBy":\s*"cluster"/);
  });
});
