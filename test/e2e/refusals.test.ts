/**
 * Every rule: a request that violates it is refused with its code, and nothing is touched. Each is tried with the first and the last of the
 * kinds that have it; test/domain/preconditions.test.ts has each precondition with each kind.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { ERRORS, type ErrorCode } from '../../domain/errors';
import { KINDS } from '../../domain/kinds';
import { ruleCodes } from '../../domain/planner';
import { clusterLockId } from '../../domain/resource-ids';
import { letApproveByHand, makeWorkspaceByHand } from '../support/by-hand';
import { revisions } from '../support/etcd';
import {
  KIND_ROWS,
  leaveOldKey,
  otherVault,
  requestOf,
  type KindRow,
  type Start,
  workspaceFor,
} from '../support/kinds';
import {
  BY_KEY_ONLY,
  clustersOf,
  NOT_IN_SANDBOX,
  REFUSALS,
  request,
  SAID_BY_OPERATIONS,
  type Refusal,
  type RefusalWorld,
} from '../support/refusals';
import { setEnabled } from '../support/retirement';
import { control, ended, makeCluster, openTemporal, people, testStack, until } from '../support/stack';

const SECRETS = 20;
const CODES = ruleCodes(KINDS);
function firstAndLast<T>(all: readonly T[]): T[] {
  return all.filter((_, index) => index === 0 || index === all.length - 1);
}

const Problem = z.object({ code: z.string(), errors: z.array(z.object({ code: z.string() })).optional() });

describe('a request that violates a rule', () => {
  let world: RefusalWorld;
  let temporal: Client;

  beforeAll(async () => {
    temporal = await openTemporal();
    const [on, off, v1, retired] = await Promise.all([
      makeCluster('refusals-on', { count: SECRETS }, { vnetIntegration: true }),
      makeCluster('refusals-off', { count: SECRETS }, { kms: false }),
      makeCluster('refusals-v1', { count: SECRETS }, { kubernetesVersion: '1.26' }),
      makeCluster('refusals-retired', { count: SECRETS }),
    ]);
    const [otherKey] = await Promise.all([
      otherVault(on, 'refusals'),
      leaveOldKey(retired, 'refusals-retired'),
      makeWorkspaceByHand(workspaceFor(on)),
      letApproveByHand(on, 'kv-refusals-on'),
    ]);
    world = { on, off, v1, retired, otherKey };
  });
  afterAll(async () => {
    await control().clearFault('hold-operation');
    await temporal.connection.close();
  });

  it('is here for every rule, but for those that the sandbox cannot bring about', () => {
    const groups = [REFUSALS, NOT_IN_SANDBOX, SAID_BY_OPERATIONS];
    const groupsOf = (code: ErrorCode): number => groups.filter((group) => group[code] !== undefined).length;
    expect(CODES.filter((code) => groupsOf(code) !== 1)).toEqual([]);
    const rows = groups.flatMap((group) => Object.keys(group));
    expect(rows.filter((code) => !CODES.includes(code as ErrorCode))).toEqual([]);
    expect(KIND_ROWS.map(({ kind }) => kind)).toEqual(KINDS.map(({ name }) => name));
  });

  describe.each(CODES.filter((code) => REFUSALS[code] !== undefined))('%s', (code) => {
    const { keyId } = REFUSALS[code] ?? {};
    const arranged = arrangedFor(REFUSALS[code] ?? {});

    const kinds = KINDS.filter(
      (kind) => ruleCodes([kind]).includes(code) && BY_KEY_ONLY[code]?.includes(kind.name) !== true,
    );
    // A key may be named for the second rotation as well.
    const names = kinds.flatMap(({ name }): [string, string][] =>
      keyId !== undefined && name === 'replace-key'
        ? [
            [name, 'keyId'],
            [name, 'nextKeyId'],
          ]
        : [[name, 'keyId']],
    );
    it.each(firstAndLast(names))('refuses %s by its %s, and touches nothing', async (kind, member) => {
      const row = rowOf(kind);
      const body = requestOf(row, startFor(row));
      const { cluster, parameters } = { ...REFUSALS[code], ...REFUSALS[code]?.of?.[kind] };
      const asked = {
        ...body,
        cluster: cluster?.(world).resourceId ?? String(body['cluster']),
        parameters: {
          ...(body['parameters'] as object),
          ...parameters,
          ...(arranged.key === undefined ? {} : { [member]: arranged.key }),
        },
      };
      const before = await touched();
      const { status, codes } = await post(asked);
      expect(codes).toContain(code);
      expect(status).toBe(ERRORS[codes[0] as ErrorCode].status);
      expect(await touched()).toEqual(before);
      await expectNoWorkflow(asked.cluster);
    });
  });

  describe('between approval and execution', () => {
    // AKS takes no change of a cluster whose key does not work, but it can be stopped.
    const lateFor = (kind: string): ErrorCode => {
      if (kind === 'recover-key') return 'ClusterNotRunning';
      // Keys of the cluster do not matter to pods that read a vault.
      return kind.endsWith('-csi') ? 'LocalAccountsDisabled' : 'PlatformManagedEncryption';
    };

    // What makes a cluster has none that could change: test/e2e/create-cluster.test.ts.
    const kinds = KINDS.filter(({ startsWithout }) => startsWithout === undefined);
    it.each(kinds.map(({ name }) => name))('ends %s, touches nothing, and leaves no lock', async (kind) => {
      const row = rowOf(kind);
      const { requester, approver1, approver2 } = people();
      const start = kind === 'retire-key' ? { cluster: world.retired } : startFor(row);
      const own = start.cluster;
      const late = lateFor(kind);
      if (kind === 'recover-key') await setEnabled(own.keyId, false);
      const { operation: asked } = await requester.create(requestOf(row, start), randomUUID());
      const { plan: planned } = await until(requester, asked.id, ({ offers }) => offers.includes('approve'));
      const steps = planned?.steps ?? [];
      // Those before the first step; a gate in the middle is not reached.
      const gates = steps.slice(
        0,
        steps.findIndex(({ type }) => type !== 'gate'),
      );
      const takeBack = await REFUSALS[late]?.arrange?.(world);
      const before = await touched();
      for (const [index, { id }] of gates.entries()) {
        const { plan } = await until(requester, asked.id, ({ status, steps }) =>
          steps.some((step) => step.id === id && step.status === 'running' && status === 'AwaitingApproval'),
        );
        await [approver1, approver2][index % 2]?.approve(asked.id, plan?.digest ?? '', id);
      }
      const over = await ended(requester, asked.id);
      expect(over).toMatchObject({ status: 'Failed', reason: { code: late }, result: null });
      expect(await touched()).toEqual(before);
      await expectLockFree(own.resourceId);
      if (kind === 'recover-key') await setEnabled(own.keyId, true);
      await takeBack?.();
    });
  });

  const said = Object.entries(SAID_BY_OPERATIONS) as [ErrorCode, (typeof SAID_BY_OPERATIONS)['KeyInUse'] & object][];
  describe.each(said)('%s, which the operation finds', (code, refusal) => {
    const { cluster, parameters, says } = refusal;
    const arranged = arrangedFor(refusal);

    const kinds = KINDS.filter(
      (kind) => ruleCodes([kind]).includes(code) && BY_KEY_ONLY[code]?.includes(kind.name) !== true,
    );
    it.each(firstAndLast(kinds.map(({ name }) => name)))('ends %s, and touches nothing', async (kind) => {
      const { requester } = people();
      const row = rowOf(kind);
      const body = requestOf(row, startFor(row));
      const of = cluster?.(world).resourceId ?? startFor(row).cluster.resourceId;
      const before = await touched();
      const { operation: asked } = await requester.create(
        {
          ...body,
          cluster: of,
          parameters: {
            ...(body['parameters'] as object),
            ...parameters,
            ...(arranged.key === undefined ? {} : { keyId: arranged.key }),
          },
        },
        randomUUID(),
      );
      const over = await ended(requester, asked.id);
      const reason = { code, detail: expect.stringMatching(says) };
      expect(over).toMatchObject({ status: 'Failed', plan: null, reason, result: null });
      expect(await touched()).toEqual(before);
      await expectLockFree(of);
    });
  });

  /** Has the world as a refusal wants it while the tests of its block run. @returns the key that requests are to name, from then on */
  function arrangedFor({ arrange, keyId }: Refusal): { readonly key: string | undefined } {
    let takeBack: (() => Promise<void>) | undefined;
    const arranged: { key: string | undefined } = { key: undefined };
    beforeAll(async () => {
      takeBack = await arrange?.(world);
      arranged.key = await keyId?.(world);
    });
    afterAll(() => takeBack?.());
    return arranged;
  }

  function rowOf(kind: string): KindRow {
    const row = KIND_ROWS.find((one) => one.kind === kind);
    if (row === undefined) throw new Error(`The kind ${kind} has no row.`);
    return row;
  }

  /** The cluster that a kind is for, among those here, and another key for it. */
  function startFor({ cluster, prepare }: KindRow): Pick<Start, 'cluster' | 'key'> {
    if (cluster.kubernetesVersion !== undefined) return { cluster: world.v1 };
    return { cluster: cluster.kms === false && prepare === undefined ? world.off : world.on, key: world.otherKey };
  }

  async function post(body: unknown): Promise<{ status: number; codes: string[] }> {
    const { apiUrl, sandbox } = testStack();
    const response = await fetch(`${apiUrl}/v1/operations`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${sandbox.people.requester.token}`,
        'content-type': 'application/json',
        'idempotency-key': randomUUID(),
      },
      body: JSON.stringify(body),
    });
    const { code, errors = [] } = Problem.parse(await response.json());
    return { status: response.status, codes: [code, ...errors.map((one) => one.code)] };
  }

  /** All that an operation could write to: ARM and vaults by the journal, the clusters in ARM, Secrets and ConfigMaps in etcd. */
  async function touched(): Promise<unknown> {
    const journal = (await control().journal()).filter(({ host, path }) => `${host}${path}`.includes('refusals-'));
    const clusters = [];
    for (const { resourceId, etcd } of [...clustersOf(world), world.retired]) {
      const inside = [await revisions(etcd, '/registry/secrets/'), await revisions(etcd, '/registry/configmaps/')];
      clusters.push({ body: await request('GET', resourceId), inside });
    }
    return { journal, clusters };
  }

  async function expectLockFree(cluster: string): Promise<void> {
    const lock = await temporal.workflow
      .getHandle(clusterLockId(cluster))
      .describe()
      .catch((error: unknown) => {
        if (error instanceof WorkflowNotFoundError) return undefined;
        throw error;
      });
    expect(lock?.status.name).not.toBe('RUNNING');
  }

  async function expectNoWorkflow(cluster: string): Promise<void> {
    const lock = temporal.workflow.getHandle(clusterLockId(cluster)).describe();
    await expect(lock).rejects.toBeInstanceOf(WorkflowNotFoundError);
    const value = cluster
      .split('/')
      .filter((_part, index) => [2, 4, 8].includes(index))
      .join('/')
      .toLowerCase();
    for await (const { workflowId } of temporal.workflow.list({ query: `KeyturnCluster = "${value}"` }))
      throw new Error(`The operation ${workflowId} was started.`);
  }
});
