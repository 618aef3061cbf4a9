/**
 * The rights that a vault knows, in the words of access policies and of RBAC, and the built-in roles that grant them.
 * Source: azure-facts 2.3.
 */

/** A right on keys, as an access policy spells it in lower case. */
export type KeyPermission =
  | 'get'
  | 'list'
  | 'create'
  | 'update'
  | 'encrypt'
  | 'decrypt'
  | 'wrapkey'
  | 'unwrapkey'
  | 'sign'
  | 'rotate'
  | 'delete'
  | 'recover'
  | 'purge';

const KEYS = 'Microsoft.KeyVault/vaults/keys';

/** How each right is spelt in the two permission models. `policyWord` is the one in the refusal's text. */
export const KEY_PERMISSIONS: Readonly<
  Record<KeyPermission, { readonly policyWord: string; readonly dataAction: string }>
> = {
  get: { policyWord: 'get', dataAction: `${KEYS}/read` },
  list: { policyWord: 'list', dataAction: `${KEYS}/read` },
  create: { policyWord: 'create', dataAction: `${KEYS}/create/action` },
  update: { policyWord: 'update', dataAction: `${KEYS}/update/action` },
  encrypt: { policyWord: 'encrypt', dataAction: `${KEYS}/encrypt/action` },
  decrypt: { policyWord: 'decrypt', dataAction: `${KEYS}/decrypt/action` },
  wrapkey: { policyWord: 'wrapKey', dataAction: `${KEYS}/wrap/action` },
  unwrapkey: { policyWord: 'unwrapKey', dataAction: `${KEYS}/unwrap/action` },
  sign: { policyWord: 'sign', dataAction: `${KEYS}/sign/action` },
  rotate: { policyWord: 'rotate', dataAction: `${KEYS}/rotate/action` },
  delete: { policyWord: 'delete', dataAction: `${KEYS}/delete` },
  recover: { policyWord: 'recover', dataAction: `${KEYS}/recover/action` },
  purge: { policyWord: 'purge', dataAction: `${KEYS}/purge/action` },
};

const SECRETS = 'Microsoft.KeyVault/vaults/secrets';
const CERTIFICATES = 'Microsoft.KeyVault/vaults/certificates';

/** What a vault holds, as access policies and paths spell it. */
export type ObjectKind = 'keys' | 'secrets' | 'certificates';

/** A right on objects of one kind, in the words of both permission models. */
export interface Right {
  readonly kind: ObjectKind;
  readonly policyWord: string;
  readonly dataAction: string;
}

const right = (kind: ObjectKind, policyWord: string, dataAction: string): Right => ({ kind, policyWord, dataAction });

/** The rights on secrets. */
export const SECRET_RIGHTS = {
  get: right('secrets', 'get', `${SECRETS}/getSecret/action`),
  list: right('secrets', 'list', `${SECRETS}/readMetadata/action`),
  set: right('secrets', 'set', `${SECRETS}/setSecret/action`),
  update: right('secrets', 'set', `${SECRETS}/update/action`),
  delete: right('secrets', 'delete', `${SECRETS}/delete`),
  recover: right('secrets', 'recover', `${SECRETS}/recover/action`),
  purge: right('secrets', 'purge', `${SECRETS}/purge/action`),
} as const;

/** The rights on certificates. */
export const CERTIFICATE_RIGHTS = {
  get: right('certificates', 'get', `${CERTIFICATES}/read`),
  list: right('certificates', 'list', `${CERTIFICATES}/read`),
  create: right('certificates', 'create', `${CERTIFICATES}/create/action`),
  import: right('certificates', 'import', `${CERTIFICATES}/import/action`),
  update: right('certificates', 'update', `${CERTIFICATES}/update/action`),
  delete: right('certificates', 'delete', `${CERTIFICATES}/delete`),
  recover: right('certificates', 'recover', `${CERTIFICATES}/recover/action`),
  purge: right('certificates', 'purge', `${CERTIFICATES}/purge/action`),
} as const;

/** A role. */
export interface Role {
  readonly name: string;
  readonly guid: string;
  /** Actions in ARM that it grants; `*` stands for any text. None when absent. */
  readonly actions?: readonly string[];
  /** Actions that it does not grant after all; none when absent. */
  readonly notActions?: readonly string[];
  /** Data actions it grants; `*` stands for any text. */
  readonly dataActions: readonly string[];
  /** Data actions that it does not grant after all; none when absent. */
  readonly notDataActions?: readonly string[];
}

/** What the roles of the data plane may read in ARM. */
const READS = [
  'Microsoft.Authorization/*/read',
  'Microsoft.KeyVault/checkNameAvailability/read',
  'Microsoft.KeyVault/deletedVaults/read',
  'Microsoft.KeyVault/locations/*/read',
  'Microsoft.KeyVault/vaults/*/read',
  'Microsoft.KeyVault/operations/read',
];

