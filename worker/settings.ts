/** The settings of the worker process. */
import { z } from 'zod';
import { CLOUDS, type Cloud } from '../domain/clouds';
import { oneOf, readEnvironment, text, wholeNumber } from '../settings/environment';

/** What the worker is told by its environment. Azure's and Temporal's own variables are read by their own libraries. */
export interface WorkerSettings {
  readonly taskQueue: string;
  readonly cloud: Cloud;
  /** Folder that evidence files are written to; the API serves them from there. */
  readonly evidenceDirectory: string;
  /** PEM file of the Ed25519 key that signs evidence; made at the first start when it is missing. */
  readonly evidenceKeyFile: string;
  /** Patches in flight during a rewrite, at most. */
  readonly rewriteInFlight: number;
  readonly logLevel: string;
}

const cloudNames = CLOUDS.map(({ name }) => name) as [Cloud['name'], ...Cloud['name'][]];

const schema = z.object({
  KEYTURN_TASK_QUEUE: text('keyturn'),
  KEYTURN_CLOUD: oneOf(cloudNames, 'AzureCloud'),
  KEYTURN_EVIDENCE_DIRECTORY: text('.keyturn/evidence'),
  KEYTURN_EVIDENCE_KEY_FILE: text('.keyturn/evidence-key.pem'),
  KEYTURN_REWRITE_IN_FLIGHT: wholeNumber({ min: 1, max: 256, fallback: 32 }),
  KEYTURN_LOG_LEVEL: oneOf(['debug', 'info', 'warn', 'error'], 'info'),
});

/** Reads the worker's settings. @throws SettingsError that names every fault */
export function workerSettings(env: NodeJS.ProcessEnv): WorkerSettings {
  const read = readEnvironment(schema, env);
  const cloud = CLOUDS.find(({ name }) => name === read.KEYTURN_CLOUD);
  if (!cloud) throw new Error(`${read.KEYTURN_CLOUD} is not in the table of clouds.`);
  return {
    taskQueue: read.KEYTURN_TASK_QUEUE,
    cloud,
    evidenceDirectory: read.KEYTURN_EVIDENCE_DIRECTORY,
    evidenceKeyFile: read.KEYTURN_EVIDENCE_KEY_FILE,
    rewriteInFlight: read.KEYTURN_REWRITE_IN_FLIGHT,
    logLevel: read.KEYTURN_LOG_LEVEL,
  };
}
