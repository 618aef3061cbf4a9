/** Waits for what people do, however long that takes. */
import { condition } from '@temporalio/workflow';

/** A timer shows in the timeline what is waited for. It decides nothing, and begins anew when it ends. */
const PEOPLE_TAKE = '30 days';

/** @param summary what is waited for, for the Temporal UI: at most 200 bytes */
export async function awaitPeople(summary: string, decided: () => boolean): Promise<void> {
  while (!decided()) await condition(decided, PEOPLE_TAKE, { summary });
}