/** The built-in roles that matter to a vault, and the two general ones, which grant nothing in a vault's data plane. */
export const BUILT_IN_ROLES: readonly Role[] = [
  {
    name: 'Key Vault Crypto User',
    guid: '12338af0-0e69-4776-bea7-57ae8d297424',
    dataActions: ['read', 'update/action', 'backup/action', 'encrypt/action', 'decrypt/action']
      .concat(['wrap/action', 'unwrap/action', 'sign/action', 'verify/action'])
      .map((action) => `${KEYS}/${action}`),
  },
  {
    name: 'Key Vault Crypto Officer',
    guid: '14b46e9e-c2b7-41b4-b07b-48a6ebf60603',
    actions: READS,
    dataActions: [`${KEYS}/*`, 'Microsoft.KeyVault/vaults/keyrotationpolicies/*'],
  },
  {
    name: 'Key Vault Crypto Service Encryption User',
    guid: 'e147488a-f6f5-4113-8e2d-b22465e65bf6',
    dataActions: [`${KEYS}/read`, `${KEYS}/wrap/action`, `${KEYS}/unwrap/action`],
  },
  {
    name: 'Key Vault Contributor',
    guid: 'f25e0fa2-a7c8-4377-a976-54943a77a395',
    actions: [
      'Microsoft.Authorization/*/read',
      'Microsoft.Insights/alertRules/*',
      'Microsoft.KeyVault/*',
      'Microsoft.ResourceHealth/availabilityStatuses/read',
      'Microsoft.Resources/deployments/*',
      'Microsoft.Resources/subscriptions/resourceGroups/read',
      'Microsoft.Support/*',
    ],
    notActions: [
      'Microsoft.KeyVault/locations/deletedVaults/purge/action',
      'Microsoft.KeyVault/hsmPools/*',
      'Microsoft.KeyVault/managedHsms/*',
    ],
    dataActions: [],
  },
  {
    name: 'Key Vault Certificate User',
    guid: 'db79e9a7-68ee-4b58-9aeb-b90e7c24fcba',
    dataActions: [
      'Microsoft.KeyVault/vaults/certificates/read',
      'Microsoft.KeyVault/vaults/secrets/getSecret/action',
      'Microsoft.KeyVault/vaults/secrets/readMetadata/action',
      `${KEYS}/read`,
    ],
  },
  {
    name: 'Key Vault Secrets User',
    guid: '4633458b-17de-408a-b874-0445c86b69e6',
    dataActions: [
      'Microsoft.KeyVault/vaults/secrets/getSecret/action',
      'Microsoft.KeyVault/vaults/secrets/readMetadata/action',
    ],
  },
  {
    name: 'Key Vault Secrets Officer',
    guid: 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7',
    actions: READS,
    dataActions: ['Microsoft.KeyVault/vaults/secrets/*'],
  },
  {
    name: 'Key Vault Certificates Officer',
    guid: 'a4417e6f-fecd-4de8-b567-7b0420556985',
    actions: READS,
    dataActions: [
      'Microsoft.KeyVault/vaults/certificatecas/*',
      'Microsoft.KeyVault/vaults/certificates/*',
      'Microsoft.KeyVault/vaults/certificatecontacts/write',
    ],
  },
  {
    name: 'Key Vault Reader',
    guid: '21090545-7ca7-4776-b22c-e363652d74d2',
    actions: READS,
    dataActions: ['Microsoft.KeyVault/vaults/*/read', `${SECRETS}/readMetadata/action`],
  },
  {
    name: 'Key Vault Administrator',
    guid: '00482a5a-887f-4fb3-b363-3b7fe8e74483',
    actions: READS,
    dataActions: ['Microsoft.KeyVault/vaults/*'],
  },
  {
    name: 'Key Vault Purge Operator',
    guid: 'a68e7c17-0ab2-4c09-9a58-125dae29748c',
    actions: [
      'Microsoft.KeyVault/locations/deletedVaults/read',
      'Microsoft.KeyVault/locations/deletedVaults/purge/action',
      'Microsoft.KeyVault/locations/operationResults/read',
      'Microsoft.KeyVault/deletedVaults/read',
    ],
    dataActions: [],
  },
  { name: 'Owner', guid: '8e3af657-a8ff-443c-a75c-2fe8c4bcb635', actions: ['*'], dataActions: [] },
  {
    name: 'Contributor',
    guid: 'b24988ac-6180-42a0-ab88-20f7382dd24c',
    actions: ['*'],
    notActions: [
      'Microsoft.Authorization/*/Delete',
      'Microsoft.Authorization/*/Write',
      'Microsoft.Authorization/elevateAccess/Action',
    ],
    dataActions: [],
  },
  { name: 'Reader', guid: 'acdd72a7-3385-48ef-bd42-f606fba81ae7', actions: ['*/read'], dataActions: [] },
];

/** Whether a role grants a data action. */
export function grants({ dataActions, notDataActions = [] }: Role, dataAction: string): boolean {
  return among(dataActions, dataAction) && !among(notDataActions, dataAction);
}

/** Whether a role grants an action in ARM. */
export function allows({ actions = [], notActions = [] }: Role, action: string): boolean {
  return among(actions, action) && !among(notActions, action);
}

/** Whether one of the patterns matches; `*` stands for any text, and case does not matter. */
export function among(patterns: readonly string[], action: string): boolean {
  return patterns.some((pattern) => matches(pattern, action));
}

function matches(pattern: string, action: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 'i').test(action);
}
