/** The report of the Secrets that a step could not rewrite or prove: all of them, however many, as lines of JSON in a file. */
import type { Operation } from './operation';

/** Names of files come from outside: an operation id and a step id may contain only these. */
const FILE_SAFE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** The name of the file; undefined when the ids cannot be a part of one. */
export function refusedReportName(operationId: string, step: string): string | undefined {
  return FILE_SAFE.test(operationId) && FILE_SAFE.test(step) ? `${operationId}.${step}.refused.jsonl` : undefined;
}

/**
 * The steps whose report may be the last one, latest first. A step that is done and has none refused none; one that has begun and has
 * none yet leaves the report of the step before it in place.
 */
export function reportingSteps({ plan, steps }: Pick<Operation, 'plan' | 'steps'>): string[] {
  const types = new Map(plan?.steps.map(({ id, type }) => [id, type]));
  const begun = steps.filter(({ id, startedAt }) => {
    const type = types.get(id);
    return startedAt !== undefined && (type === 'rewrite' || type === 'prove');
  });
  const done = begun.findLastIndex(({ status }) => status === 'done');
  return begun
    .slice(Math.max(0, done))
    .map(({ id }) => id)
    .reverse();
}
