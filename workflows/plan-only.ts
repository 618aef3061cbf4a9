/**
 * A plan of which nothing is started, asked for by the API: the worker has the rights to look into clusters, and the API has none.
 *
 * Does: what an operation does until it has a plan, within the time that a client waits.
 * Never does: take a lock, write, or seal evidence. It is no operation, so that nothing can approve its plan.
 */
import { ActivityFailure, ApplicationFailure, proxyActivities, TimeoutFailure } from '@temporalio/workflow';
import type { Activities } from '../activities/contract';
import type { Census } from '../domain/census';
import { faultOf } from './endings';
import type { PlannedOnly, PlanOnlyInput } from './messages';

/** Within the 25 s that the API waits. */
const CENSUS_MAY_TAKE = '12 seconds';

const planning = (summary: string, startToCloseTimeout: '20 seconds' | typeof CENSUS_MAY_TAKE): Activities =>
  proxyActivities<Activities>({
    startToCloseTimeout,
    heartbeatTimeout: '15 seconds',
    // The API waits, and answers with the failure: its client asks again.
    retry: { maximumAttempts: 1 },
    summary,
  });

/** Makes a plan, or says why it is refused. @throws ActivityFailure when Azure or the cluster cannot say now */
export async function planOnly({ request, policy }: PlanOnlyInput): Promise<PlannedOnly> {
  let censusTaken: boolean | null = null;
  try {
    const checked = await planning('Check the rules', '20 seconds').checkRules({ request });
    if (checked.faults.length > 0) return { plan: null, faults: checked.faults, censusTaken };
    let census: Census | null = null;
    if (checked.cluster !== null) {
      const { cluster, perSecond, state } = checked;
      census = await censusInTime({ cluster, perSecond, state });
      censusTaken = census !== null;
    }
    const { plan, faults } = await planning('Make the plan', '20 seconds').makePlan({ request, policy, census });
    return { plan, faults, censusTaken };
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return { plan: null, faults: [faultOf(error)], censusTaken };
  }
}

/** A census of many Secrets takes longer than a client waits. */
async function censusInTime(input: Parameters<Activities['takeCensus']>[0]): Promise<Census | null> {
  try {
    return await planning('Census: look at every Secret', CENSUS_MAY_TAKE).takeCensus(input);
  } catch (error) {
    if (error instanceof ActivityFailure && error.cause instanceof TimeoutFailure) return null;
    throw error;
  }
}

/** What an operation ends with before anything is changed; it would retry the rest. */
function isRefusal(error: unknown): boolean {
  return (
    error instanceof ActivityFailure && error.cause instanceof ApplicationFailure && error.cause.nonRetryable === true
  );
}
