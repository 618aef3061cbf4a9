/**
 * A KMS plugin: the gRPC server on a unix socket that an API server asks to encrypt and decrypt its key seeds (KMS v2) or
 * its data-encryption keys (KMS v1).
 *
 * Needs: a VaultCrypto.
 * Does: listens, and answers as kms-v1.ts or kms-v2.ts say.
 * Never does: cache, retry, or fall back to another key.
 */
import { rm } from 'node:fs/promises';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { VaultCrypto } from './contract';
import type { KmsPluginSpec } from './kms-providers';
import { listenOnSocket } from './kms-socket';
import { kmsV1Handlers } from './kms-v1';
import { kmsV1Service } from './kms-v1-schema';
import { kmsV2Handlers } from './kms-v2';
import { kmsV2Service } from './kms-v2-schema';
import { roundTrip, watchVault } from './kms-vault';

/** sun_path holds 104 bytes on macOS (108 on Linux), the closing zero included. */
const SOCKET_PATH_LIMIT_IN_BYTES = 103;

/** What a plugin is started with. */
export interface KmsPluginOptions extends KmsPluginSpec {
  readonly crypto: VaultCrypto;
  /** Where to listen; a file that is left there is removed first. */
  readonly socketPath: string;
}

/** A running plugin. */
export interface KmsPlugin {
  /** Current first. */
  readonly kids: readonly string[];
  /** For the EncryptionConfiguration: `unix:///…`. */
  readonly endpoint: string;
  /**
   * A real encrypt and decrypt in the vault with one of the keys, as a health probe of the API server brings it about.
   * @throws Error of the vault, as it came.
   */
  check(kid: string): Promise<void>;
  /** Why the last call to the vault failed; undefined when it succeeded or there was none. */
  failure(): string | undefined;
  /** Ends the server at once, open calls included; may be called twice. */
  stop(): Promise<void>;
}

/**
 * Starts a plugin; resolves when its socket accepts calls. The vault is not asked yet.
 * @throws Error when the plugin cannot serve these keys, or the socket cannot be made: its path is too long, or its
 *         directory is not there.
 */
export async function startKmsPlugin(options: KmsPluginOptions): Promise<KmsPlugin> {
  const { kids, socketPath } = options;
  checkSocketPath(socketPath);
  await rm(socketPath, { force: true });

  const vault = watchVault(options.crypto);
  const server = new Server();
  if (options.version === 'v1') server.addService(kmsV1Service(), kmsV1Handlers(vault, kids));
  else server.addService(kmsV2Service(), kmsV2Handlers(vault, onlyKey(kids)));
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const socket = await listenOnSocket(socketPath, (connection) => injector.injectConnection(connection)).catch(
    (error: unknown) => {
      throw new Error(`The KMS plugin of ${kids.join(' and ')} cannot listen on ${socketPath}.`, { cause: error });
    },
  );

  return {
    kids,
    endpoint: `unix://${socketPath}`,
    check: (kid) => roundTrip(vault, kid),
    failure: () => vault.failure(),
    async stop() {
      socket.close();
      server.forceShutdown();
      await rm(socketPath, { force: true });
    },
  };
}

function onlyKey(kids: readonly string[]): string {
  const [kid, ...others] = kids;
  if (kid !== undefined && others.length === 0) return kid;
  throw new Error(`A KMS v2 plugin serves one key, but ${kids.length} were given.`);
}

function checkSocketPath(socketPath: string): void {
  const length = Buffer.byteLength(socketPath);
  if (length > SOCKET_PATH_LIMIT_IN_BYTES) {
    throw new Error(
      `The socket path ${socketPath} has ${length} bytes, but unix sockets allow ${SOCKET_PATH_LIMIT_IN_BYTES} on some ` +
        'systems. Put the sandbox into a directory with a shorter path.',
    );
  }
}
