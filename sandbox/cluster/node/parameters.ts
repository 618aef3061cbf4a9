/**
 * The parameters of a SecretProviderClass, read as the Azure provider v1.8.2 reads them: same order, same words.
 *
 * Source: Azure/secrets-store-csi-driver-provider-azure, pkg/provider/provider.go, validate.go, types/.
 * Pure. Never does: ask Azure whether what they name exists.
 */
import { loadYaml } from '@kubernetes/client-node';
import { messageOf } from '../../message-of';
import { isJsonObject } from './json';

/** A cloud by the names of go-autorest, which are not those of `az cloud list`. */
export interface ProviderCloud {
  readonly vaultSuffix: string;
  readonly loginHost: string;
}

const CLOUDS: Readonly<Record<string, ProviderCloud>> = {
  AZUREPUBLICCLOUD: { vaultSuffix: 'vault.azure.net', loginHost: 'login.microsoftonline.com' },
  AZURECHINACLOUD: { vaultSuffix: 'vault.azure.cn', loginHost: 'login.chinacloudapi.cn' },
  AZUREUSGOVERNMENTCLOUD: { vaultSuffix: 'vault.usgovcloudapi.net', loginHost: 'login.microsoftonline.us' },
  AZUREGERMANCLOUD: { vaultSuffix: 'vault.microsoftazure.de', loginHost: 'login.microsoftonline.de' },
};

/** How the provider gets a token for the vault. */
export type IdentityMode =
  | { readonly kind: 'workload'; readonly clientId: string; readonly assertion: string }
  | { readonly kind: 'vm'; readonly clientId?: string }
  | { readonly kind: 'pod' }
  | { readonly kind: 'token-proxy' };

/** One object of the list `objects`. */
export interface VaultObject {
  readonly objectName: string;
  readonly objectAlias: string;
  readonly objectVersion: string;
  readonly objectVersionHistory: number;
  readonly objectType: string;
  readonly objectFormat: string;
  readonly objectEncoding: string;
  readonly filePermission: string;
}

/** What to mount, from where, as whom. */
export interface MountRequest {
  /** `https://kv1.vault.azure.net` */
  readonly vaultUrl: string;
  readonly cloud: ProviderCloud;
  readonly tenantId: string;
  readonly identity: IdentityMode;
  readonly objects: readonly VaultObject[];
}

/** Tokens that the kubelet got for the pod, by audience. */
export type ServiceAccountTokens = Readonly<Record<string, string>>;

/**
 * Reads the parameters of a class.
 * @returns undefined when it lists no object
 * @throws Error in the words of the provider, for the first thing that is wrong
 */
export function readParameters(
  parameters: Readonly<Record<string, string>>,
  tokens: ServiceAccountTokens,
): MountRequest | undefined {
  const text = (name: string): string => (parameters[name] ?? '').trim();
  const modes = {
    pod: flag('usePodIdentity', text('usePodIdentity')),
    vm: flag('useVMManagedIdentity', text('useVMManagedIdentity')),
    proxy: flag('useAzureTokenProxy', text('useAzureTokenProxy')),
  };
  if (Object.values(modes).filter((on) => on).length > 1) {
    throw new Error(
      'only one identity mode can be enabled at a time: usePodIdentity, useVMManagedIdentity, or useAzureTokenProxy',
    );
  }
  const keyvaultName = text('keyvaultName');
  if (keyvaultName === '') throw new Error('keyvaultName is not provided');
  const tenantId = text('tenantID') || text('tenantId');
  if (tenantId === '') throw new Error('tenantId is not provided');
  const cloud = cloudOf(text('cloudName'));
  const identity = identityOf(modes, text, tokens);
  const list = text('objects');
  if (list === '') throw new Error('objects is not set');
  const objects = readObjects(list);
  if (objects.length === 0) return undefined;
  return { vaultUrl: `https://${vaultNameOf(keyvaultName)}.${cloud.vaultSuffix}`, cloud, tenantId, identity, objects };
}

/** The file that an object is written to, below the mount. */
export function fileNameOf({ objectAlias, objectName }: VaultObject): string {
  return objectAlias === '' ? objectName : objectAlias;
}

/** How the provider says which object it is about. */
export function wrapped(object: VaultObject, reason: string): Error {
  const { objectType, objectName, objectVersion } = object;
  return new Error(
    `failed to get objectType:${objectType}, objectName:${objectName}, objectVersion:${objectVersion}: ${reason}`,
  );
}

