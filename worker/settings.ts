/** The settings of the worker process. */
import { resolve } from 'node:path';
import { z } from 'zod';
import { AWAIT_LIMITS } from '../activities/arm/await-operation';
import type { ChangeSystemSettings } from '../activities/change/port';
import { MOUNT_LIMITS } from '../activities/csi/mount';
import type { WebhookSettings } from '../activities/webhooks/webhooks';
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
import { webhookSettings, WebhookVariables } from './webhook-settings';
import { evidenceStoreOf, EvidenceStoreVariables } from '../settings/evidence-store';
import { readChangeSettings } from './change-settings';
import { readTemporalSettings, type TemporalSettings } from '../settings/temporal';

/** What the worker is told by its environment. Azure's own variables are read by its libraries. */
export interface WorkerSettings {
  readonly temporal: TemporalSettings;
  readonly taskQueue: string;
  readonly cloud: Cloud;
  /** An absolute folder, or the URL of a container of Azure Blob Storage: evidence and the audit log are there. */
  readonly evidenceStore: string;
  /** Absolute PEM file of the Ed25519 key that signs evidence. */
  readonly evidenceKeyFile: string;
  /** PEM files of the public keys of the APIs that are believed. */
  readonly apiPublicKeys: readonly string[];
  /** The fewest approvals of any gate, whatever the API signed. */
  readonly minimumApprovals: number;
  /** An approval that is older lets no step write any more. */
  readonly approvalMaxAgeInSeconds: number;
  /** Whether the worker makes the key when the file is missing. */
  readonly evidenceKeyCreate: boolean;
  readonly pace: {
    /** Requests under way to one cluster during a rewrite, at most. */
    readonly inFlight: number;
    /** How many times slower than idle an API server may answer its other clients meanwhile; null does not watch. */
    readonly latencyLimit: number | null;
  };
  /** Operations that the worker keeps in memory, at most: any other is replayed from its history when something happens to it. */
  readonly cachedOperations: number;
  /** A cluster that rests for so long while its operation in Azure shows no end decides by its own state. */
  readonly clusterDecidesAfterInMs: number;
  /** A pod of Keyturn's whose mount fails for so long blocks its operation. */
  readonly mountFailsAfterInMs: number;
  /** Who is told of the events of operations. */
  readonly webhooks: WebhookSettings;
  /** Which system says whether a change may be carried out. */
  readonly change: ChangeSystemSettings;
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
  ...EvidenceStoreVariables,
  KEYTURN_EVIDENCE_KEY_FILE: text('.keyturn/evidence-key.pem'),
  KEYTURN_API_PUBLIC_KEYS: text('.keyturn/api-key.pub.pem'),
  KEYTURN_MINIMUM_APPROVALS: wholeNumber({ min: 1, max: 5, fallback: 1 }),
  KEYTURN_APPROVAL_MAX_AGE_SECONDS: wholeNumber({ min: 60, max: 366 * 86_400, fallback: 30 * 86_400 }),
  KEYTURN_EVIDENCE_KEY_CREATE: oneOf(['true', 'false'], 'false'),
  // More in flight is no faster: the API server is the limit then (rotation-systems.md 9).
  KEYTURN_REWRITE_IN_FLIGHT: wholeNumber({ min: 1, max: 256, fallback: 64 }),
  KEYTURN_REWRITE_LATENCY_LIMIT: latencyLimit,
  // Not fewer: Temporal's SDK runs 40 workflow tasks at the same time, and each needs a place.
  KEYTURN_CACHED_OPERATIONS: wholeNumber({ min: 40, max: 100_000, fallback: 100 }),
  KEYTURN_CLUSTER_DECIDES_AFTER_SECONDS: wholeNumber({ min: 10, max: 3_600, fallback: AWAIT_LIMITS.restsInMs / 1_000 }),
  KEYTURN_MOUNT_FAILS_AFTER_SECONDS: wholeNumber({ min: 1, max: 900, fallback: MOUNT_LIMITS.mountsWithinMs / 1_000 }),
  KEYTURN_LOG_LEVEL: oneOf(LOG_LEVELS, 'info'),
  ...WebhookVariables,
});

/** Reads the worker's settings. @throws SettingsError that names every fault */
export function readWorkerSettings(env: NodeJS.ProcessEnv): WorkerSettings {
  const { variables, temporal, change } = readTogether({
    variables: () => readEnvironment(Variables, env),
    change: () => readChangeSettings(env),
    temporal: () => readTemporalSettings(env),
  });
  const cloud = CLOUDS.find(({ name }) => name === variables.KEYTURN_CLOUD);
  if (!cloud) throw new SettingsError([`KEYTURN_CLOUD must be one of ${cloudNames.join(', ')}.`]);
  return {
    temporal,
    taskQueue: variables.KEYTURN_TASK_QUEUE,
    cloud,
    evidenceStore: evidenceStoreOf(variables, cloud),
    evidenceKeyFile: resolve(variables.KEYTURN_EVIDENCE_KEY_FILE),
    apiPublicKeys: variables.KEYTURN_API_PUBLIC_KEYS.split(',').map((file) => resolve(file.trim())),
    minimumApprovals: variables.KEYTURN_MINIMUM_APPROVALS,
    approvalMaxAgeInSeconds: variables.KEYTURN_APPROVAL_MAX_AGE_SECONDS,
    evidenceKeyCreate: variables.KEYTURN_EVIDENCE_KEY_CREATE === 'true',
    pace: {
      inFlight: variables.KEYTURN_REWRITE_IN_FLIGHT,
      latencyLimit: variables.KEYTURN_REWRITE_LATENCY_LIMIT,
    },
    cachedOperations: variables.KEYTURN_CACHED_OPERATIONS,
    clusterDecidesAfterInMs: variables.KEYTURN_CLUSTER_DECIDES_AFTER_SECONDS * 1_000,
    change,
    mountFailsAfterInMs: variables.KEYTURN_MOUNT_FAILS_AFTER_SECONDS * 1_000,
    webhooks: webhookSettings(variables),
    logLevel: variables.KEYTURN_LOG_LEVEL,
  };
}
