/** The settings of the worker process. */
import { resolve } from 'node:path';
import { z } from 'zod';
import { AWAIT_LIMITS } from '../activities/arm/await-operation';
import type { ChangeSystemSettings } from '../activities/change/port';
import { CONVERGENCE_LIMITS } from '../activities/convergence';
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
import { evidenceKeyOf, EvidenceKeyVariables, type EvidenceKeySettings } from './evidence-key-settings';
import { readTemporalSettings, type TemporalSettings } from '../settings/temporal';

/** What the worker is told by its environment. Azure's own variables are read by its libraries. */
export interface WorkerSettings {
  readonly temporal: TemporalSettings;
  readonly taskQueue: string;
  readonly cloud: Cloud;
  /** An absolute folder, or the URL of a container of Azure Blob Storage: evidence and the audit log are there. */
  readonly evidenceStore: string;
  /** The key that signs evidence. */
  readonly evidenceKey: EvidenceKeySettings;
  /** Absolute PEM files of the public keys that evidence was signed with before. */
  readonly evidenceEarlierPublicKeys: readonly string[];
  /** PEM files of the public keys of the APIs that are believed. */
  readonly apiPublicKeys: readonly string[];
  /** The fewest approvals of any gate, whatever the API signed. */
  readonly minimumApprovals: number;
  /** An approval that is older lets no step write any more. */
  readonly approvalMaxAgeInSeconds: number;
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
  /** For so long after the start of an API server the one that it replaced may still store Secrets under the old key. */
  readonly apiServerDrainInMs: number;
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
  ...EvidenceKeyVariables,
  KEYTURN_EVIDENCE_EARLIER_PUBLIC_KEYS: z.string().default(''),
  KEYTURN_API_PUBLIC_KEYS: text('.keyturn/api-key.pub.pem'),
  KEYTURN_MINIMUM_APPROVALS: wholeNumber({ min: 1, max: 5, fallback: 1 }),
  KEYTURN_APPROVAL_MAX_AGE_SECONDS: wholeNumber({ min: 60, max: 366 * 86_400, fallback: 30 * 86_400 }),
  // More in flight is no faster: the API server is the limit then (rotation-systems.md 9).
  KEYTURN_REWRITE_IN_FLIGHT: wholeNumber({ min: 1, max: 256, fallback: 64 }),
  KEYTURN_REWRITE_LATENCY_LIMIT: latencyLimit,
  // Not fewer: Temporal's SDK runs 40 workflow tasks at the same time, and each needs a place.
  KEYTURN_CACHED_OPERATIONS: wholeNumber({ min: 40, max: 100_000, fallback: 100 }),
  KEYTURN_CLUSTER_DECIDES_AFTER_SECONDS: wholeNumber({ min: 10, max: 3_600, fallback: AWAIT_LIMITS.restsInMs / 1_000 }),
  KEYTURN_API_SERVER_DRAIN_SECONDS: wholeNumber({ min: 0, max: 1_200, fallback: CONVERGENCE_LIMITS.drainInMs / 1_000 }),
  KEYTURN_MOUNT_FAILS_AFTER_SECONDS: wholeNumber({ min: 1, max: 900, fallback: MOUNT_LIMITS.mountsWithinMs / 1_000 }),
  KEYTURN_LOG_LEVEL: oneOf(LOG_LEVELS, 'info'),
  ...WebhookVariables,
});

/** The absolute names of files with commas between them. */
function filesIn(list: string): string[] {
  return list
    .split(',')
    .map((file) => file.trim())
    .filter((file) => file !== '')
    .map((file) => resolve(file));
}

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
    evidenceKey: evidenceKeyOf(variables, cloud),
    evidenceEarlierPublicKeys: filesIn(variables.KEYTURN_EVIDENCE_EARLIER_PUBLIC_KEYS),
    apiPublicKeys: filesIn(variables.KEYTURN_API_PUBLIC_KEYS),
    minimumApprovals: variables.KEYTURN_MINIMUM_APPROVALS,
    approvalMaxAgeInSeconds: variables.KEYTURN_APPROVAL_MAX_AGE_SECONDS,
    pace: {
      inFlight: variables.KEYTURN_REWRITE_IN_FLIGHT,
      latencyLimit: variables.KEYTURN_REWRITE_LATENCY_LIMIT,
    },
    cachedOperations: variables.KEYTURN_CACHED_OPERATIONS,
    clusterDecidesAfterInMs: variables.KEYTURN_CLUSTER_DECIDES_AFTER_SECONDS * 1_000,
    apiServerDrainInMs: variables.KEYTURN_API_SERVER_DRAIN_SECONDS * 1_000,
    change,
    mountFailsAfterInMs: variables.KEYTURN_MOUNT_FAILS_AFTER_SECONDS * 1_000,
    webhooks: webhookSettings(variables),
    logLevel: variables.KEYTURN_LOG_LEVEL,
  };
}
