/** The settings of the worker process. */
import { resolve } from 'node:path';
import { z } from 'zod';
import { AWAIT_LIMITS } from '../activities/arm/await-operation';
import { CLOUDS, type Cloud } from '../domain/clouds';
import {
  LOG_LEVELS,
  type LogLevel,
  oneOf,
  readEnvironment,
  readTogether,
  SettingsError,
  text,
  wholeNumber,
} from '../settings/environment';
import { readTemporalSettings, type TemporalSettings } from '../settings/temporal';

/** What the worker is told by its environment. Azure's own variables are read by its libraries. */
export interface WorkerSettings {
  readonly temporal: TemporalSettings;
  readonly taskQueue: string;
  readonly cloud: Cloud;
  /** Absolute folder that evidence files are written to; the API serves them from there. */
  readonly evidenceDirectory: string;
  /** Absolute PEM file of the Ed25519 key that signs evidence; made at the first start when it is missing. */
  readonly evidenceKeyFile: string;
  readonly pace: {
    /** Requests under way to one cluster during a rewrite, at most. */
    readonly inFlight: number;
    /** How many times slower than idle an API server may answer its other clients meanwhile; null does not watch. */
    readonly latencyLimit: number | null;
  };
  /** A cluster that rests for so long while its operation in Azure shows no end decides by its own state. */
  readonly clusterDecidesAfterInMs: number;
  readonly logLevel: LogLevel;
}

const cloudNames = CLOUDS.map(({ name }) => name);

const latencyLimit = z
  .string()
  .refine((limit) => limit === 'off' || (/^\d{1,3}(\.\d{1,3})?$/.test(limit) && Number(limit) > 1), {
    error: 'must be a number greater than 1, or off',
  })
  .transform((limit) => (limit === 'off' ? null : Number(limit)))
  .default(2);

const Variables = z.object({
  KEYTURN_TASK_QUEUE: text('keyturn'),
  KEYTURN_CLOUD: oneOf(cloudNames, 'AzureCloud'),
  KEYTURN_EVIDENCE_DIRECTORY: text('.keyturn/evidence'),
  KEYTURN_EVIDENCE_KEY_FILE: text('.keyturn/evidence-key.pem'),
  // More in flight is no faster: the API server is the limit then (rotation-systems.md 9).
  KEYTURN_REWRITE_IN_FLIGHT: wholeNumber({ min: 1, max: 256, fallback: 64 }),
  KEYTURN_REWRITE_LATENCY_LIMIT: latencyLimit,
  KEYTURN_CLUSTER_DECIDES_AFTER_SECONDS: wholeNumber({ min: 10, max: 3_600, fallback: AWAIT_LIMITS.restsInMs / 1_000 }),
  KEYTURN_LOG_LEVEL: oneOf(LOG_LEVELS, 'info'),
});

/** Reads the worker's settings. @throws SettingsError that names every fault */
export function readWorkerSettings(env: NodeJS.ProcessEnv): WorkerSettings {
  const { variables, temporal } = readTogether({
    variables: () => readEnvironment(Variables, env),
    temporal: () => readTemporalSettings(env),
  });
  const cloud = CLOUDS.find(({ name }) => name === variables.KEYTURN_CLOUD);
  if (!cloud) throw new SettingsError([`KEYTURN_CLOUD must be one of ${cloudNames.join(', ')}.`]);
  return {
    temporal,
    taskQueue: variables.KEYTURN_TASK_QUEUE,
    cloud,
    evidenceDirectory: resolve(variables.KEYTURN_EVIDENCE_DIRECTORY),
    evidenceKeyFile: resolve(variables.KEYTURN_EVIDENCE_KEY_FILE),
    pace: {
      inFlight: variables.KEYTURN_REWRITE_IN_FLIGHT,
      latencyLimit: variables.KEYTURN_REWRITE_LATENCY_LIMIT,
    },
    clusterDecidesAfterInMs: variables.KEYTURN_CLUSTER_DECIDES_AFTER_SECONDS * 1_000,
    logLevel: variables.KEYTURN_LOG_LEVEL,
  };
}
