/**
 * What pods get out of a vault: the objects of a SecretProviderClass, the files that they become, and the rights that reading them needs.
 *
 * Source: github.com/Azure/secrets-store-csi-driver-provider-azure, `pkg/provider/types` and its documentation, "Getting certificates and keys".
 */
import { z } from 'zod';

/** Spelled out for readers of JSON Schema that do not know `\p{Cc}`. */
const CONTROLS = '\\u0000-\\u001F\\u007F-\\u009F';
const FILE_NAME = new RegExp(`^(?!\\.{1,2}$)[^/\\\\${CONTROLS}]{1,200}$`, 'u');

/** `cert` and `key` are the public parts; `secret` of a certificate's name is its private key with the whole chain. */
export const ObjectType = z.enum(['secret', 'key', 'cert']);
/** What is read of an object. */
export type ObjectType = z.infer<typeof ObjectType>;

/** One object of a SecretProviderClass, in the words of the provider. */
export const CsiObject = z.strictObject({
  objectName: z
    .string()
    .regex(/^[0-9a-z-]{1,127}$/i, { error: 'Expected 1 to 127 letters, digits and hyphens.' })
    .meta({ description: 'Name of the secret, key or certificate in the vault.' }),
  objectType: ObjectType.meta({ description: '`secret`, `key` or `cert`.' }),
  objectAlias: z
    .string()
    .regex(FILE_NAME, {
      error: 'Expected the name of a file, without a slash.',
    })
    .optional()
    .meta({ description: 'Name of the file. Default: the name of the object.' }),
  objectVersion: z
    .string()
    .regex(/^(?:[0-9a-f]{32})?$/i, { error: 'Expected a version: 32 hexadecimal digits.' })
    .optional()
    .meta({ description: 'Version of the object. Default: the newest, which rotation follows.' }),
  objectVersionHistory: z.int().min(0).max(100).optional().meta({
    description: 'How many versions are read. With more than one, the file is a folder with the files 0, 1 …',
  }),
  objectFormat: z
    .enum(['pem', 'pfx'])
    .optional()
    .meta({ description: 'Format of the secret of a certificate: `pem` (default) or `pfx`.' }),
  objectEncoding: z
    .enum(['utf-8', 'hex', 'base64'])
    .optional()
    .meta({ description: 'How the text of a secret is to be read: `utf-8` (default), `hex` or `base64`.' }),
  filePermission: z
    .string()
    .regex(/^0?[0-7]{3}$/, { error: 'Expected three octal digits, as 0644.' })
    .optional()
    .meta({ description: 'Permissions of the file, octal. Default: 0644.' }),
});
/** One object of a SecretProviderClass. */
export type CsiObject = z.infer<typeof CsiObject>;

/** Whether an object becomes a folder with a file for each version. */
export function hasHistory({ objectVersionHistory = 0 }: CsiObject): boolean {
  return objectVersionHistory > 1;
}

/** The file, or folder, that an object becomes below the mount. */
export function fileOf({ objectAlias, objectName }: CsiObject): string {
  return objectAlias === undefined || objectAlias === '' ? objectName : objectAlias;
}

/** Files that two objects share; the provider would write one over the other. */
export function sharedFiles(objects: readonly CsiObject[]): string[] {
  const files = objects.map(fileOf);
  return [...new Set(files.filter((file, index) => files.indexOf(file) !== index))];
}

/** What must be allowed to read an object type: the actions of Azure RBAC, and the object of the permissions of access policies. */
interface ReadRight {
  readonly dataAction: string;
  /** What listing the versions needs beside it: `objectVersionHistory`. An access policy calls it `list`. */
  readonly listAction: string;
  readonly policy: 'secrets' | 'keys' | 'certificates';
  /** Built-in role that the AKS documents name for it, and its id, which is the same in every tenant. */
  readonly role: { readonly name: string; readonly id: string };
}

const SECRETS_USER = { name: 'Key Vault Secrets User', id: '4633458b-17de-408a-b874-0445c86b69e6' };
const CERTIFICATE_USER = { name: 'Key Vault Certificate User', id: 'db79e9a7-68ee-4b58-9aeb-b90e7c24fcba' };

/** The right that reading an object type needs. */
export const READ_RIGHTS: Readonly<Record<ObjectType, ReadRight>> = {
  secret: {
    dataAction: 'Microsoft.KeyVault/vaults/secrets/getSecret/action',
    listAction: 'Microsoft.KeyVault/vaults/secrets/readMetadata/action',
    policy: 'secrets',
    role: SECRETS_USER,
  },
  key: {
    dataAction: 'Microsoft.KeyVault/vaults/keys/read',
    listAction: 'Microsoft.KeyVault/vaults/keys/read',
    policy: 'keys',
    role: CERTIFICATE_USER,
  },
  cert: {
    dataAction: 'Microsoft.KeyVault/vaults/certificates/read',
    listAction: 'Microsoft.KeyVault/vaults/certificates/read',
    policy: 'certificates',
    role: CERTIFICATE_USER,
  },
};

/** The object types of a class, each once, in a fixed order. */
export function typesOf(objects: readonly CsiObject[]): ObjectType[] {
  return ObjectType.options.filter((type) => objects.some(({ objectType }) => objectType === type));
}

/** The types whose versions are listed: the provider looks for older ones. */
export function listedTypes(objects: readonly CsiObject[]): ObjectType[] {
  return typesOf(objects.filter(hasHistory));
}

/** The permissions of an access policy that reading a type needs. */
export function policyWords(type: ObjectType, history: readonly ObjectType[]): string[] {
  return history.includes(type) ? ['get', 'list'] : ['get'];
}
