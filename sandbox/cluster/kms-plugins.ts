/**
 * The KMS plugins of one cluster: one per key that is in a slot, or one for both slots behind a shared name (KMS v1).
 *
 * Does: starts plugins before API servers need them, and stops those whose key has left both slots.
 * Never does: keep a plugin for an evicted key. What is still stored under that key is lost, as in production.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../message-of';
import type { VaultCrypto } from './contract';
import { hashKeyId } from './key-id';
import { startKmsPlugin, type KmsPlugin } from './kms-plugin';
import type { KmsPluginSpec } from './kms-providers';

/** The real plugin's SDK retries too: one throttled call must not fail an update. */
const CHECK_ATTEMPTS = 3;
const CHECK_PAUSE_IN_MS = 300;
/** A vault that does not answer at all must not hold up the cluster for ever. */
const CHECK_TIMEOUT_IN_MS = 10_000;
const SOCKET_NAME_DIGITS = 12;

/** The plugins of one cluster. */
export interface KmsPlugins {
  /**
   * Starts the plugins that are missing and lets every key of every one of them prove itself in the vault. Others keep running.
   * @throws Error naming the key and what the vault said. Plugins that this call started are stopped again.
   */
  start(plugins: readonly KmsPluginSpec[]): Promise<void>;
  /** Stops every plugin that is not in the list. */
  retain(plugins: readonly KmsPluginSpec[]): Promise<void>;
  /** `unix:///…` of a plugin, running or not. */
  endpointOf(plugin: KmsPluginSpec): string;
  /** One sentence for each plugin whose last call to the vault failed. */
  failures(): string[];
}

/** Makes the book of plugins; none runs yet. @param directory where their sockets go */
export function createKmsPlugins(directory: string, crypto: VaultCrypto): KmsPlugins {
  const running = new Map<string, KmsPlugin>();
  const socketOf = (spec: KmsPluginSpec): string => join(directory, `${socketName(spec)}.sock`);

  const stop = async (ids: readonly string[]): Promise<void> => {
    for (const id of ids) {
      await running.get(id)?.stop();
      running.delete(id);
    }
  };

  return {
    endpointOf: (plugin) => `unix://${socketOf(plugin)}`,
    async start(plugins) {
      const started: string[] = [];
      const wanted: KmsPlugin[] = [];
      try {
        for (const spec of plugins) {
          const id = identityOf(spec);
          const plugin = running.get(id) ?? (await startKmsPlugin({ ...spec, crypto, socketPath: socketOf(spec) }));
          if (!running.has(id)) started.push(id);
          running.set(id, plugin);
          wanted.push(plugin);
        }
        await Promise.all(wanted.flatMap((plugin) => plugin.kids.map((kid) => proveHealthy(plugin, kid))));
      } catch (error) {
        await stop(started);
        throw error;
      }
    },
    retain(plugins) {
      const kept = new Set(plugins.map(identityOf));
      return stop([...running.keys()].filter((id) => !kept.has(id)));
    },
    failures: () =>
      [...running.values()].flatMap((plugin) => {
        const failure = plugin.failure();
        return failure === undefined ? [] : [`KMS plugin of ${plugin.kids.join(' and ')}: ${failure}`];
      }),
  };
}

/** Key ids are URLs: they have no spaces. */
function identityOf({ version, kids }: KmsPluginSpec): string {
  return [version, ...kids].join(' ');
}

/** Of a KMS v2 plugin, the beginning of its key id, so that people can tell the sockets apart. */
function socketName(spec: KmsPluginSpec): string {
  const [kid] = spec.kids;
  const named = spec.version === 'v2' && kid !== undefined ? kid : identityOf(spec);
  return hashKeyId(named).slice(0, SOCKET_NAME_DIGITS);
}

async function proveHealthy(plugin: KmsPlugin, kid: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await inTime(plugin.check(kid));
    } catch (error) {
      if (attempt === CHECK_ATTEMPTS) {
        const reason = messageOf(error);
        throw new Error(`The cluster cannot encrypt and decrypt with ${kid} (${CHECK_ATTEMPTS} attempts): ${reason}`, {
          cause: error,
        });
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
