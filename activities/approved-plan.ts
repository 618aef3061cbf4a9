/**
 * The plan behind an activity: read where its operation shows it, and compared with the digest that the activity was asked with.
 *
 * Needs: a Temporal client. Does: gives an activity its step, whole and as it was approved. The one place where an activity that
 * writes learns what to write.
 * Never does: take a part of a step from the input of an activity.
 */
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { ZodError } from 'zod';
import { planInMemo } from '../domain/operation-memo';
import { digestOfPlan, type Plan } from '../domain/plan/plan';
import { needsPerson, tryAgain } from './failures';

/** Plans that are kept: one for each operation that a worker works for, and some more. */
const MOST_PLANS = 200;

/** Reads the plan of an operation. */
export interface ApprovedPlans {
  /**
   * @throws ApplicationFailure `PlanNotAsApproved`, non-retryable, when the operation shows another plan; `TemporalUnavailable`
   */
  read(operationId: string, digest: string): Promise<Plan>;
}

/** Reads plans from the memo of operations. A plan never changes under its digest, so each is read once. */
export function createApprovedPlans(client: Client): ApprovedPlans {
  const known = new Map<string, Plan>();
  return {
    async read(operationId, digest) {
      const key = `${operationId} ${digest}`;
      const plan = known.get(key) ?? checked(await readPlan(client, operationId), digest);
      known.delete(key);
      known.set(key, plan);
      for (const oldest of known.keys()) {
        if (known.size <= MOST_PLANS) break;
        known.delete(oldest);
      }
      return plan;
    },
  };
}

function checked(plan: Plan | null, digest: string): Plan {
  if (plan !== null && plan.digest === digest && digestOfPlan(plan) === digest) return plan;
  throw needsPerson(
    'PlanNotAsApproved',
    'The plan that the operation shows is not the one that this step belongs to, so nothing was sent. Keep every key listed under keysNeeded. Find out who changed the workflow in Temporal, cancel the operation, and ask for a new one.',
  );
}

async function readPlan(client: Client, operationId: string): Promise<Plan | null> {
  try {
    const { memo } = await client.workflow.getHandle(operationId).describe();
    return planInMemo(memo);
  } catch (error) {
    // What is shown is no plan: anybody who may write to the namespace may have written it.
    if (error instanceof WorkflowNotFoundError || error instanceof ZodError) return null;
    const message = error instanceof Error ? error.message : String(error);
    throw tryAgain('TemporalUnavailable', `Reading the approved plan failed: ${message}`, undefined, error);
  }
}
