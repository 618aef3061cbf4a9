/** What the API process is configured with: environment variables, and nothing else. */
import { resolve } from 'node:path';
import { z } from 'zod';
import { CLOUDS, type Cloud } from '../domain/clouds';
import {
  isLoopback,
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
import { evidenceStoreOf, EvidenceStoreVariables } from '../settings/evidence-store';
import { readTemporalSettings, type TemporalSettings } from '../settings/temporal';
import { webhookEndpoints } from '../domain/webhooks';
import { readSettingsFile } from '../settings/text-file';
import { DEFAULT_OPEN_LIMITS, type OpenLimits } from './open-operations';
import { authSettings, AuthVariables, type AuthSettings } from './auth-settings';

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
  /** The Entra tenant; absent when tokens are of another issuer. */
  readonly tenantId?: string;
  /** The `aud` of access tokens. For v2.0 tokens Entra writes the app's client id there. */
  readonly audience: string;
  /** Which access tokens are accepted. */
  readonly auth: AuthSettings;
  readonly cloud: Cloud;
  readonly approvalsRequired: number;
  readonly approvalTimeoutInMs: number;
  /** Absolute. Who may ask for, approve and read what. */
  readonly policyFile?: string;
  /** An absolute folder, or the URL of a container of Azure Blob Storage: evidence and the audit log are there. */
  readonly evidenceStore: string;
  readonly temporalUiUrl?: string;
  /** PEM file of the Ed25519 key that signs requests and decisions; made at the first start when it is missing. Absolute. */
  readonly signingKeyFile: string;
  readonly rateLimitPerMinute: number;
  /** The ids of the webhook endpoints. */
  readonly webhookEndpoints: readonly string[];
  /** Operations that may be open at the same time. */
  readonly openLimits: OpenLimits;
  /** Connections of clients, at most; more are closed at once. */
  readonly maxConnections: number;
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
  KEYTURN_POLICY_FILE: z.string().optional(),
  ...EvidenceStoreVariables,
  KEYTURN_TEMPORAL_UI_URL: optionalUrl(),
  KEYTURN_API_SIGNING_KEY_FILE: text('.keyturn/api-key.pem'),
  KEYTURN_RATE_LIMIT_PER_MINUTE: wholeNumber({ min: 1, max: 1_000_000, fallback: 600 }),
  KEYTURN_WEBHOOKS_FILE: z.string().optional(),
  KEYTURN_OPEN_OPERATIONS_PER_CALLER: wholeNumber({ min: 1, max: 1_000_000, fallback: DEFAULT_OPEN_LIMITS.perCaller }),
  KEYTURN_OPEN_OPERATIONS_PER_CLUSTER: wholeNumber({
    min: 1,
    max: 1_000_000,
    fallback: DEFAULT_OPEN_LIMITS.perCluster,
  }),
  KEYTURN_MAX_CONNECTIONS: wholeNumber({ min: 1, max: 1_000_000, fallback: 2_000 }),
  KEYTURN_LOG_LEVEL: oneOf(LOG_LEVELS, 'info'),
  ...AuthVariables,
});
/** Another issuer has no tenants. */
const VariablesOfIssuer = Variables.extend({
  KEYTURN_TENANT_ID: z.undefined({
    error: 'is for Entra, and KEYTURN_AUTH_ISSUER names another issuer. Unset one of them',
  }),
});

/**
 * Reads the API's settings.
 * @throws SettingsError that names every wrong setting.
 */
export function readApiSettings(env: NodeJS.ProcessEnv): ApiSettings {
  const { variables, temporal } = readTogether({
    variables: () =>
      withPublicUrl(
        nonEmpty(env.KEYTURN_AUTH_ISSUER) === undefined
          ? readEnvironment(Variables, {
              ...env,
              KEYTURN_TENANT_ID: nonEmpty(env.KEYTURN_TENANT_ID) ?? env.AZURE_TENANT_ID,
            })
          : readEnvironment(VariablesOfIssuer, env),
      ),
    temporal: () => readTemporalSettings(env),
  });
  const cloud = CLOUDS.find(({ name }) => name === variables.KEYTURN_CLOUD);
  if (!cloud) throw new SettingsError([`KEYTURN_CLOUD must be one of ${cloudNames.join(', ')}.`]);
  const tenantId = variables.KEYTURN_TENANT_ID?.toLowerCase();
  const audience = variables.KEYTURN_AUDIENCE;
  const { KEYTURN_POLICY_FILE: file } = variables;
  const policyFile = file === undefined ? undefined : resolve(file);
  return {
    host: variables.KEYTURN_API_HOST,
    port: variables.KEYTURN_API_PORT,
    publicUrl: variables.KEYTURN_API_PUBLIC_URL,
    temporal,
    taskQueue: variables.KEYTURN_TASK_QUEUE,
    tenantId,
    audience,
    auth: authSettings(variables, { cloud, tenantId, audience, readsGroups: policyFile !== undefined }),
    cloud,
    approvalsRequired: variables.KEYTURN_APPROVALS_REQUIRED,
    approvalTimeoutInMs: variables.KEYTURN_APPROVAL_TIMEOUT_SECONDS * 1000,
    policyFile,
    evidenceStore: evidenceStoreOf(variables, cloud),
    temporalUiUrl: variables.KEYTURN_TEMPORAL_UI_URL,
    signingKeyFile: resolve(variables.KEYTURN_API_SIGNING_KEY_FILE),
    rateLimitPerMinute: variables.KEYTURN_RATE_LIMIT_PER_MINUTE,
    webhookEndpoints: endpointIds(variables.KEYTURN_WEBHOOKS_FILE),
    openLimits: {
      perCaller: variables.KEYTURN_OPEN_OPERATIONS_PER_CALLER,
      perCluster: variables.KEYTURN_OPEN_OPERATIONS_PER_CLUSTER,
    },
    maxConnections: variables.KEYTURN_MAX_CONNECTIONS,
    logLevel: variables.KEYTURN_LOG_LEVEL,
  };
}

/** The worker checks the rest. @throws SettingsError */
function endpointIds(file: string | undefined): string[] {
  if (file === undefined) return [];
  const { endpoints, faults } = webhookEndpoints(readSettingsFile('KEYTURN_WEBHOOKS_FILE', file));
  if (faults.length > 0) throw new SettingsError(faults.map((fault) => `KEYTURN_WEBHOOKS_FILE: ${fault}.`));
  return endpoints.map(({ id }) => id);
}

/** Links in answers are made from the public URL. Without it they would be made from the Host header of each request, with http. */
function withPublicUrl<T extends { readonly KEYTURN_API_HOST: string; readonly KEYTURN_API_PUBLIC_URL?: string }>(
  variables: T,
): T {
  if (variables.KEYTURN_API_PUBLIC_URL !== undefined || isLoopback(variables.KEYTURN_API_HOST)) return variables;
  throw new SettingsError([
    `KEYTURN_API_PUBLIC_URL is not set, and KEYTURN_API_HOST is ${variables.KEYTURN_API_HOST}, which others reach. Set it to the URL that clients use for the API: the links in answers begin with it.`,
  ]);
}
