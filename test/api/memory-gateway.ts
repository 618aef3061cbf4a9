/** Operations in memory: an honest stand-in for Temporal where a test is about HTTP. The real one is tested on a real server. */
import type { Inspected } from '../../activities/contract';
import { approvedBy, decisionFault, type Decision } from '../../domain/approval';
import { OperationStatus, stepStates, type Operation } from '../../domain/operation';
import { sealPlan } from '../../domain/plan/plan';
import type { Message, Missing, NewOperation, OperationsGateway, StoredOperation } from '../../api/operations-gateway';
import { ApiError } from '../../api/problem';

export class MemoryGateway implements OperationsGateway {
  readonly namespace = 'default';
  readonly started: NewOperation[] = [];
  readonly told: Message[] = [];
  /** Cluster resource id to the operation that executes on it. */
  readonly holders = new Map<string, string>();
  /** By cluster resource id. */
  readonly inspected = new Map<string, Inspected>();
  lacks: Missing[] = [];
  /** Thrown by every call while it is set. */
  outage: ApiError | undefined;
  readonly #stored = new Map<string, StoredOperation>();

  find(id: string): Promise<StoredOperation | undefined> {
    return this.#answer(() => this.#stored.get(id));
  }

  start(asked: NewOperation): Promise<'started' | 'exists'> {
    return this.#answer(() => {
      if (this.#stored.has(asked.operation.id)) return 'exists';
      this.#stored.set(asked.operation.id, asked);
      this.started.push(asked);
      return 'started';
    });
  }

  holderOf(cluster: string): Promise<string | undefined> {
    return this.#answer(() => this.holders.get(cluster));
  }

  tell(id: string, message: Message): Promise<'taken' | 'ended'> {
    return this.#answer(() => {
      const operation = this.operation(id);
      this.told.push(message);
      if (message.type === 'approve') this.#approve(operation, message.decision);
      if (message.type === 'deny' || message.type === 'cancel')
        this.change(id, { status: OperationStatus.Canceled, offers: [] });
      if (message.type === 'retry') this.change(id, { status: OperationStatus.Running });
      return 'taken';
    });
  }

  inspect(cluster: string): Promise<Inspected> {
    return this.#answer(() => this.inspected.get(cluster) ?? { found: false, why: 'ARM knows no such cluster.' });
  }

  missing(): Promise<readonly Missing[]> {
    return Promise.resolve(this.lacks);
  }

  operation(id: string): Operation {
    const stored = this.#stored.get(id);
    if (!stored) throw new Error(`There is no ${id}.`);
    return stored.operation;
  }

  change(id: string, change: Partial<Operation>): void {
    const stored = this.#stored.get(id);
    if (stored) this.#stored.set(id, { ...stored, operation: { ...stored.operation, ...change } });
  }

  /** Lets an operation have a plan that waits for approval. @returns the plan's digest */
  plan(id: string, change: Partial<Operation> = {}): string {
    const { request } = this.operation(id);
    const plan = sealPlan({
      kind: request.kind,
      cluster: request.cluster,
      changeNumber: request.change.number,
      summary: 'Turn it.',
      from: { mode: 'off' },
      to: { mode: 'off' },
      keysNeeded: [],
      steps: [
        {
          id: 'approve',
          type: 'gate',
          gate: 'start',
          approvals: 1,
          title: 'Wait for approval',
          reason: 'No person rotates a key alone.',
        },
      ],
      warnings: [],
    });
    this.change(id, {
      status: OperationStatus.AwaitingApproval,
      plan,
      planRevision: 1,
      steps: stepStates(plan, [{ id: 'approve', status: 'running' }]),
      offers: ['approve', 'deny', 'cancel'],
      ...change,
    });
    return plan.digest;
  }

  #approve(operation: Operation, decision: Decision): void {
    const { requestedBy, plan, status, approvals } = operation;
    const open = status === OperationStatus.AwaitingApproval;
    const fault = decisionFault(
      decision,
      { requestedBy, planDigest: plan?.digest ?? null, open, gate: open ? 'approve' : null, approvals },
      'approve',
    );
    if (fault) throw new ApiError(fault);
    if (approvedBy(decision, approvals)) return;
    const { by, planDigest, comment } = decision;
    this.change(operation.id, {
      approvals: [...approvals, { by, planDigest, gate: 'approve', comment, at: '2026-01-01T00:00:00.000Z' }],
    });
  }

  async #answer<T>(work: () => T): Promise<T> {
    await Promise.resolve();
    if (this.outage) throw this.outage;
    return work();
  }
}
