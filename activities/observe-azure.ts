/** What Azure says of a cluster, its keys and what its kind needs to know. Writes nothing. */
import type { AzureAccess } from '../azure/access';
import { ArmError, hasNoPlace, isAbsent } from '../azure/errors';
import { readIdentityAccess } from '../azure/identity-access';
import type { ClusterSnapshot } from '../azure/managed-clusters';
import type { IdentityAccess } from '../domain/identity-access';
import { usersOf, usersOfVault } from '../domain/key-users';
import { kindOf } from '../domain/kinds';
import {
  ANOTHER_VAULT,
  notInArm,
  type AzureObservation,
  type KeyLookup,
  type ObservedCluster,
} from '../domain/observed';
import { nextKeyId, requestedKeyId, type OperationRequest } from '../domain/request';
import { vaultNameOf } from '../domain/plan/changed-resources';
import { parseClusterId, parseKeyId, resourceName, sameKeyObject } from '../domain/resource-ids';
import { readKeyUsage } from './key-usage';
import { observeCsi } from './csi/observe';
import { observeClusterToMake } from './provision/cluster-to-make';
import { observeDiagnostics } from './provision/diagnostics';
import { observeNewKey, observeProvisioning, type ProvisioningRequest } from './provision/vault';
import type { Look } from './look';

/**
 * What Azure says of the cluster and the keys that matter. The vault of a requested key is contacted only when it is the
 * vault of the current key: a request must not make Keyturn talk to a stranger's vault.
 * @throws ArmError, VaultError, TokenError when Azure cannot say now
 */
export async function observeAzure(
  azure: AzureAccess,
  request: OperationRequest,
  options: { readonly abortSignal?: AbortSignal } = {},
): Promise<AzureObservation> {
  const at = new Date().toISOString();
  let snapshot: ClusterSnapshot;
  try {
    snapshot = await azure.clusters.read(request.cluster, options);
  } catch (error) {
    const why = whyNotThere(error);
    if (why === undefined) throw error;
    const { startsWithout } = kindOf(request.kind);
    const making = startsWithout === 'cluster' ? await observeClusterToMake(azure, request, options) : {};
    return { at, cluster: { found: false, why, state: absenceOf(error) }, ...making };
  }
  const cluster = { found: true as const, cluster: snapshot.observed };
  const { enabled, keyId } = snapshot.observed.kms;
  const currentKeyId = enabled ? keyId : undefined;
  const requested = requestedKeyId(request);
  const next = nextKeyId(request);
  const { keyFrom, needs } = kindOf(request.kind);
  const { subscriptionId = '' } = parseClusterId(request.cluster) ?? {};
  const place = { subscriptionId, vaultId: snapshot.observed.kms.vaultId };
  const look = (keyId: string): Promise<KeyLookup> => azure.keys.lookUpAnywhere(keyId, place, options);
  const lookUp = (keyId: string): Promise<KeyLookup> =>
    keyFrom === 'any-vault' ? look(keyId) : lookUpRequested(look, keyId, currentKeyId);
  const granted = requested ?? currentKeyId;
  const { workspaceId, newKeyName } = request.parameters;
  const others = needs.includes('other-key-access')
    ? [requested, next].filter((one) => one !== undefined && isOtherObject(one, currentKeyId))
    : [];
  const [
    currentKey,
    requestedKey,
    nextKey,
    upgradeProfile,
    identityAccess,
    vaultDiagnostics,
    provisioning,
    otherKeyAccess,
    csi,
  ] = await Promise.all([
    // A kind that repairs keys looks them up itself, also where their vault does not answer.
    currentKeyId === undefined || needs.includes('recovery') ? undefined : look(currentKeyId),
    requested === undefined ? undefined : lookUp(requested),
    next === undefined ? undefined : lookUp(next),
    needs.includes('upgrade-profile')
      ? azure.clusters.upgradeProfile(snapshot.observed.resourceId, options)
      : undefined,
    needs.includes('identity-access') && granted !== undefined
      ? identityAccessOf(azure, snapshot.observed, granted, options)
      : undefined,
    needs.includes('vault-diagnostics') && typeof workspaceId === 'string'
      ? observeDiagnostics(azure, snapshot.observed, workspaceId, options)
      : undefined,
    needs.includes('provisioning')
      ? // The schema of the kind has read them.
        observeProvisioning(azure, snapshot.observed, request.parameters as unknown as ProvisioningRequest, options)
      : needs.includes('new-key') && typeof newKeyName === 'string'
        ? observeNewKey(azure, snapshot.observed, newKeyName, options)
        : undefined,
    Promise.all(others.map((one) => identityAccessOf(azure, snapshot.observed, one ?? '', options))),
    needs.includes('csi') ? observeCsi(azure, snapshot, request.parameters, options) : undefined,
  ]);
  return {
    at,
    cluster,
    ...(currentKey === undefined ? {} : { currentKey }),
    ...(requestedKey === undefined ? {} : { requestedKey }),
    ...(nextKey === undefined ? {} : { nextKey }),
    ...(upgradeProfile === undefined ? {} : { upgradeProfile }),
    ...(identityAccess === undefined ? {} : { identityAccess }),
    ...(vaultDiagnostics === undefined ? {} : { vaultDiagnostics }),
    ...provisioning,
    ...(others.length === 0 ? {} : { otherKeyAccess: otherKeyAccess.filter((one) => one !== undefined) }),
    ...(csi === undefined ? {} : { csi }),
  };
}

