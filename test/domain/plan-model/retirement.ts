/** What the steps do that retire a key: activities/retirement.ts on the machine. */
import { usersOf, type KeyUsage } from '../../../domain/key-users';
import { currentGeneration } from '../../../domain/ledger';
import { outputOf, type StepOutput } from '../../../domain/plan/outputs';
import type { PlanStep } from '../../../domain/plan/steps';
import { wentBackwards } from '../../../domain/proof';
import { CLUSTER } from '../fixtures';
import type { Machine } from './machine';
import type { Behaviour } from './behaviour';
import { Blocked, type Effect, type Execution } from './running';

/** Another cluster of the same people. */
const OTHER_CLUSTER = CLUSTER.replace(/aks1$/, 'aks2');

/** What clusters need, as Keyturn can see it. */
export function keyUsage(machine: Machine, { ledger: { keysNeeded } }: Pick<Behaviour, 'ledger'>): KeyUsage {
  const [current, ...before] = machine.otherNeeds;
  const reported = machine.reportedKeyId();
  const own = { cluster: CLUSTER, ledger: machine.ledger ? keysNeeded(machine.ledger) : [] };
  return {
    clusters: [
      reported === null ? own : { ...own, current: reported },
      { cluster: OTHER_CLUSTER, ...(current === undefined ? {} : { current }), ledger: before },
    ],
    refusedSubscriptions: [],
  };
}

/** Looks for those who need a key, and whether the cluster still is what was proven. */
export const checkKeyUnused: Effect<'check-key-unused'> = function* ({ key }, execution) {
  requireUnused(key, execution);
  yield;
  const users = usersOf(keyUsage(execution.machine, execution.behaviour), key);
  return { type: 'check-key-unused', at: execution.machine.at, users };
};

/** Looks again, and disables at the same moment. */
export const disableKeyVersion: Effect<'disable-key-version'> = function* ({ key }, execution) {
  requireUnused(key, execution);
  execution.machine.disable(key);
  yield;
  return { type: 'disable-key-version', keyId: key };
};

/** Waits without the lock: others may take it, and the cluster is compared with what is expected afterwards. */
export const soak: Effect<'soak'> = function* ({ seconds }, { machine, run }) {
  const startedAt = machine.at;
  yield;
  machine.pass(seconds * 1000);
  run.unverified = true;
  yield;
  return { type: 'soak', startedAt, endedAt: machine.at };
};

/** Looks again, and deletes the key object if all its versions are disabled and nobody needs one. */
export const deleteKey: Effect<'delete-key'> = function* ({ key }, execution) {
  const { machine, behaviour } = execution;
  requireUnused(key, execution);
  const gone: StepOutput = { type: 'delete-key', recoveryId: key, scheduledPurgeOn: null, needed: [] };
  if (machine.azure.stateOf(key) === 'deleted') return gone;
  if (machine.azure.stateOf(key) !== 'disabled') throw new Blocked('KeyNotDisabled');
  const usage = keyUsage(machine, behaviour);
  const needed = machine.azure
    .versionsOf(key)
    .filter(
      (version) => machine.azure.stateOf(version) === 'enabled' || behaviour.usersOf(usage, version).users.length > 0,
    );
  if (needed.length === 0) machine.deleteObject(key);
  yield;
  return needed.length === 0 ? gone : { ...gone, recoveryId: null, needed };
};

function requireUnused(key: string, execution: Execution): void {
  requireProven(execution);
  const { machine, behaviour } = execution;
  const [fault] = behaviour.keyUserFaults(behaviour.usersOf(keyUsage(machine, behaviour), key));
  if (fault) throw new Blocked(fault.code);
}

/** Whether every Secret is still proven to be under what Azure reports. */
function requireProven({ machine, behaviour, run }: Execution): void {
  if (wentBackwards(provenRv(run.plan.steps, run.outputs), machine.cluster.list().resourceVersion))
    throw new Blocked('ResourceVersionWentBackwards');
  const { ledger } = machine;
  const current = ledger && currentGeneration(behaviour.ledger.reconcile(ledger, machine.reportedKeyId(), machine.at));
  const own = current?.proof?.operationId === run.id;
  const confirmed = ledger !== null && (own || behaviour.isConfirmed(ledger, CLUSTER, machine.evidence));
  if (current?.state !== 'proven' || !confirmed) throw new Blocked('ClusterChangedOutside');
}

function provenRv(steps: readonly PlanStep[], outputs: Execution['run']['outputs']): string {
  const proving = steps.findLast(({ type }) => type === 'prove');
  if (!proving) throw new Error('A retirement without a proof before it is no plan.');
  return outputOf(outputs, proving.id, 'prove').proof.finalRv;
}
