/**
 * A cluster's way to its vault: the crypto door of crypto.ts, called as the cluster's user-assigned identity.
 *
 * Needs: the registry, role assignments, and the cluster's identity at the time of each call.
 * Does: authorizes and performs exactly what an HTTP call with that identity's token would.
 * Never does: cache. A permission that was taken away is gone at the next call.
 */
import type { VaultCrypto } from '../../cluster/contract';
import type { RoleAssignments } from '../arm/role-assignments';
import type { ServicePrincipal } from '../entra/directory';
import { AzureError } from '../errors';
import type { VaultCaller } from './access';
import { callOf, type VaultAudit } from './audit';
import { performCrypto } from './crypto';
import { parseKid } from './kid';
import type { VaultRegistry } from './registry';

/** Whose calls these are. */
export interface ClusterCryptoOptions {
  readonly registry: VaultRegistry;
  readonly assignments: RoleAssignments;
  /** The token issuer, for the text of refusals. */
  readonly issuer: string;
  /** The principal of the cluster's user-assigned identity at the moment. */
  readonly identity: () => ServicePrincipal | undefined;
  /** Whether the cluster has an approved private endpoint to a vault, by its ARM id. */
  readonly isLinked: (vaultId: string) => boolean;
  /** Hears of each call. */
  readonly audit: VaultAudit;
}

/** RSA-OAEP-256 as the cluster. Rejects with an Error whose message is one line: status, code and Key Vault's text. */
export function clusterVaultCrypto(options: ClusterCryptoOptions): VaultCrypto {
  const call = (operation: 'encrypt' | 'decrypt', kid: string, value: Uint8Array): Uint8Array => {
    const parsed = parseKid(kid);
    if (parsed === undefined) throw new AzureError(400, 'BadParameter', `'${kid}' is not a key id.`);
    const vault = options.registry.findByHost(parsed.host);
    // A deleted vault loses its DNS name.
    if (vault === undefined) throw new AzureError(404, 'VaultNotFound', `getaddrinfo ENOTFOUND ${parsed.host}`);
    const principal = options.identity();
    if (principal === undefined) {
      throw new AzureError(401, 'Unauthorized', 'The cluster has no user-assigned identity to call the vault with.');
    }
    const isPrivate = options.isLinked(vault.id);
    const caller: VaultCaller = {
      principal,
      issuer: options.issuer,
      origin: isPrivate ? { kind: 'private-link' } : { kind: 'internet', address: '127.0.0.1' },
    };
    const { name, version = '' } = parsed;
    const tell = (httpStatusCode: number): void =>
      options.audit({
        ...callOf(vault, caller, `/keys/${name}/${version}/${operation}`),
        operationName: operation === 'encrypt' ? 'KeyEncrypt' : 'KeyDecrypt',
        httpStatusCode,
      });
    const request = { keyName: name, version: parsed.version, operation, algorithm: 'RSA-OAEP-256', value } as const;
    try {
      const done = performCrypto(vault, options.assignments, caller, request).value;
      tell(200);
      return done;
    } catch (error) {
      tell(error instanceof AzureError ? error.status : 500);
      throw error;
    }
  };

  const asOneLine = (operation: 'encrypt' | 'decrypt') => {
    return async (kid: string, value: Uint8Array): Promise<Uint8Array> => {
      try {
        return call(operation, kid, value);
      } catch (error) {
        if (!(error instanceof AzureError)) throw error;
        throw new Error(error.toLine(), { cause: error });
      }
    };
  };
  return { encrypt: asOneLine('encrypt'), decrypt: asOneLine('decrypt') };
}
