/**
 * POST /v1/operations: asks for one change.
 *
 * In this order:
 * 0. When the policy does not let the caller ask for this, the route refuses, without looking anything up.
 * 1. When this Idempotency-Key stands for an operation already, the route answers with it, without asking Azure again.
 * 2. When the window of the change has ended, the route refuses.
 * 3. When another operation executes on the cluster, the route refuses and names it. This comes before Azure is asked, since
 *    that operation may be the cause of what Azure would report.
 * 4. When preconditions do not hold, the route refuses with all of them.
 * 5. When the caller or the cluster has too many open operations, the route refuses.
 * 6. The route starts the operation.
 *
 * With `validateOnly` it does 2 to 4, and then has a worker make the plan instead of 5 and 6 (docs/decisions/029).
 */
import { AzureError } from '../../azure/errors';
import { windowFaults } from '../../domain/change/window';
import { digestOf } from '../../domain/canonical';
import { isErrorCode, type ErrorCode, type Fault } from '../../domain/errors';
import { newOperation } from '../../domain/new-operation';
import type { AzureObservation } from '../../domain/observed';
import type { Operation } from '../../domain/operation';
import { Role } from '../../domain/people';
import { KINDS } from '../../domain/kinds';
import { ruleCodes, ruleFaults } from '../../domain/planner';
import { factsOfRequest } from '../../domain/trust/statements';
import { OperationRequest } from '../../domain/request';
import type { ApiDeps } from '../deps';
import { operationIdFor } from '../idempotency';
import { createOpenOperations, DEFAULT_OPEN_LIMITS } from '../open-operations';
import type { NewOperation } from '../operations-gateway';
import { approvalTerms, requireRequest } from '../policy/authorize';
import type { Caller } from '../token-claims';
import { OperationView, pollHeaders, viewOf } from '../operation-view';
import { ApiError } from '../problem';
import { route, type Answer, type Route } from '../route';
import type { Request } from 'express';
import { CreationQuery, keyOfOperation, PLANNING_CODES, PlanPreview } from './plan-preview';

/** Azure is asked for this long at most; a change-management system waits about 30 s for an answer. */
const OBSERVATION_TIMEOUT_IN_MS = 25_000;

/** Faults that an executing operation may remove before it ends: state of the cluster, its encryption, its keys and version. */
const ENDS_WITH_THE_HOLDER: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ClusterNotSucceeded',
  'ClusterNotRunning',
  'ClusterVersionUnsupported',
  'KmsNotEnabled',
  'KmsAlreadyEnabled',
  'KeyAlreadyCurrent',
  'KeyForeign',
  'CurrentKeyUnusable',
]);

/** What was found out before a start. */
interface Checked {
  readonly holder: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
}

