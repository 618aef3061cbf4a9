/** One Key Vault client for each vault, and calls through it whose failures have one form. */
import type { TokenCredential } from '@azure/core-auth';
import type { HttpClient } from '@azure/core-rest-pipeline';
import { KeyClient } from '@azure/keyvault-keys';
import type { Cloud } from '../domain/clouds';
import type { KeyId } from '../domain/resource-ids';
import type { CallOptions } from './call-options';
import { translateError, VaultError } from './errors';

/**
 * Calls the vault of a key.
 * @throws VaultError, TokenError; the signal's reason when the caller aborted
 */
export type CallVault = <T>(keyId: KeyId, options: CallOptions, work: (client: KeyClient) => Promise<T>) => Promise<T>;

/** Makes the clients; each vault is contacted when a key of it is asked for. */
export function createVaultCaller(cloud: Cloud, credential: TokenCredential, httpClient: HttpClient): CallVault {
  const http = withBodies(httpClient);
  const clients = new Map<string, KeyClient>();
  const clientOf = (keyId: KeyId): KeyClient => {
    if (keyId.cloud.name !== cloud.name) {
      throw new VaultError({
        code: 'OtherCloud',
        message: `${keyId.vaultUrl} is in ${keyId.cloud.name}, but Keyturn is set up for ${cloud.name}. It was not contacted.`,
        retryable: false,
      });
    }
    const known = clients.get(keyId.vaultUrl);
    if (known) return known;
    const client = new KeyClient(keyId.vaultUrl, credential, { httpClient: http, retryOptions: { maxRetries: 0 } });
    clients.set(keyId.vaultUrl, client);
    return client;
  };
  return async (keyId, options, work) => {
    options.abortSignal?.throwIfAborted();
    return work(clientOf(keyId)).catch((error: unknown) => {
      throw translateError(error, VaultError, keyId.vaultUrl, options.abortSignal);
    });
  };
}

/**
 * Gives a refusal without a body an empty object: the client of Key Vault 4.10 breaks on one with a TypeError that has no status. Proxies and
 * gateways answer like that.
 */
function withBodies(http: HttpClient): HttpClient {
  return {
    async sendRequest(request) {
      const response = await http.sendRequest(request);
      return response.status < 400 || response.bodyAsText ? response : { ...response, bodyAsText: '{}' };
    },
  };
}