/** Whether a key of the vault of the current one is of another object: a role at one key says nothing of it. */
function isOtherObject(keyId: string, current: string | undefined): boolean {
  if (current === undefined || sameKeyObject(keyId, current)) return false;
  const [one, other] = [parseKeyId(keyId), parseKeyId(current)];
  return !('fault' in one) && !('fault' in other) && one.vaultUrl === other.vaultUrl;
}

/** @returns undefined when Azure does not tell the identity, or the key is none of this cloud */
export async function identityAccessOf(
  azure: AzureAccess,
  { resourceId, identities, kms }: ObservedCluster,
  keyId: string,
  options: { readonly abortSignal?: AbortSignal },
): Promise<IdentityAccess | undefined> {
  const [identity] = identities;
  const cluster = parseClusterId(resourceId);
  const key = parseKeyId(keyId);
  if (identity?.principalId === undefined || !cluster || 'fault' in key || key.cloud.name !== azure.cloud.name)
    return undefined;
  const query = {
    identity: { name: resourceName(identity.resourceId), principalId: identity.principalId },
    keyId,
    subscriptionId: cluster.subscriptionId,
    vaultId: kms.vaultId,
  };
  const [access, tenantId] = await Promise.all([
    readIdentityAccess(azure, query, options),
    azure.own.tenantOf(cluster.subscriptionId, options),
  ]);
  return { ...access, tenantId };
}

/**
 * `observeAzure`, and who needs the key that a kind retires (the one that the request names for that, or the current one), or the vault
 * whose network it changes. That reads every cluster: for plans only.
 * @throws as `observeAzure`
 */
export async function observeForPlan(
  { azure, use, signal }: Look,
  request: OperationRequest,
): Promise<AzureObservation> {
  const observed = await observeAzure(azure, request, { abortSignal: signal });
  const { needs, retires } = kindOf(request.kind);
  if (!observed.cluster.found) return observed;
  const { resourceId, kms } = observed.cluster.cluster;
  if (needs.includes('vault-users') && kms.keyId !== undefined) {
    const usage = await readKeyUsage(azure, use, signal);
    return { ...observed, vaultUsers: usersOfVault(usage, kms.keyId, resourceId) };
  }
  if (!needs.includes('key-users')) return observed;
  const keyId = retires === 'requested-key' ? requestedKeyId(request) : kms.keyId;
  if (keyId === undefined) return observed;
  const [usage, vaultIds] = await Promise.all([
    readKeyUsage(azure, use, signal),
    vaultIdOf(azure, observed.cluster.cluster, keyId, { abortSignal: signal }),
  ]);
  return { ...observed, keyUsers: usersOf(usage, keyId), ...(vaultIds === undefined ? {} : { vaultIds }) };
}

/** The ARM id of a key's vault, by the name of the vault; undefined where Keyturn sees none. @throws ArmError, TokenError */
async function vaultIdOf(
  azure: AzureAccess,
  { resourceId, kms: { vaultId } }: ObservedCluster,
  keyId: string,
  options: { readonly abortSignal?: AbortSignal },
): Promise<Readonly<Record<string, string>> | undefined> {
  const key = parseKeyId(keyId);
  const { subscriptionId } = parseClusterId(resourceId) ?? {};
  if ('fault' in key || subscriptionId === undefined) return undefined;
  const vault = await azure.vaults.find({ key, subscriptionId, vaultId, principalId: '' }, options);
  return vault.known ? { [vaultNameOf(keyId)]: vault.value.vaultId } : undefined;
}

async function lookUpRequested(
  look: (keyId: string) => Promise<KeyLookup>,
  requested: string,
  currentKeyId: string | undefined,
): Promise<KeyLookup> {
  const key = parseKeyId(requested);
  const current = parseKeyId(currentKeyId ?? '');
  if ('fault' in key) return { found: false, keyId: requested, why: key.fault };
  if ('fault' in current || key.vaultUrl !== current.vaultUrl) {
    return { found: false, keyId: key.kid, why: ANOTHER_VAULT };
  }
  return await look(key.kid);
}

function absenceOf(error: unknown): 'missing' | 'no-group' | 'unseen' {
  if (!(error instanceof ArmError) || !isAbsent(error)) return 'unseen';
  return hasNoPlace(error.code) ? 'no-group' : 'missing';
}

/** Why ARM does not show a cluster, in one sentence; undefined for any other error. */
export function whyNotThere(error: unknown): string | undefined {
  if (!(error instanceof ArmError)) return undefined;
  if (isAbsent(error)) return notInArm(error.code);
  if (error.status === 403) return `Keyturn may not read it (${error.code}): ${error.message}`;
  return undefined;
}
