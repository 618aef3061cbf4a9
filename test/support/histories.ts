/**
 * Recorded histories: regression tests of the workflow code. `npm run record-histories` runs the end-to-end tests and
 * writes the histories of the paths that they take; they are committed, one per path, and replayed in every test run.
 */
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { openTemporal } from './stack';

/** Where the recorded histories are. */
export const HISTORIES = path.join(__dirname, '..', 'histories');

/** The paths that an operation can take. */
export type HistoryPath = 'accepted' | 'happy' | 'denied' | 'expired' | 'canceled' | 'plan-changed' | 'blocked';

/** Writes the history of an operation that has ended, when KEYTURN_RECORD_HISTORIES is set; otherwise does nothing. */
export async function recordHistory(name: HistoryPath, operationId: string): Promise<void> {
  if (process.env.KEYTURN_RECORD_HISTORIES === undefined) return;
  const client = await openTemporal();
  try {
    const handle = client.workflow.getHandle(operationId);
    await handle.result().catch(() => undefined);
    const history = JSON.parse(historyToJSON(await handle.fetchHistory())) as unknown;
    mkdirSync(HISTORIES, { recursive: true });
    const document = { workflowId: operationId, history };
    // Stack traces and process names are of the machine that recorded, and play no part in a replay.
    const text = JSON.stringify(
      document,
      (key, value: unknown) => (key === 'stackTrace' ? undefined : key === 'identity' ? 'recorder' : value),
      1,
    );
    writeFileSync(path.join(HISTORIES, `${name}.json`), `${text}\n`);
  } finally {
    await client.connection.close();
  }
}
