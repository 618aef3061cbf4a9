/** What there is of the things that a cluster needs which is to be made: its identity, its key, the vault of that. Writes nothing. */
import type { AzureAccess } from '../../azure/access';
import type { ClusterToMake } from '../../domain/cluster-to-make';
import type { AzureObservation } from '../../domain/observed';
import { requestedKeyId, type OperationRequest } from '../../domain/request';
import { parseClusterId, parseKeyId } from '../../domain/resource-ids';

type Azure = Pick<AzureAccess, 'cloud' | 'identities' | 'keys' | 'vaults'>;

/** @throws ArmError, VaultError, TokenError when Azure cannot say now */
export async function observeClusterToMake(
  azure: Azure,
  request: OperationRequest,
  options: { readonly abortSignal?: AbortSignal },
): Promise<Pick<AzureObservation, 'requestedKey' | 'clusterToMake'>> {
  const { subscriptionId = '' } = parseClusterId(request.cluster) ?? {};
  const { identityId } = request.parameters;
  const keyId = requestedKeyId(request);
  const key = parseKeyId(keyId ?? '');
  if (typeof identityId !== 'string' || keyId === undefined || 'fault' in key) return {};
  const identity = await identityOf(azure, identityId, options);
  const principalId = identity.state === 'exists' ? identity.principalId : '';
  const [requestedKey, vault] = await Promise.all([
    azure.keys.lookUpAnywhere(keyId, { subscriptionId }, options),
    azure.vaults.find({ key, subscriptionId, principalId }, options),
  ]);
  return { requestedKey, clusterToMake: { identity, vault } };
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
