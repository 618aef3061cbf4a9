/**
 * How activities run: what every one has in common, whatever it does.
 *
 * Does: heartbeats; gives an activity that carries out a step that step, and before it writes makes sure that people approved the
 * step, that the operation has not ended, and that it holds the cluster's lock; says what went wrong in codes of the error table.
 */
import { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import type { ErrorCode } from '../domain/errors';
import type { Plan } from '../domain/plan/plan';
import { madeKeysFault } from '../domain/plan/made-keys';
import { stepOf, type StepOf, type StepType } from '../domain/plan/steps';
import type { ApprovedPlans } from './approved-plan';
import type { ClusterConnections } from './cluster-connections';
import { requireLock } from './cluster-lock';
import { refuseUsedOperationId, type EvidenceStore } from './evidence';
import type { PlanReference, StepReference } from './contract';
import { needsPerson, toFailure } from './failures';
import type { KubeConnection } from './kubernetes/connection';
import { currentActivity, keptAlive, type Running } from './running';

/** What an activity is called in its failures, and what is particular to it. */
export interface ActivityFacts {
  /** What was being done, to complete "… failed". */
  readonly doing: string;
  /** The code of a refusal by ARM. */
  readonly armRefusal?: ErrorCode;
  /** The code of a refusal by a vault. */
  readonly vaultRefusal?: ErrorCode;
  /** What a refusal by a vault means for the keys, and what to do. */
  readonly afterVaultRefusal?: string;
}

/** What ARM refuses on the way into a cluster. */
export const INSIDE = { armRefusal: 'ClusterAccessRefused' } as const;

/** What an activity that belongs to a plan works with. */
export interface PlanWork extends Running {
  readonly operationId: string;
  readonly cluster: string;
  /** Runs work with a connection to the cluster of the plan. */
  readonly inside: <T>(work: (connection: KubeConnection) => Promise<T>) => Promise<T>;
}

/** What an activity that carries out a step works with. */
export interface StepWork<Type extends StepType> extends PlanWork {
  readonly step: StepOf<Type>;
}

/** The same with the plan that the step is of. */
export interface PlannedStep<Type extends StepType> extends StepWork<Type> {
  readonly plan: Plan;
}

/** The operation that asks for the activity at hand: the workflow that Temporal runs it for. */
export function askingOperation(): string {
  const operationId = Context.current().info.workflowExecution?.workflowId;
  if (operationId === undefined) throw new Error('An activity of an operation was asked for by no workflow.');
  return operationId;
}

/** Makes activities out of work. */
export class ActivityRunner {
  constructor(
    private readonly client: Client,
    private readonly plans: ApprovedPlans,
    private readonly connections: ClusterConnections,
    private readonly evidence: EvidenceStore,
    /** Called before and after work that writes to a cluster or its vault: what was known of its Secrets may be over. */
    private readonly onWrite: (cluster: string) => void,
  ) {}

  /** Work that belongs to no plan, and writes nothing to a cluster. */
  plain<Input, Result>(
    facts: ActivityFacts,
    work: (input: Input, running: Running) => Promise<Result>,
  ): (input: Input) => Promise<Result> {
    return (input) => this.#run(facts, (running) => work(input, running));
  }

  /** Work for a plan. It writes only what any operation may: the removal of its own objects. */
  forPlan<Input extends PlanReference, Result>(
    facts: ActivityFacts,
    work: (input: Input, plan: PlanWork) => Promise<Result>,
  ): (input: Input) => Promise<Result> {
    return (input) => this.#run(facts, async (running) => work(input, (await this.#planWork(input, running)).work));
  }

  /** Work that only looks at what a step of one of the types has done. */
  readsForStep<Type extends StepType, Input extends StepReference, Result>(
    types: readonly Type[],
    facts: ActivityFacts,
    work: (input: Input, step: PlannedStep<Type>) => Promise<Result>,
  ): (input: Input) => Promise<Result> {
    return (input) => this.#run(facts, async (running) => work(input, await this.#stepWork(types, input, running)));
  }

  /** Work that carries out a step of one of the types: under the lock of the cluster, which is checked first. */
  writesForStep<Type extends StepType, Input extends StepReference, Result>(
    types: readonly Type[],
    facts: ActivityFacts,
    work: (input: Input, step: PlannedStep<Type>) => Promise<Result>,
  ): (input: Input) => Promise<Result> {
    return (input) =>
      this.#run(facts, async (running) => {
        const step = await this.#stepWork(types, input, running);
        await this.plans.requireApproved(step.operationId, input.planDigest, input.step);
        // A workflow that was set back, or started again under its id, must not do again what has ended.
        await refuseUsedOperationId(step.operationId, this.evidence);
        await requireLock(this.client, step.cluster, step.operationId);
        this.onWrite(step.cluster);
        try {
          return await work(input, step);
        } finally {
          this.onWrite(step.cluster);
        }
      });
  }

  /** Work that removes the operation's own objects of a step of one of the types: also after the lock is gone. */
  clearsForStep<Type extends StepType, Input extends StepReference, Result>(
    types: readonly Type[],
    facts: ActivityFacts,
    work: (input: Input, step: PlannedStep<Type>) => Promise<Result>,
  ): (input: Input) => Promise<Result> {
    return (input) => this.#run(facts, async (running) => work(input, await this.#stepWork(types, input, running)));
  }

  async #stepWork<Type extends StepType>(
    types: readonly Type[],
    input: StepReference,
    running: Running,
  ): Promise<PlannedStep<Type>> {
    const { plan, work } = await this.#planWork(input, running);
    const fault = madeKeysFault(plan, input.made);
    if (fault !== undefined) throw needsPerson(fault.code, fault.detail);
    return { ...work, plan, step: stepOf(plan.steps, input.step, ...types) };
  }

  async #planWork({ planDigest }: PlanReference, running: Running): Promise<{ plan: Plan; work: PlanWork }> {
    const operationId = askingOperation();
    const plan = await this.plans.read(operationId, planDigest);
    const { cluster } = plan;
    const { signal, heartbeat } = running;
    const inside = <T>(work: (connection: KubeConnection) => Promise<T>): Promise<T> =>
      this.connections.use(cluster, signal, work);
    return { plan, work: { operationId, cluster, signal, heartbeat, inside } };
  }

  async #run<T>({ doing, ...refusals }: ActivityFacts, work: (running: Running) => Promise<T>): Promise<T> {
    const running = currentActivity();
    try {
      // Also before and after the heartbeats of its own: one request alone may take longer than Temporal waits for a heartbeat, as
      // behind a webhook that does not answer.
      let last: unknown;
      const telling = (details?: unknown): void => running.heartbeat((last = details));
      return await keptAlive(
        running,
        () => last,
        () => work({ ...running, heartbeat: telling }),
      );
    } catch (error) {
      // Whatever broke because of a cancellation, the cancellation is what happened.
      running.signal.throwIfAborted();
      throw toFailure(error, { doing, ...refusals });
    }
  }
}
