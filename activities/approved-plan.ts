/**
 * The plan behind an activity: read where its operation shows it, and compared with the digest that the activity was asked with.
 *
 * Needs: a Temporal client, and the public keys of the API. Does: gives an activity its step, whole and as it was approved, when the
 * API signed the request, and lets it write when the API signed enough approvals. The one place where an activity that writes learns
 * what to write.
 * Never does: take a part of a step from the input of an activity, or believe Temporal: anybody who may write to the namespace may have
 * written what is there.
 */
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { z, ZodError } from 'zod';
import type { Fault } from '../domain/errors';
import type { Operation } from '../domain/operation';
import { MemoKey, operationInMemo, type MemoFields } from '../domain/operation-memo';
import { digestOfPlan, type Plan } from '../domain/plan/plan';
import type { StepId } from '../domain/plan/steps';
import { scopeFaults } from '../domain/trust/plan-scope';
import { quorumFault } from '../domain/trust/quorum';
import { RequestSeal, type StatementVerifier } from '../domain/trust/statements';
import { needsPerson, tryAgain } from './failures';

/** Plans that are kept: one for each operation that a worker works for, and some more. */
const MOST_PLANS = 200;

/** Whom a worker believes, and what it insists on whatever others decided. */
export interface TrustRules {
  readonly statements: StatementVerifier;
  /** The fewest approvals of any gate, from different people. */
  readonly minimumApprovals: number;
  /** An approval that is older does not count any more. */
  readonly approvalMaxAgeInSeconds: number;
}

/** Reads what the API signed of an operation. */
export interface ApprovedPlans {
  /**
   * The plan of an operation that the API signed the request of.
   * @throws ApplicationFailure `PlanNotAsApproved`, `NotSigned`, non-retryable; `TemporalUnavailable`
   */
  read(operationId: string, digest: string): Promise<Plan>;
  /**
   * Makes sure that people approved what a step is about to write, and that the plan keeps to the signed rights of its requester.
   * @throws ApplicationFailure `NotApproved`, `ResourceOutOfScope`, and as `read`
   */
  requireApproved(operationId: string, digest: string, step: StepId): Promise<void>;
}

/** What an operation showed when it was last read, its signatures verified. */
interface Verified {
  readonly plan: Plan;
  readonly operation: Pick<Operation, 'requestedBy' | 'approvals'>;
  /** Why the plan changes what its requester has no right on; undefined when it does not. */
  readonly outside: Fault | undefined;
}

/**
 * Reads plans and approvals from the memo of operations. A plan never changes under its digest, and approvals are only added: so an
 * operation is read again only when the approvals that are known are not enough.
 */
export function createApprovedPlans(
  client: Client,
  trust: TrustRules,
  now: () => string = () => new Date().toISOString(),
): ApprovedPlans {
  const known = new Map<string, Verified>();

  const readAgain = async (operationId: string, digest: string): Promise<Verified> => {
    const verified = verify(operationId, digest, await readMemo(client, operationId), trust.statements);
    const key = `${operationId} ${digest}`;
    known.delete(key);
    known.set(key, verified);
    for (const oldest of known.keys()) {
      if (known.size <= MOST_PLANS) break;
      known.delete(oldest);
    }
    return verified;
  };
  const fault = ({ plan, operation, outside }: Verified, step: StepId): Fault | undefined => {
    if (outside !== undefined) return outside;
    const { minimumApprovals, approvalMaxAgeInSeconds: maxAgeInSeconds } = trust;
    const rules = { requestedBy: operation.requestedBy, minimumApprovals, maxAgeInSeconds, now: now() };
    return quorumFault(plan, step, operation.approvals, rules);
  };

  return {
    async read(operationId, digest) {
      return (known.get(`${operationId} ${digest}`) ?? (await readAgain(operationId, digest))).plan;
    },
    async requireApproved(operationId, digest, step) {
      const before = known.get(`${operationId} ${digest}`);
      if (before !== undefined && fault(before, step) === undefined) return;
      const why = fault(await readAgain(operationId, digest), step);
      if (why !== undefined) throw needsPerson(why.code, why.detail);
    },
  };
}

function verify(operationId: string, digest: string, memo: MemoFields, statements: StatementVerifier): Verified {
  const shown = shownIn(memo);
  if (shown === null) throw notAsApproved();
  const { operation, fingerprint, seal } = shown;
  const { plan, request, requestedBy, requestedAt, approvals } = operation;
  const { kind, cluster } = request;
  const { signature, ...sealed } = seal;
  const facts = { operationId, fingerprint, kind, cluster, requestedBy, requestedAt, ...sealed };
  const fault = statements.requestFault(facts, signature);
  if (fault !== undefined) throw needsPerson(fault.code, fault.detail);
  if (plan?.digest !== digest || digestOfPlan(plan) !== digest) throw notAsApproved();
  if (plan.kind !== kind || plan.cluster.toLowerCase() !== cluster.toLowerCase()) throw notAsApproved();
  // One that is not signed was written past the API: it is as if it were not there.
  const signed = approvals.filter((one) => statements.decisionFault(operationId, 'approve', one) === undefined);
  const [outside] = scopeFaults(plan, seal.policy);
  return { plan, operation: { requestedBy, approvals: signed }, outside };
}

function notAsApproved(): Error {
  return needsPerson(
    'PlanNotAsApproved',
    'The plan that the operation shows is not the one that this step belongs to, so nothing was sent. Keep every key listed under keysNeeded. Find out who changed the workflow in Temporal, cancel the operation, and ask for a new one.',
  );
}

const Sealed = z.object({ [MemoKey.Fingerprint]: z.string(), [MemoKey.Seal]: RequestSeal });

/** @returns null when the memo is not the memo of an operation of the API's */
function shownIn(
  memo: MemoFields,
): { readonly operation: Operation; readonly fingerprint: string; readonly seal: RequestSeal } | null {
  try {
    const { fingerprint, seal } = Sealed.parse(memo);
    return { operation: operationInMemo(memo), fingerprint, seal };
  } catch (error) {
    if (error instanceof ZodError) return null;
    throw error;
  }
}

async function readMemo(client: Client, operationId: string): Promise<MemoFields> {
  try {
    const { memo } = await client.workflow.getHandle(operationId).describe();
    return memo ?? {};
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return {};
    const message = error instanceof Error ? error.message : String(error);
    throw tryAgain('TemporalUnavailable', `Reading the approved plan failed: ${message}`, undefined, error);
  }
}
