/** Writes the report of refused Secrets beside the evidence, while a pass runs: memory does not grow with their number. */
import { randomUUID } from 'node:crypto';
import { appendFileSync, closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { OwnError } from '../domain/own-error';
import type { RefusedSecret } from '../domain/refusal';
import { refusedReportName } from '../domain/refused-report';

/** Notes one refused Secret. */
export type OnRefused = (secret: RefusedSecret) => void;

/**
 * Runs a pass and reports what it refuses. The report appears whole, when the pass has ended, in the place of that of an earlier pass of
 * the step; a pass that refused nothing removes it. A pass that fails leaves it as it was.
 * @throws what the pass throws; an error of the file system
 */
export async function reportingRefused<T>(
  where: { readonly directory: string; readonly operationId: string; readonly step: string },
  pass: (onRefused: OnRefused) => Promise<T>,
): Promise<T> {
  const { directory, operationId, step } = where;
  const name = refusedReportName(operationId, step);
  if (name === undefined) throw new OwnError(`The step ${step} of ${operationId} cannot be part of a file's name.`);
  const file = join(directory, name);
  const draft = `${file}.${randomUUID()}`;
  let handle: number | undefined;
  const open = (): number => {
    mkdirSync(directory, { recursive: true });
    return openSync(draft, 'wx', 0o644);
  };
  try {
    const result = await pass((secret) => appendFileSync((handle ??= open()), `${JSON.stringify(secret)}\n`));
    if (handle === undefined) {
      await rm(file, { force: true });
    } else {
      fsyncSync(handle);
      await rename(draft, file);
    }
    return result;
  } finally {
    if (handle !== undefined) closeSync(handle);
    await rm(draft, { force: true });
  }
}
