/** Names of things in Azure: ARM resource ids of managed clusters, and Key Vault key ids. */
import { sha256Hex } from './canonical';
import { CLOUDS, type Cloud } from './clouds';
import { OwnError } from './own-error';

/** The parts of a managed cluster's ARM resource id. */
export interface ClusterId {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly name: string;
  /** The id with Azure's documented casing. ARM compares ids without regard to case: compare `clusterLockId`. */
  readonly resourceId: string;
}

const CLUSTER_ID =
  /^\/subscriptions\/([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})\/resourceGroups\/([-\w.()]{1,90})\/providers\/Microsoft\.ContainerService\/managedClusters\/([a-z0-9](?:[-_a-z0-9]{0,61}[a-z0-9])?)$/i;

/** The same for the API document, which has no flags: in the spellings that Azure itself gives. */
export const CLUSTER_ID_PARTS = {
  subscription: '[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}',
  resourceGroup: '[-\\w.()]{1,90}',
  name: '[a-zA-Z0-9](?:[-_a-zA-Z0-9]{0,61}[a-zA-Z0-9])?',
} as const;
/** For the API document. */
export const CLUSTER_ID_PATTERN = `^/[sS]ubscriptions/${CLUSTER_ID_PARTS.subscription}/[rR]esource[gG]roups/${CLUSTER_ID_PARTS.resourceGroup}/[pP]roviders/[mM]icrosoft\\.[cC]ontainer[sS]ervice/[mM]anaged[cC]lusters/${CLUSTER_ID_PARTS.name}$`;

/** Reads the ARM resource id of a managed cluster; undefined when it is not one. */
export function parseClusterId(text: string): ClusterId | undefined {
  const match = CLUSTER_ID.exec(text);
  if (!match) return undefined;
  const [, subscriptionId = '', resourceGroup = '', name = ''] = match;
  return {
    subscriptionId,
    resourceGroup,
    name,
    resourceId: `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.ContainerService/managedClusters/${name}`,
  };
}

/** The name of a resource: the last part of its ARM id. */
export function resourceName(id: string): string {
  return id.split('/').at(-1) ?? id;
}

/** Whether ids or names are the same to Azure, which compares them without regard to case; false where just one is there. */
export function sameText(one: string | undefined, other: string | undefined): boolean {
  return one?.toLowerCase() === other?.toLowerCase();
}

/** The parts of a vault's ARM resource id. */
export interface VaultId {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly name: string;
}

const VAULT_ID =
  /^\/subscriptions\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/resourceGroups\/([-\w.()]{1,90})\/providers\/Microsoft\.KeyVault\/vaults\/([a-z](?:-?[a-z0-9]){2,23})$/i;

/** For the API document, which has no flags. */
export const VAULT_ID_PATTERN = `^/[sS]ubscriptions/${CLUSTER_ID_PARTS.subscription}/[rR]esource[gG]roups/${CLUSTER_ID_PARTS.resourceGroup}/[pP]roviders/[mM]icrosoft\\.[kK]ey[vV]ault/vaults/[a-zA-Z](?:-?[a-zA-Z0-9]){2,23}$`;

/** Reads the ARM resource id of a vault; undefined when it is not one. */
export function parseVaultId(text: string): VaultId | undefined {
  const [matched, subscriptionId = '', resourceGroup = '', name = ''] = VAULT_ID.exec(text) ?? [];
  return matched === undefined ? undefined : { subscriptionId, resourceGroup, name };
}

/** `parseVaultId` for ids that Azure itself gave. @throws OwnError when it is no vault's */
export function mustParseVaultId(text: string): VaultId {
  const vaultId = parseVaultId(text);
  if (!vaultId) throw new OwnError(`Azure gave "${text}" as the resource id of a vault.`);
  return vaultId;
}

/**
 * The id of the cluster's lock: one workflow id for one cluster, however its resource id is spelled.
 * Invariant O1 rests on this.
 */
export function clusterLockId(resourceId: string): string {
  return `cluster-${sha256Hex(resourceId.toLowerCase()).slice(0, 26)}`;
}

/** The parts of a versioned Key Vault key id (`kid`). */
export interface KeyId {
  readonly vaultName: string;
  readonly vaultUrl: string;
  readonly name: string;
  readonly version: string;
  readonly cloud: Cloud;
  /** `https://{vault}.{suffix}/keys/{name}/{version}` */
  readonly kid: string;
}

/** Why a text is not a versioned key id. */
export interface KeyIdFault {
  readonly fault: string;
  /** What is named instead, where others say it in words of their own. */
  readonly names?: 'managed-hsm' | 'no-version';
}

