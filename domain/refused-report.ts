/**
 * The report of the Secrets that a step could not rewrite or prove: all of them, however many, as lines of JSON in a file. What is in
 * the store is never replaced: each pass that has something to say writes a report of its own, and the latest counts.
 */
import type { Operation } from './operation';

/** Names of files come from outside: an operation id and a step id may contain only these. */
const FILE_SAFE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
/** Of the time in a name: a step's id may begin with that of another step. */
const TIME = /^\.\d{8}T\d{9}Z$/;
const ENDING = '.refused.jsonl';

/** What the names of all reports of a step begin with; undefined when the ids cannot be a part of a name. */
export function refusedReportPrefix(operationId: string, step: string): string | undefined {
  return FILE_SAFE.test(operationId) && FILE_SAFE.test(step) ? `${operationId}.${step}.` : undefined;
}

/** The name of a new report. @param at ISO 8601 with milliseconds */
export function refusedReportName(operationId: string, step: string, at: string): string {
  return `${operationId}.${step}.${at.replaceAll(/[-:.]/g, '')}${ENDING}`;
}

/** The report that counts, among names that begin with the prefix. One without a time is of an earlier version. */
export function latestReport(names: readonly string[], operationId: string, step: string): string | undefined {
  const before = `${operationId}.${step}`;
  return names
    .filter((name) => name.startsWith(before) && name.endsWith(ENDING))
    .map((name) => ({ name, time: name.slice(before.length, -ENDING.length) }))
    .filter(({ time }) => time === '' || TIME.test(time))
    .sort((a, b) => (a.time < b.time ? -1 : 1))
    .at(-1)?.name;
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
