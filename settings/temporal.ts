/** Where Temporal is: the variables that Temporal's own programs read. */
import type { ConnectionOptions } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { nonEmpty, SettingsError } from './environment';

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
 * @throws SettingsError when they, or the file, cannot be read
 */
export function readTemporalSettings(env: NodeJS.ProcessEnv): TemporalSettings {
  const given = Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  try {
    const { namespace, connectionOptions } = loadClientConnectConfig({ overrideEnvVars: given });
    const { address, tls, apiKey } = connectionOptions;
    return {
      namespace: nonEmpty(namespace) ?? 'default',
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
