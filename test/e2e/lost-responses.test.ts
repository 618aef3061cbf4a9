/**
 * The answer to every write is lost: what was asked of ARM, the vault and the API server is carried out, and nobody hears of it. For
 * every kind the end is the same as with all answers, and nothing is done twice that must not be.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { OperationAnswer } from '../../cli/api-client';
import { KINDS } from '../../domain/kinds';
import type { StepType } from '../../domain/plan/steps';
import { mustParseKeyId } from '../../domain/resource-ids';
import type { JournalEntry } from '../../launch/sandbox-control';
import { CLUSTER_CHANGES, expectEnd, KIND_ROWS, runToEnd, SECRETS, startOf, type Start } from '../support/kinds';
import { control, people } from '../support/stack';

/** More than all operations here send. */
const EVERY = 1_000;
/** The answers to the first writes of each object are lost, so that writes that are repeated on purpose come to an end. */
const TIMES = 3;
const CONFIG_MAPS = '/api/v1/namespaces/kube-system/configmaps';
const CANARY = /^\/api\/v1\/namespaces\/kube-system\/secrets(?:\/keyturn-canary-[^/]+)?$/;
const CANARIES = 3;
const SECRET = /^\/api\/v1\/namespaces\/default\/secrets\/[^/]+$/;
const LIMIT_IN_MS = 400_000;

interface Run {
  readonly start: Start;
  readonly operation: OperationAnswer;
}

describe('a lost answer to every write', () => {
  const runs = new Map<string, Promise<Run>>();
  let journal: readonly JournalEntry[] = [];

  beforeAll(async () => {
    const starts = await Promise.all(
      KIND_ROWS.map(async (row) => ({ row, start: await startOf(row, `lost-${row.kind}`) })),
    );
    // By path, which the names of all clusters, vaults and keys here have; nobody else's.
    await control().setFault('lost-response', { method: 'any', path: 'lost-', requests: EVERY });
    await control().setFault('kube-lost-response', { path: '/managedClusters/lost-', times: TIMES });
    for (const { row, start } of starts) {
      const run = runToEnd(row, start, people()).then((operation) => ({ start, operation }));
      run.catch(() => undefined);
      runs.set(row.kind, run);
    }
  }, LIMIT_IN_MS);
  afterAll(async () => {
    await Promise.allSettled(runs.values());
    for (const fault of ['kube-lost-response', 'lost-response']) await control().clearFault(fault);
  }, LIMIT_IN_MS);

  it('is tried with every kind', () =>
    expect(KIND_ROWS.map(({ kind }) => kind)).toEqual(KINDS.map(({ name }) => name)));

  it.each(KIND_ROWS.map((row) => [row.kind, row] as const))(
    'of %s leaves what an undisturbed operation leaves',
    async (kind, row) => {
      const run = await runs.get(kind);
      if (run === undefined) throw new Error('It was not run.');
      const { start, operation } = run;
      journal = await control().journal();
      await expectEnd(row, start, operation);

      const steps = operation.plan?.steps ?? [];
      const count = (...types: StepType[]): number => steps.filter(({ type }) => types.includes(type)).length;
      expect(lostBy(start.cluster.resourceId, 'PUT')).toBe(count(...CLUSTER_CHANGES));
      expect(lostBy(`/keys/lost-${kind}/create`, 'POST')).toBe(count('create-key-version'));
      const { name, version } = mustParseKeyId(start.cluster.keyId);
      expect(lostBy(`/keys/${name}/${version}`, 'PATCH')).toBe(row.oldKey === undefined ? 0 : 1);
      expect(lostBy(`/keys/${name}`, 'DELETE')).toBe(row.oldKey === 'deleted' ? 1 : 0);

      const cluster = `lost-${kind}.kube`;
      expect(lostBy(SECRET, 'PATCH', cluster)).toBeGreaterThanOrEqual(SECRETS);
      // The ledger is made once, and changed before and after a change of the encryption, and when a state is proven.
      const made = start.ledgerWrites === 0 ? 1 : 0;
      expect(lostBy(CONFIG_MAPS, 'POST', cluster)).toBe(made);
      expect(lostBy(`${CONFIG_MAPS}/keyturn-ledger`, 'PUT', cluster)).toBe(
        Math.min(TIMES, 2 * count('set-kms') + count('record-proof') - made),
      );
      expect(lostBy(CANARY, 'POST', cluster)).toBe(CANARIES);
      expect(lostBy(CANARY, 'DELETE', cluster)).toBe(CANARIES);
    },
    LIMIT_IN_MS,
  );

  /** How many answers were lost. */
  function lostBy(path: RegExp | string, method: string, host?: string): number {
    const fits = (of: string): boolean =>
      typeof path === 'string' ? of.toLowerCase() === path.toLowerCase() : path.test(of);
    return journal.filter(
      (one) => !one.answered && one.method === method && (host === undefined || one.host === host) && fits(one.path),
    ).length;
  }
});
