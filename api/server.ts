/** The API as a running server: settings in, address out. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client, Connection } from '@temporalio/client';
import type { Logger } from 'pino';
import { openSigningKey } from '../evidence/key';
import { RECONNECTING } from '../settings/temporal';
import { createStatementSigner } from '../trust/sign';
import { createApp } from './app';
import { createDeliveriesGateway } from './deliveries-gateway';
import type { ObserveAzure } from './deps';
import { PolicyFile } from './policy/policy-file';
import { AuditLog } from '../evidence/audit-log';
import type { RecordStore } from '../evidence/store';
import type { ApiSettings } from './settings';
import { createTemporalGateway } from './temporal-gateway';

const REQUEST_TIMEOUT_IN_MS = 30_000;
const HEADERS_TIMEOUT_IN_MS = 10_000;
/** Longer than the idle time of common load balancers (60 s): the side that closes first should be theirs. */
const KEEP_ALIVE_TIMEOUT_IN_MS = 65_000;
const SHUTDOWN_GRACE_IN_MS = 15_000;

/** A running API. */
export interface RunningApi {
  /** `http://host:port` */
  readonly url: string;
  /** Accepts no more requests, ends long polls, waits for the other requests (15 s at most), closes the connection to Temporal. May be called twice. */
  close(): Promise<void>;
  /** Reads the policy file again, if there is one. */
  reloadPolicy(): void;
}

/**
 * Starts the API. Temporal need not run yet: until it does, the API answers requests with 503.
 * @throws Error that says what to do when the address cannot be listened on; SettingsError when the policy file cannot be used
 */
export async function startApi(
  settings: ApiSettings,
  parts: { readonly observeAzure: ObserveAzure; readonly store: RecordStore; readonly logger: Logger },
): Promise<RunningApi> {
  const { temporal, auth } = settings;
  const access = settings.policyFile === undefined ? undefined : new PolicyFile(settings.policyFile);
  const connection = Connection.lazy({ ...temporal.connection, ...RECONNECTING });
  const client = new Client({ connection, namespace: temporal.namespace });
  const clock = (): Date => new Date();
  const signer = createStatementSigner(
    await openSigningKey(settings.signingKeyFile, { create: true, use: 'api' }),
    clock,
  );
  const stopping = new AbortController();
  const audit = new AuditLog(parts.store, 'api');
  const app = createApp({
    gateway: createTemporalGateway({ client, taskQueue: settings.taskQueue, clock }),
    observeAzure: parts.observeAzure,
    auth,
    signer,
    policy: { approvalsRequired: settings.approvalsRequired, approvalTimeoutInMs: settings.approvalTimeoutInMs },
    access,
    store: parts.store,
    audit,
    temporalUiUrl: settings.temporalUiUrl,
    publicUrl: settings.publicUrl,
    rateLimit: { limit: settings.rateLimitPerMinute, windowInMs: 60_000 },
    webhooks: {
      endpoints: settings.webhookEndpoints,
      deliveries: createDeliveriesGateway(client, settings.taskQueue),
    },
    openLimits: settings.openLimits,
    logger: parts.logger,
    clock,
    stopping: stopping.signal,
  });
  const server = createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_IN_MS,
      headersTimeout: HEADERS_TIMEOUT_IN_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_IN_MS,
    },
    app,
  );
  server.maxConnections = settings.maxConnections;
  server.on('drop', () => parts.logger.warn({ most: settings.maxConnections }, 'connection refused: too many'));
  try {
    await listen(server, settings);
  } catch (error) {
    await connection.close();
    throw error;
  }
  const { address, port, family } = server.address() as AddressInfo;
  if (access) {
    parts.logger.info({ policy: access.digest, rules: access.current().rules.length }, 'The policy file decides.');
    access.watch(parts.logger);
  } else parts.logger.warn('KEYTURN_POLICY_FILE is not set: the roles of a token hold on every cluster.');
  let closing: Promise<void> | undefined;
  return {
    reloadPolicy: () => void access?.reload(),
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: () =>
      (closing ??= (async () => {
        stopping.abort();
        access?.close();
        await closeServer(server);
        await audit.drained();
        await connection.close();
      })()),
  };
}

async function listen(server: Server, { host, port }: Pick<ApiSettings, 'host' | 'port'>): Promise<void> {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new Error(`The API cannot listen on ${host}:${port}: ${whyNot(error)}`, { cause: error });
  }
}

function whyNot(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  const reasons: Record<string, string> = {
    EADDRINUSE:
      'another program listens there already. Stop it, or set KEYTURN_API_PORT to another port (0 takes a free one).',
    EACCES: 'this user may not listen on that port. Set KEYTURN_API_PORT to 1024 or more.',
    EADDRNOTAVAIL:
      'this machine has no such address. Set KEYTURN_API_HOST to one that it has: 127.0.0.1, or 0.0.0.0 for all.',
    ENOTFOUND: 'there is no such host name. Set KEYTURN_API_HOST to an address.',
  };
  return reasons[code] ?? `${code}.`;
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const force = setTimeout(() => server.closeAllConnections(), SHUTDOWN_GRACE_IN_MS);
  await closed;
  clearTimeout(force);
}
