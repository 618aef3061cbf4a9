/** What the API process is configured with: environment variables, and nothing else. */
import { resolve } from 'node:path';
import { z } from 'zod';
import { CLOUDS, type Cloud } from '../domain/clouds';
import {
  LOG_LEVELS,
  type LogLevel,
  nonEmpty,
  oneOf,
  optionalUrl,
  readEnvironment,
  readTogether,
  requiredText,
  SettingsError,
  text,
  wholeNumber,
} from '../settings/environment';
import { readTemporalSettings, type TemporalSettings } from '../settings/temporal';

const LONGEST_APPROVAL_TIMEOUT_IN_SECONDS = 14 * 24 * 3600;

/** The API's settings. */
export interface ApiSettings {
  /** Address to listen on. */
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** The URL that clients use for the API, when their Host header does not name it (TLS ends at a proxy). No slash at the end. */
  readonly publicUrl?: string;
  readonly temporal: TemporalSettings;
  readonly taskQueue: string;
  readonly tenantId: string;
  /** The `aud` of access tokens. For v2.0 tokens Entra writes the app's client id there. */
  readonly audience: string;
  readonly cloud: Cloud;
  readonly approvalsRequired: number;
  readonly approvalTimeoutInMs: number;
  /** Absolute. The worker writes signed evidence there, the API reads it. */
  readonly evidenceDirectory: string;
  readonly temporalUiUrl?: string;
  readonly rateLimitPerMinute: number;
  readonly logLevel: LogLevel;
}

const cloudNames = CLOUDS.map(({ name }) => name);

const Variables = z.object({
  KEYTURN_API_HOST: text('127.0.0.1'),
  KEYTURN_API_PORT: wholeNumber({ min: 0, max: 65_535, fallback: 8080 }),
  KEYTURN_API_PUBLIC_URL: optionalUrl(),
  KEYTURN_TASK_QUEUE: text('keyturn'),
  KEYTURN_TENANT_ID: requiredText(
    'the id of the Entra tenant whose access tokens are accepted (AZURE_TENANT_ID is read instead)',
  ).regex(/^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i, {
    error: 'must be a tenant id: 8-4-4-4-12 hexadecimal digits',
  }),
  KEYTURN_AUDIENCE: text('api://keyturn'),
  KEYTURN_CLOUD: oneOf(cloudNames, 'AzureCloud'),
  KEYTURN_APPROVALS_REQUIRED: wholeNumber({ min: 1, max: 5, fallback: 1 }),
  KEYTURN_APPROVAL_TIMEOUT_SECONDS: wholeNumber({
    min: 1,
    max: LONGEST_APPROVAL_TIMEOUT_IN_SECONDS,
    fallback: 3 * 24 * 3600,
  }),
  KEYTURN_EVIDENCE_DIRECTORY: text('.keyturn/evidence'),
  KEYTURN_TEMPORAL_UI_URL: optionalUrl(),
  KEYTURN_RATE_LIMIT_PER_MINUTE: wholeNumber({ min: 1, max: 1_000_000, fallback: 600 }),
  KEYTURN_LOG_LEVEL: oneOf(LOG_LEVELS, 'info'),
});

/**
 * Reads the API's settings.
 * @throws SettingsError that names every wrong setting.
 */
export function readApiSettings(env: NodeJS.ProcessEnv): ApiSettings {
  const { variables, temporal } = readTogether({
    variables: () =>
      readEnvironment(Variables, { ...env, KEYTURN_TENANT_ID: nonEmpty(env.KEYTURN_TENANT_ID) ?? env.AZURE_TENANT_ID }),
    temporal: () => readTemporalSettings(env),
  });
  const cloud = CLOUDS.find(({ name }) => name === variables.KEYTURN_CLOUD);
  if (!cloud) throw new SettingsError([`KEYTURN_CLOUD must be one of ${cloudNames.join(', ')}.`]);
  return {
    host: variables.KEYTURN_API_HOST,
    port: variables.KEYTURN_API_PORT,
    publicUrl: variables.KEYTURN_API_PUBLIC_URL,
    temporal,
    taskQueue: variables.KEYTURN_TASK_QUEUE,
    tenantId: variables.KEYTURN_TENANT_ID.toLowerCase(),
    audience: variables.KEYTURN_AUDIENCE,
    cloud,
    approvalsRequired: variables.KEYTURN_APPROVALS_REQUIRED,
    approvalTimeoutInMs: variables.KEYTURN_APPROVAL_TIMEOUT_SECONDS * 1000,
    evidenceDirectory: resolve(variables.KEYTURN_EVIDENCE_DIRECTORY),
    temporalUiUrl: variables.KEYTURN_TEMPORAL_UI_URL,
    rateLimitPerMinute: variables.KEYTURN_RATE_LIMIT_PER_MINUTE,
    logLevel: variables.KEYTURN_LOG_LEVEL,
  };
}
