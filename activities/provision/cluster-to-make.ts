/** What there is of the things that a cluster needs which is to be made: its identity, its key, the vault of that. Writes nothing. */
import type { AzureAccess } from '../../azure/access';
import type { ClusterToMake } from '../../domain/cluster-to-make';
import type { CreateClusterParameters } from '../../domain/kinds/create-cluster';
import type { AzureObservation } from '../../domain/observed';
import { requestedKeyId, type OperationRequest } from '../../domain/request';
import { parseClusterId, parseKeyId } from '../../domain/resource-ids';
import { observeProvisioning } from './vault';

type Azure = Pick<AzureAccess, 'cloud' | 'identities' | 'keys' | 'armKeys' | 'vaults' | 'newVaults' | 'own'>;

/** @throws ArmError, VaultError, TokenError when Azure cannot say now */
export async function observeClusterToMake(
  azure: Azure,
  request: OperationRequest,
  options: { readonly abortSignal?: AbortSignal },
): Promise<Pick<AzureObservation, 'requestedKey' | 'clusterToMake' | 'provisioning' | 'provisionedKey'>> {
  const { subscriptionId = '' } = parseClusterId(request.cluster) ?? {};
  // The schema of the kind has read them.
  const { identityId, location, provision } = request.parameters as unknown as CreateClusterParameters;
  const identity = await identityOf(azure, identityId, options);
  if (provision) {
    const place = { resourceId: request.cluster, location };
    return { clusterToMake: { identity }, ...(await observeProvisioning(azure, place, provision, options)) };
  }
  const keyId = requestedKeyId(request);
  const key = parseKeyId(keyId ?? '');
  if (keyId === undefined || 'fault' in key) return {};
  const principalId = identity.state === 'exists' ? identity.principalId : '';
  const [requestedKey, vault, tenantId] = await Promise.all([
    azure.keys.lookUpAnywhere(keyId, { subscriptionId }, options),
    azure.vaults.find({ key, subscriptionId, principalId }, options),
    azure.own.tenantOf(subscriptionId, options),
  ]);
  return { requestedKey, clusterToMake: { identity, tenantId, vault } };
}

async function identityOf(
  { identities }: Azure,
  identityId: string,
  options: { readonly abortSignal?: AbortSignal },
): Promise<ClusterToMake['identity']> {
  const found = await identities.read(identityId, options);
  if (found.found) return { state: 'exists', principalId: found.principalId };
  return found.state === 'missing' && found.noGroup !== true
    ? { state: 'missing' }
    : { state: 'unseen', why: found.why };
}
