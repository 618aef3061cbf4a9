/** Where Temporal is: the variables that Temporal's own programs read. */
import type { ConnectionOptions } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { isLoopback, nonEmpty, SettingsError } from './environment';

/** Temporal's own default, which teams share. */
const SHARED_NAMESPACE = 'default';

/**
 * How a client connects again after Temporal was away: it tries every 5 s. By its own default gRPC waits longer each time, up to two
 * minutes, in which the API would answer 503 although Temporal is back.
 */
export const RECONNECTING = { channelArgs: { 'grpc.max_reconnect_backoff_ms': 5_000 } } as const;

/** How to reach Temporal. */
export interface TemporalSettings {
  readonly namespace: string;
  readonly connection: {
    readonly address?: string;
    readonly tls?: NonNullable<ConnectionOptions['tls']>;
    readonly apiKey?: string;
  };
}

/**
 * Reads TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_* and TEMPORAL_CONFIG_FILE.
 * The namespace `default` of a Temporal elsewhere is refused, unless KEYTURN_ALLOW_DEFAULT_NAMESPACE is `true`: whoever may write to
 * the namespace may speak to operations.
 * @throws SettingsError when they, or the file, cannot be read
 */
export function readTemporalSettings(env: NodeJS.ProcessEnv): TemporalSettings {
  const given = Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  return refuseSharedNamespace(read(given), given.KEYTURN_ALLOW_DEFAULT_NAMESPACE);
}

function refuseSharedNamespace(settings: TemporalSettings, allowed: string | undefined): TemporalSettings {
  const { namespace, connection } = settings;
  const host = (connection.address ?? 'localhost').replace(/^\w+:\/\//, '').replace(/:\d+$/, '');
  if (namespace !== SHARED_NAMESPACE || isLoopback(host) || nonEmpty(allowed) === 'true') return settings;
  throw new SettingsError([
    'TEMPORAL_NAMESPACE is "default", or not set, and Temporal is not on this machine. Who may write to that namespace could speak to operations: make a namespace for Keyturn alone and name it, or set KEYTURN_ALLOW_DEFAULT_NAMESPACE=true.',
  ]);
}

function read(given: Record<string, string>): TemporalSettings {
  try {
    const { namespace, connectionOptions } = loadClientConnectConfig({ overrideEnvVars: given });
    const { address, tls, apiKey } = connectionOptions;
    return {
      namespace: nonEmpty(namespace) ?? SHARED_NAMESPACE,
      connection: {
        address: nonEmpty(address),
        tls: tls ?? undefined,
        apiKey: typeof apiKey === 'string' ? apiKey : undefined,
      },
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new SettingsError([
      `The TEMPORAL_* variables, or the file that TEMPORAL_CONFIG_FILE names, cannot be read: ${why}`,
    ]);
  }
}