/** The route. */
export function createOperation(deps: ApiDeps): Route {
  const { gateway, signer } = deps;
  const open = createOpenOperations(gateway, deps.openLimits ?? DEFAULT_OPEN_LIMITS);
  return route({
    method: 'post',
    path: '/v1/operations',
    operationId: 'createOperation',
    summary: 'Ask for a change to a cluster',
    description:
      'Keyturn checks the request against Azure before it accepts it. The operation then plans and waits for approval; nothing is changed before that. Send the same request with the same Idempotency-Key as often as needed: it is one operation.',
    roles: [Role.Operator],
    query: CreationQuery,
    headers: keyOfOperation,
    body: OperationRequest,
    answers: [
      {
        status: 202,
        description: 'The operation, new or as it stands when it was asked for before.',
        schema: OperationView,
        headers: {
          'Operation-Location': 'Absolute URL to poll.',
          'Retry-After': 'Seconds to wait before polling; absent when the operation has ended.',
          'Idempotent-Replayed': '`true` when the operation had been asked for before.',
        },
      },
      { status: 200, description: 'With `validateOnly=true`: the plan. Nothing was started.', schema: PlanPreview },
    ],
    codes: [
      'InvalidClusterId',
      'InvalidKeyId',
      'IdempotencyKeyMissing',
      'IdempotencyKeyInvalid',
      'IdempotencyKeyReused',
      'RightMissing',
      'TooManyOperations',
      'ClusterBusy',
      'ChangeWindowEnded',
      ...ruleCodes(KINDS),
      ...PLANNING_CODES,
      'AzureUnavailable',
      'TemporalUnavailable',
      'WorkerUnavailable',
    ],
    handle: async ({ request, caller, headers: { idempotencyKey: key }, body, signal }) => {
      requireRequest(deps, caller, body);
      if (key === undefined) return { status: 200, body: await preview(body, caller, signal) };
      const asked = newOperation({
        id: operationIdFor(caller.person, key),
        request: body,
        requestedBy: caller.person,
        requestedAt: deps.clock().toISOString(),
      });
      const fingerprint = digestOf(body);
      const known = await replayed(asked.id, fingerprint);
      if (known) return accepted(known, request, { again: true });

      const { tags } = await refuseWhatDoesNotHold(body, signal);
      await open.admit(asked);
      const started = await gateway.start(startOf(asked, caller, { fingerprint, tags }));
      if (started === 'started') return accepted(asked, request, { again: false });
      // Another request with the same key arrived at the same moment, and was first.
      const winner = await replayed(asked.id, fingerprint);
      if (!winner) throw new Error(`Temporal has an operation ${asked.id} and does not return it.`);
      return accepted(winner, request, { again: true });
    },
  });

  async function replayed(id: string, fingerprint: string): Promise<Operation | undefined> {
    const stored = await gateway.find(id);
    if (stored !== undefined && stored.fingerprint !== fingerprint) {
      throw new ApiError({
        code: 'IdempotencyKeyReused',
        detail: `This Idempotency-Key stands for operation ${id}, which was asked for with another body. Choose a new key for a new request.`,
      });
    }
    return stored?.operation;
  }

  async function preview(request: OperationRequest, by: Caller, signal: AbortSignal): Promise<PlanPreview> {
    const { holder, tags } = await refuseWhatDoesNotHold(request, signal);
    if (holder !== undefined) {
      const waitingFor = `operation ${holder} to end: it executes on this cluster. The plan is made from what it leaves.`;
      return { plan: null, censusTaken: null, waitingFor };
    }
    const { policy } = approvalTerms(deps, request, by, tags);
    const { plan, faults, censusTaken } = await gateway.plan({ request, policy });
    refuse(faults.map(({ code, ...fault }) => ({ code: isErrorCode(code) ? code : 'InternalError', ...fault })));
    return { plan, censusTaken, waitingFor: null };
  }

  /** @returns the operation that the new one must wait for, if there is one, and the tags of the cluster */
  async function refuseWhatDoesNotHold(request: OperationRequest, signal: AbortSignal): Promise<Checked> {
    refuse(windowFaults(request.change, deps.clock().toISOString()));
    const holder = await refuseWhenBusy(request);
    const observed = await observe(deps, request, signal);
    const faults = ruleFaults(request, observed);
    // The executing operation may cause these faults, so a request that waits for it is not refused for them. Its plan is made
    // when the other operation has ended, and refuses what is still wrong then.
    refuse(holder === undefined ? faults : faults.filter(({ code }) => !ENDS_WITH_THE_HOLDER.has(code)));
    return { holder, tags: observed.cluster.found ? observed.cluster.cluster.tags : {} };
  }

  /** @returns the operation that the new one must wait for, if there is one */
  async function refuseWhenBusy({ cluster, whenBusy }: OperationRequest): Promise<string | undefined> {
    const holder = await gateway.holderOf(cluster);
    if (holder === undefined || whenBusy === 'wait') return holder;
    throw new ApiError({
      code: 'ClusterBusy',
      pointer: '/cluster',
      detail: `Operation ${holder} executes on this cluster. Wait for it, or ask with "whenBusy": "wait".`,
    });
  }

  function startOf(
    operation: Operation,
    caller: Caller,
    { fingerprint, tags }: Pick<Checked, 'tags'> & { readonly fingerprint: string },
  ): NewOperation {
    const { id: operationId, request, requestedBy, requestedAt } = operation;
    const { policy, timeoutInMs: approvalTimeoutInMs } = approvalTerms(deps, request, caller, tags);
    const asked = { request, requestedBy, requestedAt, policy, approvalTimeoutInMs };
    return {
      operation,
      fingerprint,
      input: {
        ...asked,
        signature: signer.signRequest({ operationId, ...factsOfRequest(asked, fingerprint) }),
        ...(deps.webhooks !== undefined && deps.webhooks.endpoints.length > 0 ? { webhooks: true } : {}),
      },
    };
  }

  function accepted(operation: Operation, request: Request, { again }: { readonly again: boolean }): Answer {
    const body = viewOf(operation, request, { ...deps, namespace: gateway.namespace });
    const replay: Record<string, string> = again ? { 'Idempotent-Replayed': 'true' } : {};
    return {
      status: 202,
      body,
      headers: { 'Operation-Location': body.links.self, ...pollHeaders(operation), ...replay },
    };
  }
}

function refuse(faults: readonly Fault[]): void {
  const [first, ...others] = faults;
  if (first) throw new ApiError([first, ...others]);
}

/** Asks Azure. When that fails, the preconditions are not known, so nothing may be started. */
async function observe(
  { observeAzure }: ApiDeps,
  request: OperationRequest,
  gone: AbortSignal,
): Promise<AzureObservation> {
  const timeout = AbortSignal.timeout(OBSERVATION_TIMEOUT_IN_MS);
  try {
    return await observeAzure(request, { abortSignal: AbortSignal.any([timeout, gone]) });
  } catch (cause) {
    throw new ApiError(
      {
        code: 'AzureUnavailable',
        detail: `Keyturn could not read the cluster and its keys from Azure, so it did not check the request.${notAnswered(cause)} Nothing was started. Send the request again with the same Idempotency-Key.`,
      },
      { cause },
    );
  }
}

/** Names what gave no usable answer, and nothing of what it said. */
function notAnswered(cause: unknown): string {
  return cause instanceof AzureError && cause.target !== undefined ? ` Not answered: ${cause.target}.` : '';
}
