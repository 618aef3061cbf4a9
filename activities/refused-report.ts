/** Writes the report of refused Secrets beside the evidence, while a pass runs: memory does not grow with their number. */
import { randomUUID } from 'node:crypto';
import { appendFileSync, closeSync, createReadStream, mkdirSync, openSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { OwnError } from '../domain/own-error';
import type { RefusedSecret } from '../domain/refusal';
import { latestReport, refusedReportName, refusedReportPrefix } from '../domain/refused-report';
import type { RecordStore } from '../evidence/store';

/** Notes one refused Secret. */
export type OnRefused = (secret: RefusedSecret) => void;

/**
 * Runs a pass and reports what it refuses. The report appears whole, when the pass has ended; it counts instead of that of an earlier
 * pass of the step, also when it is empty. A pass that fails leaves the earlier report in force.
 * @throws what the pass throws; what the store throws
 */
export async function reportingRefused<T>(
  where: { readonly store: RecordStore; readonly operationId: string; readonly step: string },
  pass: (onRefused: OnRefused) => Promise<T>,
): Promise<T> {
  const { store, operationId, step } = where;
  const prefix = refusedReportPrefix(operationId, step);
  if (prefix === undefined) throw new OwnError(`The step ${step} of ${operationId} cannot be part of a file's name.`);
  const draft = join(store.drafts, `${prefix}${randomUUID()}.draft`);
  let handle: number | undefined;
  const open = (): number => {
    mkdirSync(store.drafts, { recursive: true });
    return openSync(draft, 'wx', 0o600);
  };
  try {
    const result = await pass((secret) => appendFileSync((handle ??= open()), `${JSON.stringify(secret)}\n`));
    const earlier = latestReport(await store.list(prefix.slice(0, -1)), operationId, step);
    if (handle !== undefined || earlier !== undefined) {
      const name = refusedReportName(operationId, step, new Date().toISOString());
      await store.writeOnce(name, handle === undefined ? Readable.from([]) : createReadStream(draft));
    }
    return result;
  } finally {
    if (handle !== undefined) closeSync(handle);
    await rm(draft, { force: true });
  }
}
