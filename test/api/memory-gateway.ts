/** Operations in memory: an honest stand-in for Temporal where a test is about HTTP. The real one is tested on a real server. */
import type { CsiInspected, Inspected, LedgerInspected } from '../../activities/contract';
import { approvedBy, decisionFault, type Decision } from '../../domain/approval';
import type { KeyUsers } from '../../domain/key-users';
import type { WorkerReport } from '../../domain/worker-report';
import { isFinal, OperationStatus, stepStates, type Operation } from '../../domain/operation';
import type { PlanStep } from '../../domain/plan/steps';
import { sealPlan } from '../../domain/plan/plan';
import { statusesOf, type Span } from '../../api/list-query';
import { newestFirst } from '../../api/newest-first';
import { isReadable } from '../../api/policy/decide';
import type {
  Message,
  Missing,
  NewOperation,
  OperationsGateway,
  OperationsPage,
  StoredOperation,
  WantedPage,
} from '../../api/operations-gateway';
import { ApiError } from '../../api/problem';
import type { PlannedOnly, PlanOnlyInput } from '../../workflows/messages';

const AT = '2026-01-01T00:00:00.000Z';

export class MemoryGateway implements OperationsGateway {
  readonly namespace = 'default';
  readonly started: NewOperation[] = [];
  readonly told: Message[] = [];
  /** Cluster resource id to the operation that executes on it. */
  readonly holders = new Map<string, string>();
  /** By cluster resource id. */
  readonly inspected = new Map<string, Inspected>();
  /** By cluster resource id. */
  readonly inspectedCsi = new Map<string, CsiInspected>();
  /** By cluster resource id. */
  readonly inspectedLedgers = new Map<string, LedgerInspected>();
  users: Omit<KeyUsers, 'keyId'> = { users: [], clusters: 0, unread: [], refusedSubscriptions: [] };
  report: WorkerReport = {
    at: new Date().toISOString(),
    signingKeyId: 'sha256:00',
    azure: { objectId: 'oid', clusters: 1, refusedSubscriptions: [] },
  };
  missingAttributes: { name: string; command: string }[] = [];
  /** What was asked to be planned and not started, and the answer. */
  readonly planned: PlanOnlyInput[] = [];
  plans: PlannedOnly = { plan: null, faults: [], censusTaken: null };
  lacks: Missing[] = [];
  /** Thrown by every call while it is set. */
  outage: ApiError | undefined;
  readonly #stored = new Map<string, StoredOperation>();

  find(id: string): Promise<StoredOperation | undefined> {
    return this.#answer(() => this.#stored.get(id));
  }

  list({ filters, size, after, within: grants }: WantedPage): Promise<OperationsPage> {
    const { cluster, kind, changeNumber, requester, since = 0 } = filters;
    const statuses = statusesOf(filters);
    const wanted = [...this.#stored.values()]
      .map(({ operation }) => ({ operation, id: operation.id, at: Date.parse(operation.requestedAt) }))
      .filter(
        ({ operation: { request, requestedBy, status }, at }) =>
          statuses.includes(status) &&
          isReadable(grants, request) &&
          (cluster ?? request.cluster.toLowerCase()) === request.cluster.toLowerCase() &&
          (kind ?? request.kind) === request.kind &&
          (changeNumber ?? request.change.number) === request.change.number &&
          (requester ?? requestedBy.objectId.toLowerCase()) === requestedBy.objectId.toLowerCase() &&
          at >= since,
      );
    const within = (span: Span) => wanted.filter(({ at }) => at >= span.since && at <= (span.until ?? Infinity));
    return this.#answer(async () => {
      const page = { size, oldest: since, after, now: Date.now() };
      const store = {
        count: async (span: Span) => within(span).length,
        list: async (span: Span) => within(span),
        some: async (span: Span, { most, without = [] }: { most: number; without?: readonly string[] }) => {
          const others = within(span).filter(({ id }) => !without.includes(id));
          return { entries: others.slice(0, most), all: others.length <= most };
        },
      };
      const { entries, next } = await newestFirst(store, page);
      return { operations: entries.map(({ operation }) => operation), unreadable: [], next };
    });
  }

  countOpen({ cluster, requester }: { cluster?: string; requester?: string }): Promise<number> {
    const open = [...this.#stored.values()].filter(
      ({ operation: { status, request, requestedBy } }) =>
        !isFinal(status) &&
        (cluster ?? request.cluster) === request.cluster &&
        (requester ?? requestedBy.objectId) === requestedBy.objectId,
    );
    return this.#answer(() => open.length);
  }

  start(asked: NewOperation): Promise<'started' | 'exists'> {
    return this.#answer(() => {
      if (this.#stored.has(asked.operation.id)) return 'exists';
      this.#stored.set(asked.operation.id, asked);
      this.started.push(asked);
      return 'started';
    });
  }

  plan(input: PlanOnlyInput): Promise<PlannedOnly> {
    return this.#answer(() => {
      this.planned.push(input);
      return this.plans;
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
      if (message.type === 'pause') {
        const { by, reason } = message;
        this.change(id, { paused: { by, at: new Date().toISOString(), reason }, offers: ['resume', 'cancel'] });
      }
      if (message.type === 'resume') {
        this.change(id, { paused: null, resumed: { by: message.by, at: new Date().toISOString() } });
      }
      if (message.type === 'retry') this.change(id, { status: OperationStatus.Running });
      return 'taken';
    });
  }

  inspect(cluster: string): Promise<Inspected> {
    return this.#answer(() => this.inspected.get(cluster) ?? { found: false, why: 'ARM knows no such cluster.' });
  }

  inspectCsi(cluster: string): Promise<CsiInspected> {
    return this.#answer(() => this.inspectedCsi.get(cluster) ?? { found: false, why: 'ARM knows no such cluster.' });
  }

  inspectLedger(cluster: string): Promise<LedgerInspected> {
    return this.#answer(
      () => this.inspectedLedgers.get(cluster) ?? { found: false, why: 'ARM knows no such cluster.' },
    );
  }

  keyUsers(keyId: string): Promise<KeyUsers> {
    return this.#answer(() => ({ keyId, ...this.users }));
  }

  examineWorker(): Promise<WorkerReport> {
    return this.#answer(() => this.report);
  }

  missingSearchAttributes(): Promise<{ name: string; command: string }[]> {
    return this.#answer(() => this.missingAttributes);
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

  /** Lets an operation have a plan that waits for approval. @param more steps after the gate @returns the plan's digest */
  planFor(id: string, change: Partial<Operation> = {}, more: readonly PlanStep[] = []): string {
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
        ...more,
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
      { requestedBy, planDigest: plan?.digest ?? null, open, gate: open ? 'approve' : null, approvals, at: AT },
      'approve',
    );
    if (fault) throw new ApiError(fault);
    if (approvedBy(decision, approvals, AT)) return;
    this.change(operation.id, { approvals: [...approvals, decision] });
  }

  async #answer<T>(work: () => T | Promise<T>): Promise<T> {
    await Promise.resolve();
    if (this.outage) throw this.outage;
    return await work();
  }
}
