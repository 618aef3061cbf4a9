/**
 * A worker that dies at the boundaries of the steps of every kind: after the work of each activity that writes, before Temporal hears
 * of it, and before the first activity of a step. Each operation has all of its crashes, one after the other; another worker goes
 * on each time, and the end is the same as without a crash.
 *
 * Kinds share their steps: a boundary is what the step before left and what the next one finds, and each of these is crashed at in one
 * kind at least, which the last test checks. `npm run test:crashes` crashes at every boundary of every kind.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pLimit from 'p-limit';
import type { OperationAnswer } from '../../cli/api-client';
import { KINDS } from '../../domain/kinds';
import { writesTo, type StepType } from '../../domain/plan/steps';
import { startDirectedService, type Crash } from '../support/directed-service';
import { expectEnd, KIND_ROWS, ROWS_OF_CLUSTERS, runToEnd, startOf, type KindRow, type Start } from '../support/kinds';
import { deleteCluster, people } from '../support/stack';

/** Steps that ask for no activity: there is nothing that a worker could be lost with. */
const WITHOUT_ACTIVITY: readonly StepType[] = ['gate', 'soak'];
/**
 * Steps before whose first activity a worker is lost, too, by kind. The cluster is then as it was after the step before, where every
 * kind has lost one: so it is enough that each type of step has it once.
 */
const ALSO_BEFORE: Readonly<Record<string, RegExp>> = {
  'rotate-key': /./,
  'retire-key': /^retire\./,
  'upgrade-to-kms-v2': /^upgrade\./,
  'enable-vault-diagnostics': /./,
  'provision-kms': /./,
  'recover-key': /^repair\./,
  'change-vault-access': /^set-vault-network$/,
  'connect-csi': /./,
  'disconnect-csi': /./,
};
/**
 * Steps that a kind loses a worker in, where other kinds lose one in the same steps; the empty id is the end of the operation. Kinds
 * that are not named lose one in all of theirs.
 */
const ONLY_AFTER: Readonly<Record<string, RegExp>> =
  process.env['KEYTURN_TEST_EVERY_CRASH'] === '1'
    ? {}
    : {
        // What rotate-key does has all of its boundaries there; a change from and to plaintext is switched and rewritten otherwise.
        'enable-kms': /^(?:on\.set-kms)?$/,
        'disable-kms': /^(?:off\.(?:set-kms|rewrite))?$/,
        // Two of rotate-key, and the first half of retire-key.
        'replace-key': /^(?:second\.take-baseline|retire\..*)?$/,
        'retire-key': /^(?:retire\..*)?$/,
        'change-vault': /^(?:move\.set-kms)?$/,
        'rewrite-secrets': /^(?:current\.prove)?$/,
        'recover-key': /^(?:repair\..*|recovered\.converge)?$/,
        // KMS v1 rewrites, too, when a state is proven. Its second half is enable-kms.
        'upgrade-to-kms-v2': /^(?:current\.prove|off\.(?:set-kms|rewrite)|upgrade\..*|on\.take-baseline)?$/,
        'change-vault-access': /^(?:set-vault-network|on\.take-baseline)?$/,
      };
/** Kinds at the same time, each on a cluster and a worker of its own: most of a crash is waiting for Temporal to notice it. */
const AT_ONCE = 3;
/** Two dozen crashes, four to six seconds each, and those of the kind before. */
const LIMIT_IN_MS = 900_000;

interface Run {
  readonly start: Start;
  readonly operation: OperationAnswer;
  readonly crashes: readonly Crash[];
}

describe('a worker that dies at every boundary', () => {
  const atOnce = pLimit(AT_ONCE);
  const runs = new Map<string, Promise<Run>>();

  const crashThrough = async (row: KindRow): Promise<Run> => {
    const name = `crash-${row.kind}`;
    const service = await startDirectedService(name);
    try {
      const start = await startOf(row, name);
      service.crashEverywhere({ before: ALSO_BEFORE[row.kind], after: ONLY_AFTER[row.kind] });
      const operation = await runToEnd(row, start, people(service.apiUrl));
      return { start, operation, crashes: service.crashes() };
    } finally {
      await service.stop();
    }
  };

  beforeAll(() => {
    for (const row of ROWS_OF_CLUSTERS) {
      const run = atOnce(() => crashThrough(row));
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
      const switches = run.operation.plan?.steps.filter(({ type }) => type === 'set-kms') ?? [];
      const repeated = switches.filter(({ id }) => ONLY_AFTER[kind]?.test(id) ?? true);
      await expectEnd(row, run.start, run.operation, repeated.length);
      await deleteCluster(run.start.cluster);

      const steps = run.operation.plan?.steps.filter(({ type }) => !WITHOUT_ACTIVITY.includes(type)) ?? [];
      const crashedAt = (when: Crash['when']): (string | null)[] =>
        run.crashes.filter((crash) => crash.when === when).map(({ step }) => step);
      expect(crashedAt('before')).toEqual(
        steps.map(({ id }) => id).filter((id) => ALSO_BEFORE[kind]?.test(id) ?? false),
      );
      const writing = steps
        .filter(({ id, type }) => writesTo(type) !== 'nothing' && (ONLY_AFTER[kind]?.test(id) ?? true))
        .map(({ id }) => id);
      // The last one is after the steps: the evidence was sealed, and is not sealed anew.
      expect([...new Set(crashedAt('after'))]).toEqual([...writing, null]);
    },
    LIMIT_IN_MS,
  );

  it('before its first activity is tried with every type of step', async () => {
    const tried = new Set<StepType>(WITHOUT_ACTIVITY);
    const planned = new Set<StepType>();
    for (const { operation, crashes } of await Promise.all(runs.values())) {
      for (const { id, type } of operation.plan?.steps ?? []) {
        planned.add(type);
        if (crashes.some(({ when, step }) => when === 'before' && step === id)) tried.add(type);
      }
    }
    expect([...planned].filter((type) => !tried.has(type))).toEqual([]);
  });

  it('after its work is tried with every step that writes, after every step that may come before it', async () => {
    const pairs = (of: Run, chosen: (id: string) => boolean): string[] =>
      (of.operation.plan?.steps ?? []).flatMap(({ id, type }, index, steps) =>
        writesTo(type) === 'nothing' || !chosen(id) ? [] : [`${steps[index - 1]?.type} → ${type}`],
      );
    const all = await Promise.all(runs.values());
    const tried = new Set(
      all.flatMap((run) => pairs(run, (id) => run.crashes.some(({ when, step }) => when === 'after' && step === id))),
    );
    expect(all.flatMap((run) => pairs(run, () => true)).filter((pair) => !tried.has(pair))).toEqual([]);
  });
});
