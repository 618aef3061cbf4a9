/**
 * The answer to every write is lost: what was asked of ARM, the vault and the API server is carried out, and Keyturn gets no answer. For
 * every kind the end is the same as with all answers, and nothing is done twice that must not be.
 */
import { afterEach, describe, expect, it } from '@jest/globals';
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
const LIMIT_IN_MS = 400_000;

/** No name is the beginning of another one: the cluster of the next row is made while the answers of this one are lost. */
const nameOfRow = (row: KindRow): string => `lost-row-${String.fromCharCode(97 + KIND_ROWS.indexOf(row))}`;

describe('a lost answer to every write', () => {
  const starts = new Map<KindRow, Promise<Start>>();
  let journal: readonly JournalEntry[] = [];
  /** What the row at hand began with. */
  let over: Start | undefined;

  afterEach(async () => {
    for (const fault of ['kube-lost-response', 'lost-response']) await control().clearFault(fault);
    // After that: the answer to this deletion must not be lost.
    if (over) await deleteCluster(over.cluster);
    over = undefined;
  });

  /** The cluster of a row, which is made while the kind before it runs. */
  function startOfRow(row: KindRow): Promise<Start> {
    const start = starts.get(row) ?? startOf(row, nameOfRow(row));
    start.catch(() => undefined);
    starts.set(row, start);
    return start;
  }

  it('is tried with every kind', () =>
    expect(KIND_ROWS.map(({ kind }) => kind)).toEqual(KINDS.map(({ name }) => name)));

  it.each(ROWS_OF_CLUSTERS.map((row) => [row.kind, row] as const))(
    'of %s leaves what an undisturbed operation leaves',
    async (_kind, row) => {
      const start = await startOfRow(row);
      over = start;
      const next = ROWS_OF_CLUSTERS[ROWS_OF_CLUSTERS.indexOf(row) + 1];
      if (next) void startOfRow(next);
      const name = nameOfRow(row);
      // By path, which the names of its cluster, vaults and keys have; no other's.
      await control().setFault('lost-response', { method: 'any', path: name, requests: EVERY });
      await control().setFault('kube-lost-response', { path: `/managedClusters/${name}`, times: TIMES });
      const operation = await runToEnd(row, start, people());
      journal = await control().journal();
      const steps = operation.plan?.steps ?? [];
      const count = (...types: StepType[]): number => steps.filter(({ type }) => types.includes(type)).length;
      // The ledger is made once, and changed before and after a change of the encryption, and when a state is proven.
      const proofs = count('record-proof');
      const made = start.ledgerWrites === 0 && proofs > 0 ? 1 : 0;
      const lostNotes = Math.min(TIMES, 2 * count('set-kms') + proofs - made);
      for (const { method, path: to } of row.vaultWrites ?? []) expect(lostBy(to, method)).toBe(1);
      // Where the ledger is there already, the first answer that is lost is that to a proof.
      await expectEnd(row, start, operation, count('set-kms') === 0 ? 0 : lostNotes - (1 - made));

      expect(lostBy(start.cluster.resourceId, 'PUT')).toBe(count(...CLUSTER_CHANGES));
      expect(lostBy(`/keys/${name}/create`, 'POST')).toBe(count('create-key-version'));
      const { version } = mustParseKeyId(start.cluster.keyId);
      expect(lostBy(`/keys/${name}/${version}`, 'PATCH')).toBe(
        (row.oldKey === undefined ? 0 : 1) + count('enable-key-version'),
      );
      expect(lostBy(`/keys/${name}`, 'DELETE')).toBe(row.oldKey === 'deleted' ? 1 : 0);

      const cluster = `${name}.kube`;
      expect(lostBy(SECRET, 'PATCH', cluster)).toBeGreaterThanOrEqual(row.timesStored > start.stored ? SECRETS : 0);
      expect(lostBy(CONFIG_MAPS, 'POST', cluster)).toBe(made);
      expect(lostBy(`${CONFIG_MAPS}/keyturn-ledger`, 'PUT', cluster)).toBe(lostNotes);
      for (const method of ['POST', 'DELETE']) expect(lostBy(CANARY, method, cluster)).toBe(proofs > 0 ? CANARIES : 0);
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
