/**
 * The Azure provider: from a SecretProviderClass to files.
 *
 * Needs: the vault behind the sandbox's proxy; tokens.
 * Does: what pkg/provider of Azure/secrets-store-csi-driver-provider-azure v1.8.2 does, in its order and its words.
 * Never does: write a file, or know about pods.
 */
import type { Dispatcher } from 'undici';
import { messageOf } from '../../message-of';
import { certificateContent, decoded, keyContent, secretContent } from './content';
import { credentialOf, type TokenSources } from './credentials';
import type { JsonObject } from './json';
import { fileNameOf, readParameters, wrapped, type ServiceAccountTokens, type VaultObject } from './parameters';
import { VaultReader } from './vault-reader';

const DEFAULT_MODE = 0o644;

/** One file for the pod. */
export interface SecretFile {
  /** Below the mount. */
  readonly path: string;
  readonly content: Buffer;
  readonly mode: number;
  /** How the SecretProviderClassPodStatus calls the object: `secret/secret1`. */
  readonly id: string;
  readonly version: string;
}

/** Where objects are on a vault, by their type. */
const COLLECTIONS: Readonly<Record<string, string>> = { secret: 'secrets', key: 'keys', cert: 'certificates' };

/** Reads everything that a class names. @throws Error whose message is what the provider's Mount says */
export async function provide(
  parameters: Readonly<Record<string, string>>,
  tokens: ServiceAccountTokens,
  { dispatcher, ...sources }: TokenSources & { readonly dispatcher: Dispatcher },
): Promise<readonly SecretFile[]> {
  const request = readParameters(parameters, tokens);
  if (request === undefined) return [];
  const vault = new VaultReader(request.vaultUrl, dispatcher, credentialOf(request, sources));
  const files: SecretFile[] = [];
  for (const object of request.objects) {
    for (const resolved of await resolveVersions(vault, object)) files.push(await fileOf(vault, resolved));
  }
  return files;
}

/** The versions to read: one, or the latest with so many before it. */
async function resolveVersions(vault: VaultReader, object: VaultObject): Promise<readonly VaultObject[]> {
  if (object.objectVersionHistory <= 1) return [object];
  const { value } = await vault.get(`/${collectionOf(object)}/${object.objectName}/versions`);
  const versions = (value as JsonObject[])
    .map((item) => ({ version: versionIn(item['id'] ?? item['kid']), ...(item['attributes'] as Dates) }))
    .filter(({ enabled }) => enabled !== false)
    // Vaults count whole seconds: of two versions of one second the later in the list is the newer.
    .reverse()
    .sort((one, other) => other.created - one.created);
  const wanted = object.objectVersion;
  const first = ['', 'latest'].includes(wanted) ? 0 : versions.findIndex(({ version }) => version === wanted);
  if (first < 0) return [];
  // The provider stops after it has one more than the history says.
  return versions.slice(first, first + object.objectVersionHistory + 1).map(({ version }, index) => ({
    ...object,
    objectAlias: `${fileNameOf(object)}/${index}`,
    objectVersion: version,
  }));
}

interface Dates {
  readonly created: number;
  readonly enabled?: boolean;
}

async function fileOf(vault: VaultReader, object: VaultObject): Promise<SecretFile> {
  const { objectType, objectName, objectVersion, objectFormat } = object;
  let content: string;
  let version: string;
  try {
    const bundle = await vault.get(`/${collectionOf(object)}/${objectName}/${objectVersion}`);
    const { kid } = (bundle['key'] ?? {}) as { kid?: string };
    version = versionIn(bundle['id'] ?? kid);
    content =
      objectType === 'key'
        ? keyContent(bundle)
        : objectType === 'cert'
          ? certificateContent(bundle)
          : secretContent(bundle, objectFormat);
  } catch (error) {
    throw wrapped(object, messageOf(error));
  }
  const index = object.objectVersionHistory <= 1 ? '' : `/${object.objectAlias.split('/').at(-1)}`;
  return {
    path: fileNameOf(object),
    content: objectType === 'secret' ? decoded(content, object.objectEncoding) : Buffer.from(content),
    mode: object.filePermission === '' ? DEFAULT_MODE : Number.parseInt(object.filePermission, 8),
    id: `${objectType}/${objectName}${index}`,
    version,
  };
}

function collectionOf(object: VaultObject): string {
  const collection = COLLECTIONS[object.objectType];
  if (collection !== undefined) return collection;
  throw wrapped(object, 'Invalid vaultObjectTypes. Should be secret, key, or cert');
}

function versionIn(id: unknown): string {
  return String(id).split('/').at(-1) ?? '';
}
