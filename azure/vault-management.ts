/** One client of Key Vault's control plane for each subscription. */
import { KeyVaultManagementClient } from '@azure/arm-keyvault';
import type { TokenCredential } from '@azure/core-auth';
import type { HttpClient } from '@azure/core-rest-pipeline';
import type { Cloud } from '../domain/clouds';
import { mustParseVaultId } from '../domain/resource-ids';
import type { CallOptions } from './call-options';
import { armScope } from './credentials';
import { ArmError, translateError } from './errors';

/** Calls of the control plane whose failures have one form. Everything throws `ArmError` or `TokenError`. */
export interface VaultManagement {
  /** @param what of the call, for its error */
  inSubscription<T>(
    subscriptionId: string,
    what: string,
    options: CallOptions,
    work: (client: KeyVaultManagementClient) => Promise<T>,
  ): Promise<T>;
  /** @param vaultId ARM id */
  atVault<T>(
    vaultId: string,
    options: CallOptions,
    work: (client: KeyVaultManagementClient, resourceGroup: string, name: string) => Promise<T>,
  ): Promise<T>;
}

/** Makes the calls; sends nothing yet. */
export function createVaultManagement(
  cloud: Cloud,
  credential: TokenCredential,
  httpClient: HttpClient,
): VaultManagement {
  const inSubscription: VaultManagement['inSubscription'] = async (subscriptionId, what, { abortSignal }, work) => {
    const client = new KeyVaultManagementClient(credential, subscriptionId, {
      endpoint: cloud.resourceManager,
      credentials: { scopes: [armScope(cloud)] },
      httpClient,
      retryOptions: { maxRetries: 0 },
    });
    return await work(client).catch((error: unknown) => {
      throw translateError(error, ArmError, what, abortSignal);
    });
  };
  return {
    inSubscription,
    atVault(vaultId, options, work) {
      const { subscriptionId, resourceGroup, name } = mustParseVaultId(vaultId);
      return inSubscription(subscriptionId, `The vault ${name}`, options, (client) =>
        work(client, resourceGroup, name),
      );
    },
  };
}