/** Go's strconv.ParseBool. */
function flag(name: string, value: string): boolean {
  if (value === '' || ['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(value)) return false;
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(value)) return true;
  throw new Error(
    `failed to parse ${name} flag, error: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`,
  );
}

function cloudOf(name: string): ProviderCloud {
  const cloud = CLOUDS[name === '' ? 'AZUREPUBLICCLOUD' : name.toUpperCase()];
  if (cloud !== undefined) return cloud;
  throw new Error(
    `cloudName ${name} is not valid, error: autorest/azure: There is no cloud environment matching the name ${JSON.stringify(name.toUpperCase())}`,
  );
}

function identityOf(
  modes: { readonly pod: boolean; readonly vm: boolean; readonly proxy: boolean },
  text: (name: string) => string,
  tokens: ServiceAccountTokens,
): IdentityMode {
  const clientId = text('clientID');
  if (modes.proxy) {
    if (clientId === '') throw authError('AzureTokenProxy', 'clientID is required for identity binding');
    return { kind: 'token-proxy' };
  }
  const assertion = tokens['api://AzureADTokenExchange'];
  if (clientId !== '' && assertion === undefined) {
    const mode = modes.pod ? 'PodIdentity' : modes.vm ? 'VMManagedIdentity' : 'None';
    throw authError(mode, 'failed to parse workload identity tokens, error: service account tokens not found');
  }
  if (modes.pod) return { kind: 'pod' };
  if (modes.vm) return { kind: 'vm', clientId: text('userAssignedIdentityID') || undefined };
  if (clientId !== '' && assertion !== undefined) return { kind: 'workload', clientId, assertion };
  throw authError('None', 'failed to get credentials, nodePublishSecretRef secret is not set');
}

function authError(mode: string, reason: string): Error {
  return new Error(`failed to build auth config for mode ${mode}: ${reason}`);
}

/** `objects` is YAML whose list `array` holds YAML texts. */
function readObjects(list: string): VaultObject[] {
  const outer = yaml(list, 'failed to yaml unmarshal objects');
  const array = isJsonObject(outer) ? (outer['array'] ?? []) : [];
  if (!Array.isArray(array) || array.some((item) => typeof item !== 'string')) {
    throw new Error(
      'failed to yaml unmarshal objects, error: yaml: unmarshal errors:\n  cannot unmarshal !!map into string',
    );
  }
  return (array as string[]).map((item, index) => {
    const inner = yaml(item, `unmarshal failed for keyVaultObjects at index ${index}`);
    const field = (name: string): string => {
      const value = isJsonObject(inner) ? inner[name] : undefined;
      return typeof value === 'string' || typeof value === 'number' ? String(value).trim() : '';
    };
    const object: VaultObject = {
      objectName: field('objectName'),
      objectAlias: field('objectAlias'),
      objectVersion: field('objectVersion'),
      objectVersionHistory: Number(field('objectVersionHistory') || 0),
      objectType: field('objectType'),
      objectFormat: field('objectFormat'),
      objectEncoding: field('objectEncoding'),
      filePermission: field('filePermission'),
    };
    const problem = problemOf(object);
    if (problem !== undefined) throw wrapped(object, problem);
    return object;
  });
}

function problemOf(object: VaultObject): string | undefined {
  const { objectFormat, objectType, objectEncoding } = object;
  if (objectFormat !== '' && !['pem', 'pfx'].includes(objectFormat.toLowerCase())) {
    return `invalid objectFormat: ${objectFormat}, should be PEM or PFX`;
  }
  if (objectFormat === 'pfx' && objectType !== 'secret') return 'PFX format only supported for objectType: secret';
  if (objectEncoding !== '' && objectType !== 'secret') return 'objectEncoding only supported for objectType: secret';
  if (objectEncoding !== '' && !['hex', 'base64', 'utf-8'].includes(objectEncoding.toLowerCase())) {
    return `invalid objectEncoding: ${objectEncoding}, should be hex, base64 or utf-8`;
  }
  const fileName = fileNameOf(object);
  if (fileName === '') return 'file name must not be empty';
  if (fileName.startsWith('/')) return 'file name must be a relative path';
  return fileName.includes('..') ? "file name must not contain '..'" : undefined;
}

function vaultNameOf(name: string): string {
  const quoted = JSON.stringify(name);
  if (name.length < 3 || name.length > 24) {
    throw new Error(`failed to get vault: Invalid vault name: ${quoted}, must be between 3 and 24 chars`);
  }
  if (/^[-A-Za-z0-9]+$/.test(name)) return name;
  throw new Error(`failed to get vault: Invalid vault name: ${quoted}, must match [-a-zA-Z0-9]{3,24}`);
}

function yaml(text: string, what: string): unknown {
  try {
    return loadYaml(text);
  } catch (error) {
    throw new Error(`${what}, error: yaml: ${messageOf(error)}`, { cause: error });
  }
}
