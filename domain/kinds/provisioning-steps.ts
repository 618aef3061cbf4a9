/** The vault, the key and the grants that a cluster needs for KMS: the parameters and the steps of every kind that makes them. */
import { z } from 'zod';
import type { ObservedKey } from '../observed';
import type { KeyExpiry, PlanStep } from '../plan/steps';
import type { PlanFacts } from './kind';
import { modelName, PermissionModel, type Provisioning } from '../provisioning';
import { resourceName, shortKeyId } from '../resource-ids';
import { minutesAfter } from '../times';

/** The name of a key object. */
export const keyName = z
  .string()
  .regex(/^[0-9a-z-]{1,127}$/i)
  .meta({ description: 'Name of the key.' });

/** What a request says of vault and key. */
export const vaultAndKey = {
  vaultName: z
    .string()
    .regex(/^[a-z](?:-?[a-z0-9]){2,23}$/i, {
      error: 'Expected 3 to 24 letters, digits and single hyphens, beginning with a letter.',
    })
    .max(24)
    .meta({ description: 'Name of the vault, unique in the cloud.' }),
  vaultResourceGroup: z
    .string()
    .regex(/^[-\w.()]{1,90}$/)
    .optional()
    .meta({ description: "Resource group of the vault, in the cluster's subscription. Default: the cluster's." }),
  keyName,
  permissionModel: PermissionModel.default('rbac').meta({
    description: 'How the vault gives rights: `rbac` (default) or `access-policy`.',
  }),
  retentionDays: z.int().min(7).max(90).default(90).meta({
    description:
      'For how many days a vault that is made keeps deleted keys. It cannot be changed afterwards. Default: 90.',
  }),
  keySizeInBits: z
    .union([z.literal(2048), z.literal(3072), z.literal(4096)])
    .default(2048)
    .meta({ description: 'Length of an RSA key that is made: 2048 (default), 3072 or 4096.' }),
  expiresOn: z.iso.datetime().optional().meta({
    description: 'When a key that is made expires. Without it, it does not expire.',
  }),
};
/** What a request says of vault and key. */
export type VaultAndKey = z.infer<z.ZodObject<typeof vaultAndKey>>;

/** What is to be there, and what is. */
export interface ToProvision {
  readonly asked: VaultAndKey;
  readonly access: 'Public' | 'Private';
  /** Of the cluster. */
  readonly location: string;
  readonly found: Provisioning;
  /** The newest version of the key, when it is there. */
  readonly key: ObservedKey | undefined;
}

/** When a key that is made expires. */
export function expiryAsked({ expiresOn }: Pick<VaultAndKey, 'expiresOn'>): KeyExpiry {
  return expiresOn === undefined ? null : { at: minutesAfter(expiresOn, 0) };
}

/** In words, for a summary: `make the key etcd, use the vault kv9 as found`. */
export function whatIsProvisioned({ asked: { vaultName, keyName }, found, key }: ToProvision): string {
  const vaultExists = found.vault.state === 'exists';
  const made = [...(vaultExists ? [] : [`the vault ${vaultName}`]), ...(key ? [] : [`the key ${keyName}`])];
  const used = [
    ...(vaultExists ? [`the vault ${vaultName}`] : []),
    ...(key ? [`the key version ${shortKeyId(key.keyId)}`] : []),
  ];
  return [
    ...(made.length > 0 ? [`make ${made.join(' and ')}`] : []),
    ...(used.length > 0 ? [`use ${used.join(' and ')} as found`] : []),
  ].join(', ');
}

/** The steps that make vault and key; a step whose object exists checks it. */
export function vaultAndKeySteps({ asked, access, location, found, key }: ToProvision): PlanStep[] {
  const { vaultName, keyName, permissionModel, retentionDays, keySizeInBits } = asked;
  const { vaultId, tenantId } = found;
  const vaultExists = found.vault.state === 'exists';
  const network =
    access === 'Public'
      ? 'The vault is open to all networks, as public access of AKS needs it.'
      : 'Its public address answers to nobody, from the beginning: API servers reach it over a private endpoint that AKS makes.';
  return [
    {
      id: 'create-vault',
      type: 'create-vault',
      vaultId,
      location,
      tenantId,
      permissionModel,
      access,
      retentionDays,
      exists: vaultExists,
      title: vaultExists
        ? `Check that the vault ${vaultName} is fit as it is`
        : `Create the ${access === 'Private' ? 'private vault' : 'vault'} ${vaultName} in ${location}, with ${modelName(permissionModel)}, soft delete for ${retentionDays} days and purge protection`,
      reason: vaultExists
        ? 'Keyturn does not change a vault that exists.'
        : `A key that is lost is a cluster lost: with purge protection nobody, Keyturn included, can destroy a key before its retention ends. ${network}`,
    },
    key
      ? {
          ...keyStep({ vaultId, permissionModel, keyName, keySizeInBits, expiry: expiryAsked(asked) }),
          exists: key.keyId,
          title: `Check that ${shortKeyId(key.keyId)} is usable as it is`,
          reason: 'Keyturn makes no other version of a key that exists.',
        }
      : keyStep({
          vaultId,
          permissionModel,
          keyName,
          keySizeInBits,
          expiry: expiryAsked(asked),
          throughArm: access === 'Private' || found.keyThroughArm === true,
        }),
  ];
}

