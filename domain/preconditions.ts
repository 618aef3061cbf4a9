/**
 * The rules that must hold before a cluster's key may be turned. Each is a code, a sentence, and a test.
 *
 * They run twice: in the API, so that a bad request is refused at once, and in the operation, before it plans.
 * Sources: the AKS documents on KMS etcd encryption; research note azure-facts.md 4.3.
 */
import { minorOf } from './encryption';
import type { Fault } from './errors';
import type { AzureObservation, KeyLookup, ObservedCluster, ObservedKey } from './observed';
import type { OperationRequest } from './request';
import { parseKeyId, shortKeyId } from './resource-ids';

const CLUSTER = '/cluster';
const KEY = '/parameters/keyId';

/** Every violated rule of `rotate-key`; none means that a plan can be made. */
export function rotateKeyFaults(request: OperationRequest, azure: AzureObservation): Fault[] {
  if (!azure.cluster.found) {
    return [{ code: 'ClusterNotFound', pointer: CLUSTER, detail: `${request.cluster}: ${azure.cluster.why}` }];
  }
  const { cluster } = azure.cluster;
  const clusterFaults = faultsOfCluster(cluster);
  if (!cluster.kms.enabled) return clusterFaults;
  return [
    ...clusterFaults,
    ...faultsOfCurrentKey(azure.currentKey, azure.at),
    ...(azure.requestedKey ? faultsOfRequestedKey(azure.requestedKey, cluster, azure.at) : []),
  ];
}

function faultsOfCluster(cluster: ObservedCluster): Fault[] {
  const faults: Fault[] = [];
  const fault = (code: Fault['code'], detail: string): void => void faults.push({ code, detail, pointer: CLUSTER });
  if (cluster.powerState !== 'Running') {
    fault(
      'ClusterNotRunning',
      `The cluster's power state is ${cluster.powerState}. Start it: a stopped cluster cannot rewrite its Secrets.`,
    );
  }
  if (cluster.provisioningState !== 'Succeeded') {
    fault(
      'ClusterNotSucceeded',
      `The cluster's provisioning state is ${cluster.provisioningState}. Wait for the running change, or repair the failed one, then ask again.`,
    );
  }
  if (cluster.platformManagedEncryption) {
    fault(
      'PlatformManagedEncryption',
      'The cluster has kubernetesResourceObjectEncryptionProfile set: AKS picks up new key versions and rewrites by itself. There is nothing for Keyturn to turn.',
    );
  }
  if (!cluster.kms.enabled) {
    fault(
      'KmsNotEnabled',
      'KMS (securityProfile.azureKeyVaultKms) is not enabled. Enable KMS first; there is no key to turn.',
    );
    return faults;
  }
  if (vaultOf(cluster.kms.keyId) === undefined) {
    const detail = `KMS is on, but Azure reports "${cluster.kms.keyId ?? ''}" as its key, which is no versioned key id. Keyturn does not know what would be turned.`;
    fault('CurrentKeyUnusable', detail);
  }
  if (cluster.identityType !== 'UserAssigned') {
    fault(
      'ClusterIdentityUnsupported',
      `The cluster's identity is of type ${cluster.identityType}; AKS KMS supports UserAssigned only.`,
    );
  }
  if (Number.isNaN(minorOf(cluster.kubernetesVersion))) {
    fault(
      'ClusterVersionUnsupported',
      `Azure reports "${cluster.kubernetesVersion}" as the Kubernetes version. Keyturn does not know whether that encrypts with KMS v1 or v2.`,
    );
  }
  if (cluster.localAccountsDisabled) {
    fault(
      'LocalAccountsDisabled',
      'Local accounts are off (disableLocalAccounts), so ARM gives no admin credentials, and Keyturn has no other way into the cluster yet.',
    );
  }
  return faults;
}

function faultsOfCurrentKey(lookup: KeyLookup | undefined, now: string): Fault[] {
  if (!lookup) return [];
  const what = 'The current key becomes the previous key, which the API servers go on reading with';
  if (!lookup.found) {
    return [
      {
        code: 'CurrentKeyUnusable',
        pointer: CLUSTER,
        detail: `${what}, but ${shortKeyId(lookup.keyId)} was not found: ${lookup.why}`,
      },
    ];
  }
  return usability(lookup.key, now).map(({ detail }) => ({
    code: 'CurrentKeyUnusable',
    pointer: CLUSTER,
    detail: `${what}. ${detail} Repair it first.`,
  }));
}

function faultsOfRequestedKey(lookup: KeyLookup, cluster: ObservedCluster, now: string): Fault[] {
  const keyId = lookup.found ? lookup.key.keyId : lookup.keyId;
  const current = cluster.kms.keyId;
  const faults: Fault[] = [];
  const currentVault = vaultOf(current);
  if (currentVault !== undefined && currentVault !== vaultOf(keyId)) {
    return [
      {
        code: 'KeyForeign',
        pointer: KEY,
        detail: `The current key is in ${currentVault}; rotate-key stays in one vault. Name a key of that vault.`,
      },
    ];
  }
  if (!lookup.found) return [{ code: 'KeyNotFound', pointer: KEY, detail: `${shortKeyId(keyId)}: ${lookup.why}` }];
  if (keyId === current) {
    faults.push({
      code: 'KeyAlreadyCurrent',
      pointer: KEY,
      detail: `${shortKeyId(keyId)} is the current key of the cluster already.`,
    });
  }
  return [...faults, ...usability(lookup.key, now).map((fault) => ({ ...fault, pointer: KEY }))];
}

/** Why a key cannot be used for encryption now. */
function usability(key: ObservedKey, now: string): Fault[] {
  const name = shortKeyId(key.keyId);
  const faults: Fault[] = [];
  if (!key.enabled)
    faults.push({ code: 'KeyDisabled', detail: `${name} is disabled. Enable it or choose another version.` });
  if (key.expiresOn !== undefined && key.expiresOn <= now) {
    faults.push({
      code: 'KeyExpired',
      detail: `${name} expired on ${key.expiresOn}. Extend its expiry or choose another version.`,
    });
  }
  if (key.notBefore !== undefined && key.notBefore > now) {
    faults.push({ code: 'KeyNotYetValid', detail: `${name} is valid from ${key.notBefore} on.` });
  }
  if (!key.keyType.startsWith('RSA')) {
    faults.push({
      code: 'KeyTypeUnsupported',
      detail: `${name} is of type ${key.keyType}; AKS KMS needs RSA or RSA-HSM.`,
    });
  }
  const missing = ['encrypt', 'decrypt'].filter((operation) => !key.operations.includes(operation));
  if (missing.length > 0) {
    faults.push({ code: 'KeyOperationsMissing', detail: `${name} does not permit: ${missing.join(', ')}.` });
  }
  return faults;
}

function vaultOf(keyId: string | undefined): string | undefined {
  const parsed = keyId === undefined ? { fault: 'none' } : parseKeyId(keyId);
  return 'fault' in parsed ? undefined : parsed.vaultUrl;
}