const VAULT_NAME = /^[a-z](?:-?[a-z0-9]){2,23}$/i;
/** Hosts of Managed HSMs, in every cloud. */
const MANAGED_HSM = /\.managedhsm\.(?:azure\.net|azure\.cn|usgovcloudapi\.net)$/i;
const KEY_PATH = /^\/keys\/([0-9a-z-]{1,127})(?:\/([0-9a-f]{32}))?$/i;

/** A versioned key id for the API document. */
export const KEY_ID_PATTERN = `^https://[a-zA-Z](?:-?[a-zA-Z0-9]){2,23}\\.(?:${CLOUDS.map(({ vaultSuffix }) => vaultSuffix.replaceAll('.', '\\.')).join('|')})/keys/[0-9a-zA-Z-]{1,127}/[0-9a-fA-F]{32}$`;

/**
 * Reads a versioned Key Vault key id as AKS wants it: `https://{vault}.{suffix}/keys/{name}/{version}`.
 * The fault is one sentence for the person who typed it.
 */
export function parseKeyId(text: string): KeyId | KeyIdFault {
  const form = `Expected https://{vault}.${cloudOf(text)?.vaultSuffix ?? 'vault.azure.net'}/keys/{name}/{version}.`;
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return { fault: `This is not a URL. ${form}` };
  }
  if (MANAGED_HSM.test(url.hostname)) {
    return {
      names: 'managed-hsm',
      fault: `This is a key of a Managed HSM, which KMS of AKS does not take. Name a key of a Key Vault. ${form}`,
    };
  }
  const cloud = cloudOf(text);
  const vaultName = cloud ? url.hostname.slice(0, -(cloud.vaultSuffix.length + 1)) : '';
  if (!cloud || !VAULT_NAME.test(vaultName)) return { fault: `This is not the host of an Azure Key Vault. ${form}` };
  if (url.protocol !== 'https:' || url.port || url.search || url.hash || url.username || url.password) {
    return { fault: `A key id has no port, query, fragment or user, and starts with https. ${form}` };
  }
  const [, name, version] = KEY_PATH.exec(url.pathname) ?? [];
  if (name === undefined) return { fault: `The path does not name a key. ${form}` };
  if (version === undefined) {
    return {
      names: 'no-version',
      fault: `This key id has no version. AKS keeps using the version that it was given, so name the exact version. ${form}`,
    };
  }
  const vaultUrl = `https://${url.hostname}`;
  return { vaultName, vaultUrl, name, version, cloud, kid: `${vaultUrl}/keys/${name}/${version}` };
}

/** The cloud that has the vaults of a URL's host; undefined when none has. */
function cloudOf(url: string): Cloud | undefined {
  const host = URL.canParse(url) ? new URL(url).hostname : '';
  return CLOUDS.find(({ vaultSuffix }) => host.endsWith(`.${vaultSuffix}`));
}

/** `parseKeyId` for ids that Azure itself gave. @throws Error when it is not a versioned key id. */
export function mustParseKeyId(text: string): KeyId {
  const keyId = parseKeyId(text);
  if ('fault' in keyId) throw new OwnError(`Azure gave "${text}" as a key id. ${keyId.fault}`);
  return keyId;
}

/** Whether two key ids name one key version: Key Vault compares names and versions without regard to case, as hosts are. */
export function sameKeyId(a: string, b: string): boolean {
  const [one, other] = [parseKeyId(a), parseKeyId(b)];
  return 'fault' in one || 'fault' in other ? a === b : one.kid.toLowerCase() === other.kid.toLowerCase();
}

/** Whether two key ids name versions of one key object: Key Vault deletes an object with all its versions. */
export function sameKeyObject(a: string, b: string): boolean {
  const [one, other] = [parseKeyId(a), parseKeyId(b)];
  if ('fault' in one || 'fault' in other) return a === b;
  return (
    one.vaultUrl.toLowerCase() === other.vaultUrl.toLowerCase() && one.name.toLowerCase() === other.name.toLowerCase()
  );
}

/**
 * The key id that Azure's KMS v2 plugin reports and kube-apiserver stores beside every record:
 * `hex(sha256(kid))`. Source: Azure/kubernetes-kms `pkg/plugin`, research note rotation-systems.md 1.7.
 */
export function kmsKeyId(kid: string): string {
  return sha256Hex(kid);
}

/**
 * The `key_id_hash` label of kube-apiserver's `apiserver_envelope_encryption_key_id_hash_*` metrics for a key:
 * the hash of what the plugin reports. Source: rotation-systems.md 1.4.
 */
export function metricsKeyIdHash(kid: string): string {
  return `sha256:${sha256Hex(kmsKeyId(kid))}`;
}

/** A key id that fits in a sentence: `kv/k1/95a76f34…`. */
export function shortKeyId(kid: string): string {
  const keyId = parseKeyId(kid);
  return 'fault' in keyId ? kid : `${keyId.vaultName}/${keyId.name}/${keyId.version.slice(0, 8)}…`;
}
