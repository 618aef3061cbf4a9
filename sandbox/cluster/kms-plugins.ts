/**
 * The KMS plugins of one cluster: one per key that is in a slot.
 *
 * Does: starts plugins before API servers need them, and stops those whose key has left both slots.
 * Never does: keep a plugin for an evicted key. What is still stored under that key is lost, as in production.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { VaultCrypto } from './contract';
import { hashKeyId } from './key-id';
import { startKmsPlugin, type KmsPlugin } from './kms-plugin';

/** The real plugin's SDK retries too: one throttled call must not fail an update. */
const CHECK_ATTEMPTS = 3;
const CHECK_PAUSE_IN_MS = 300;
/** A vault that does not answer at all must not hold up the cluster for ever. */
const CHECK_TIMEOUT_IN_MS = 10_000;
const SOCKET_NAME_DIGITS = 12;

/** The plugins of one cluster. */
export interface KmsPlugins {
  /**
   * Starts the plugins that are missing and lets every one of `kids` prove itself in the vault. The others keep running.
   * @throws Error naming the key and what the vault said. Plugins that this call started are stopped again.
   */
  start(kids: readonly string[]): Promise<void>;
  /** Stops every plugin whose key is not in `kids`. */
  retain(kids: readonly string[]): Promise<void>;
  /** `unix:///…` of the plugin of a key, running or not. */
  endpointOf(kid: string): string;
  /** One sentence for each plugin whose last call to the vault failed. */
  failures(): string[];
}

/** Makes the book of plugins; none runs yet. @param directory where their sockets go */
export function createKmsPlugins(directory: string, crypto: VaultCrypto): KmsPlugins {
  const running = new Map<string, KmsPlugin>();
  const socketOf = (kid: string): string => join(directory, `${hashKeyId(kid).slice(0, SOCKET_NAME_DIGITS)}.sock`);

  const stop = async (kids: readonly string[]): Promise<void> => {
    for (const kid of kids) {
      await running.get(kid)?.stop();
      running.delete(kid);
    }
  };

  return {
    endpointOf: (kid) => `unix://${socketOf(kid)}`,
    async start(kids) {
      const started: string[] = [];
      try {
        for (const kid of kids) {
          const plugin = running.get(kid) ?? (await startKmsPlugin({ kid, crypto, socketPath: socketOf(kid) }));
          if (!running.has(kid)) started.push(kid);
          running.set(kid, plugin);
        }
        await Promise.all(kids.map((kid) => proveHealthy(running.get(kid))));
      } catch (error) {
        await stop(started);
        throw error;
      }
    },
    retain: (kids) => stop([...running.keys()].filter((kid) => !kids.includes(kid))),
    failures: () =>
      [...running.values()].flatMap((plugin) => {
        const failure = plugin.failure();
        return failure === undefined ? [] : [`KMS plugin of ${plugin.kid}: ${failure}`];
      }),
  };
}

async function proveHealthy(plugin: KmsPlugin | undefined): Promise<void> {
  if (plugin === undefined) return;
  for (let attempt = 1; ; attempt++) {
    try {
      return await inTime(plugin.check());
    } catch (error) {
      if (attempt === CHECK_ATTEMPTS) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new Error(
          `The cluster cannot encrypt and decrypt with ${plugin.kid} (${CHECK_ATTEMPTS} attempts): ${reason}`,
          { cause: error },
        );
      }
      await sleep(CHECK_PAUSE_IN_MS);
    }
  }
}

async function inTime(check: Promise<void>): Promise<void> {
  const done = new AbortController();
  const late = sleep(CHECK_TIMEOUT_IN_MS, undefined, { signal: done.signal }).then(
    () => {
      throw new Error(`the vault did not answer within ${CHECK_TIMEOUT_IN_MS / 1000} s`);
    },
    () => undefined,
  );
  try {
    await Promise.race([check, late]);
  } finally {
    done.abort();
  }
}
