/**
 * The answer to every write is lost: what was asked of ARM, the vault and the API server is carried out, and Keyturn gets no answer. For
 * every kind the end is the same as with all answers, and nothing is done twice that must not be.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pLimit from 'p-limit';
import type { OperationAnswer } from '../../cli/api-client';
import { KINDS } from '../../domain/kinds';
import type { StepType } from '../../domain/plan/steps';
import { mustParseKeyId } from '../../domain/resource-ids';
import type { JournalEntry } from '../../launch/sandbox-control';
import {
  CLUSTER_CHANGES,
  expectEnd,
  KIND_ROWS,
  ROWS_OF_CLUSTERS,
  runToEnd,
  SECRETS,
  startOf,
  type KindRow,
  type Start,
} from '../support/kinds';
import { control, deleteCluster, people } from '../support/stack';

/** More than all operations here send. */
const EVERY = 1_000;
/** The answers to the first writes of each object are lost, so that writes that are repeated on purpose come to an end. */
const TIMES = 3;
const CONFIG_MAPS = '/api/v1/namespaces/kube-system/configmaps';
const CANARY = /^\/api\/v1\/namespaces\/kube-system\/secrets(?:\/keyturn-canary-[^/]+)?$/;
const CANARIES = 3;
const SECRET = /^\/api\/v1\/namespaces\/default\/secrets\/[^/]+$/;
/** A row waits for those before it. */
const LIMIT_IN_MS = 900_000;

/** Kinds at the same time: most of a lost answer is waiting until the request is sent again. */
const AT_ONCE = 3;

/** No name is the beginning of another one: clusters of other rows are made while the answers of this one are lost. */
const nameOfRow = (row: KindRow): string => `lost-row-${String.fromCharCode(97 + KIND_ROWS.indexOf(row))}`;

interface Run {
  readonly start: Start;
  readonly operation: OperationAnswer;
}

describe('a lost answer to every write', () => {
  const atOnce = pLimit(AT_ONCE);
  const runs = new Map<string, Promise<Run>>();
  let journal: readonly JournalEntry[] = [];

  const loseAll = async (row: KindRow): Promise<Run> => {
    const name = nameOfRow(row);
    const start = await startOf(row, name);
    // By path, which the names of its cluster, vaults and keys have; no other's.
    const faults = { 'lost-response': name, 'kube-lost-response': `/managedClusters/${name}` };
    await control().setFault('lost-response', { method: 'any', path: name, requests: EVERY });
    await control().setFault('kube-lost-response', { path: faults['kube-lost-response'], times: TIMES });
    try {
      return { start, operation: await runToEnd(row, start, people()) };
    } finally {
      for (const [fault, path] of Object.entries(faults)) await control().clearFault(fault, path);
    }
  };

  beforeAll(() => {
    for (const row of ROWS_OF_CLUSTERS) {
      const run = atOnce(() => loseAll(row));
      run.catch(() => undefined);
      runs.set(row.kind, run);
    }
  });
  afterAll(() => atOnce.clearQueue());

  it('is tried with every kind', () =>
    expect(KIND_ROWS.map(({ kind }) => kind)).toEqual(KINDS.map(({ name }) => name)));

  it.each(ROWS_OF_CLUSTERS.map((row) => [row.kind, row] as const))(
    'of %s leaves what an undisturbed operation leaves',
    async (kind, row) => {
      const run = await runs.get(kind);
      if (run === undefined) throw new Error('It was not run.');
      const { start, operation } = run;
      const name = nameOfRow(row);
      journal = await control().journal();
      const steps = operation.plan?.steps ?? [];
      const count = (...types: StepType[]): number => steps.filter(({ type }) => types.includes(type)).length;
      // The ledger is made once, and changed before and after a change of the encryption, and when a state is proven.
      const proofs = count('record-proof');
      const made = start.ledgerWrites === 0 && proofs > 0 ? 1 : 0;
      const lostNotes = Math.min(TIMES, 2 * count('set-kms') + proofs - made);
      for (const { method, path: to, times = 1, before = 0 } of row.vaultWrites ?? [])
        // Kinds before this one wrote such paths, too.
        expect(lostBy(to, method, name)).toBe(times - before);
      // Where the ledger is there already, the first answer that is lost is that to a proof.
      await expectEnd(row, start, operation, count('set-kms') === 0 ? 0 : lostNotes - (1 - made));

      expect(lostBy(start.cluster.resourceId, 'PUT')).toBe(count(...CLUSTER_CHANGES));
      expect(lostBy(`/keys/${name}/create`, 'POST')).toBe(count('create-key-version'));
      const { version } = mustParseKeyId(start.cluster.keyId);
      expect(lostBy(`/keys/${name}/${version}`, 'PATCH')).toBe(
        (row.oldKey === undefined ? 0 : 1) + count('enable-key-version'),
      );
      expect(lostBy(`/keys/${name}`, 'DELETE')).toBe(row.oldKey === 'deleted' ? 1 : 0);

      expect(lostBy(SECRET, 'PATCH', name)).toBeGreaterThanOrEqual(row.timesStored > start.stored ? SECRETS : 0);
      expect(lostBy(CONFIG_MAPS, 'POST', name)).toBe(made);
      expect(lostBy(`${CONFIG_MAPS}/keyturn-ledger`, 'PUT', name)).toBe(lostNotes);
      for (const method of ['POST', 'DELETE']) expect(lostBy(CANARY, method, name)).toBe(proofs > 0 ? CANARIES : 0);
      await deleteCluster(start.cluster);
    },
    LIMIT_IN_MS,
  );

  /** How many answers were lost. @param name only of the cluster of this name, and of what is named after it */
  function lostBy(path: RegExp | string, method: string, name?: string): number {
    const fits = (of: string): boolean =>
      typeof path === 'string' ? of.toLowerCase() === path.toLowerCase() : path.test(of);
    return journal.filter(
      (one) =>
        !one.answered &&
        one.method === method &&
        (name === undefined || `${one.host}${one.path}`.includes(name)) &&
        fits(one.path),
    ).length;
  }
});
