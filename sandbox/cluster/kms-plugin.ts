/**
 * A KMS v2 plugin: the gRPC server on a unix socket that an API server asks to encrypt and decrypt its key seeds.
 *
 * Needs: a VaultCrypto.
 * Does: what Azure/kubernetes-kms does (pkg/plugin): one plugin serves one pinned key version, reports hex(sha256(kid)) as
 *       its key id, answers Status by a real encrypt and decrypt in the vault, and refuses to decrypt for another key id.
 * Never does: cache, retry, or fall back to another key.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { Server, ServerCredentials, status, type handleUnaryCall, type ServiceError } from '@grpc/grpc-js';
import type { VaultCrypto } from './contract';
import { hashKeyId } from './key-id';
import {
  kmsV2Service,
  type DecryptRequest,
  type DecryptResponse,
  type EncryptRequest,
  type EncryptResponse,
  type StatusResponse,
} from './kms-v2-schema';

/** sun_path holds 104 bytes on macOS (108 on Linux), the closing zero included. */
const SOCKET_PATH_LIMIT_IN_BYTES = 103;
const CHECK_LENGTH_IN_BYTES = 32;

/** What a plugin is started with. */
export interface KmsPluginOptions {
  /** The one key version that this plugin serves. */
  readonly kid: string;
  readonly crypto: VaultCrypto;
  /** Where to listen; a file that is left there is removed first. */
  readonly socketPath: string;
}

/** A running plugin. */
export interface KmsPlugin {
  readonly kid: string;
  /** For the EncryptionConfiguration: `unix:///…`. */
  readonly endpoint: string;
  /**
   * A real encrypt and decrypt in the vault, as Status does it.
   * @throws Error of the vault, as it came.
   */
  check(): Promise<void>;
  /** Why the last call to the vault failed; undefined when it succeeded or there was none. */
  failure(): string | undefined;
  /** Ends the server at once, open calls included; may be called twice. */
  stop(): Promise<void>;
}

/**
 * Starts a plugin; resolves when its socket accepts calls. The vault is not asked yet.
 * @throws Error when the socket cannot be made: its path is too long, or its directory is not there.
 */
export async function startKmsPlugin(options: KmsPluginOptions): Promise<KmsPlugin> {
  const { kid, socketPath } = options;
  checkSocketPath(socketPath);
  await rm(socketPath, { force: true });

  const vault = watched(options.crypto, kid);
  const server = new Server();
  server.addService(kmsV2Service(), handlers(vault, hashKeyId(kid)));
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socketPath}`, ServerCredentials.createInsecure(), (error) => {
      if (error === null) resolve();
      else reject(new Error(`The KMS plugin of ${kid} cannot listen on ${socketPath}.`, { cause: error }));
    });
  });

  return {
    kid,
    endpoint: `unix://${socketPath}`,
    check: () => roundTrip(vault),
    failure: () => vault.failure(),
    async stop() {
      server.forceShutdown();
      await rm(socketPath, { force: true });
    },
  };
}

/** The vault as one plugin sees it: one key, and a memory of what went wrong last. */
interface PinnedVault {
  encrypt(plaintext: Uint8Array): Promise<Uint8Array>;
  decrypt(ciphertext: Uint8Array): Promise<Uint8Array>;
  failure(): string | undefined;
}

function watched(crypto: VaultCrypto, kid: string): PinnedVault {
  let failure: string | undefined;
  const watch = async (call: Promise<Uint8Array>): Promise<Uint8Array> => {
    try {
      const result = await call;
      failure = undefined;
      return result;
    } catch (error) {
      failure = messageOf(error);
      throw error;
    }
  };
  return {
    encrypt: (plaintext) => watch(crypto.encrypt(kid, plaintext)),
    decrypt: (ciphertext) => watch(crypto.decrypt(kid, ciphertext)),
    failure: () => failure,
  };
}

async function roundTrip(vault: PinnedVault): Promise<void> {
  const sent = randomBytes(CHECK_LENGTH_IN_BYTES);
  const received = await vault.decrypt(await vault.encrypt(sent));
  if (received.length !== sent.length || !timingSafeEqual(received, sent)) {
    throw new Error('The vault decrypted a test message to something else than what was encrypted.');
  }
}

function handlers(vault: PinnedVault, keyId: string) {
  return {
    Status: unary(async (): Promise<StatusResponse> => {
      await roundTrip(vault);
      return { version: 'v2', healthz: 'ok', key_id: keyId };
    }),
    Encrypt: unary(async ({ plaintext }: EncryptRequest): Promise<EncryptResponse> => ({
      ciphertext: await vault.encrypt(plaintext),
      key_id: keyId,
    })),
    Decrypt: unary(async ({ ciphertext, key_id }: DecryptRequest): Promise<DecryptResponse> => {
      if (key_id !== keyId) throw new Error(`This plugin serves key id ${keyId}, not ${key_id}.`);
      return { plaintext: await vault.decrypt(ciphertext) };
    }),
  };
}

/** An async function as a gRPC handler. Failures are UNKNOWN with the error's text, which is what a plain Go error gives. */
function unary<Request, Response>(answer: (request: Request) => Promise<Response>): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    answer(call.request).then(
      (response) => callback(null, response),
      (error: unknown) => {
        const failed: Partial<ServiceError> = { code: status.UNKNOWN, details: messageOf(error) };
        callback(failed);
      },
    );
  };
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