/** The steps that make another key in the vault of the current one, like that one, and let the cluster's identity use it. */
export function newKeySteps(
  { azure: { provisioning, currentKey }, cluster: { identities } }: PlanFacts<unknown>,
  name: string,
  expiry: KeyExpiry,
): PlanStep[] {
  const [identity] = identities;
  if (provisioning?.vault.state !== 'exists' || !identity || !currentKey?.found)
    throw new Error('A new key was planned against its rules.');
  const { keyType, keySizeInBits = 2048 } = currentKey.key;
  const { permissionModel } = provisioning.vault.vault;
  const common = { vaultId: provisioning.vaultId, permissionModel, keyName: name };
  return [
    keyStep({
      ...common,
      keyType: keyType === 'RSA-HSM' ? keyType : 'RSA',
      keySizeInBits,
      expiry,
      throughArm: provisioning.keyThroughArm,
    }),
    // A role may have been given at the current key only.
    ...grantSteps({
      ...common,
      identityId: identity.resourceId,
      principalId: identity.principalId ?? null,
      access: 'Public',
    }),
  ];
}

/** The step that makes a key that is not there. @param throughArm whether the vault may not answer from where Keyturn runs */
export function keyStep({
  vaultId,
  permissionModel,
  keyName,
  keyType = 'RSA',
  keySizeInBits,
  expiry,
  throughArm = false,
}: {
  readonly vaultId: string;
  readonly permissionModel: PermissionModel;
  readonly keyName: string;
  readonly keyType?: 'RSA' | 'RSA-HSM';
  readonly keySizeInBits: number;
  readonly expiry: KeyExpiry;
  readonly throughArm?: boolean;
}): PlanStep & { readonly type: 'create-key' } {
  const expires =
    expiry === null
      ? ''
      : 'at' in expiry
        ? `, expiring on ${expiry.at}`
        : `, expiring ${days(expiry.afterSeconds)} days later`;
  const arm = throughArm ? ' Where the vault does not answer from where Keyturn runs, ARM makes it.' : '';
  return {
    id: 'create-key',
    type: 'create-key',
    vaultId,
    permissionModel,
    keyName,
    keyType,
    sizeInBits: keySizeInBits,
    expiry,
    exists: null,
    title: `Create the ${keyType} key ${keyName} with ${keySizeInBits} bits${expires}`,
    reason: `It permits encrypt and decrypt, which is what the KMS plugin does with it, and nothing else.${arm}`,
  };
}

function days(seconds: number): number {
  return Math.round(seconds / 86_400);
}

/** The steps that give a cluster's identity what it needs of the vault. @param principalId null: an earlier step makes the identity */
export function grantSteps({
  vaultId,
  permissionModel,
  keyName,
  identityId,
  principalId,
  access,
}: {
  readonly vaultId: string;
  readonly permissionModel: PermissionModel;
  readonly keyName: string;
  readonly identityId: string;
  readonly principalId: string | null;
  readonly access: 'Public' | 'Private';
}): PlanStep[] {
  const identity = resourceName(identityId);
  const steps: PlanStep[] = [
    {
      id: 'grant-key-access',
      type: 'grant-key-access',
      vaultId,
      permissionModel,
      keyName,
      identityId,
      principalId,
      title: `Let ${identity} encrypt and decrypt with the key ${keyName}`,
      reason:
        permissionModel === 'rbac'
          ? 'The AKS documents name the role Key Vault Crypto User at the vault. Rights that are there already are left as they are.'
          : 'The AKS documents name the key permissions encrypt and decrypt. Rights that are there already are left as they are.',
    },
  ];
  if (access === 'Private') {
    steps.push({
      id: 'grant-endpoint-approval',
      type: 'grant-endpoint-approval',
      vaultId,
      identityId,
      principalId,
      title: `Let ${identity} approve private endpoints of the vault ${resourceName(vaultId)}`,
      reason:
        'AKS makes a private endpoint and approves it as the identity. The AKS documents name the role Key Vault Contributor at the vault, and AKS does not check it beforehand.',
    });
  }
  return steps;
}
