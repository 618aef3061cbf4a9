/**
 * `provision-kms`: the vault, the key and the grant that a cluster needs before KMS can be enabled with them.
 *
 * Follows "Create a key vault and key" and "Assign permissions for a public key vault" of the AKS documents, for both permission models.
 * Needs: a cluster with a user-assigned identity. Does: makes what is not there: a vault open to all networks with soft delete and
 * purge protection, a key, the grant for the identity. Each may exist: then it is used as it is, if it is fit.
 * Never does: change a vault or a key that exists, recover or purge anything, or change the cluster: `enable-kms` does that.
 */
import { z } from 'zod';
import { modelName, PermissionModel } from '../provisioning';
import { shortKeyId, resourceName } from '../resource-ids';
import { clusterRule, keySuitedRule, vaultNameRule, vaultSuitedRule } from '../rules';
import { minutesAfter } from '../times';
import { kind } from './kind';
import { startGate } from './steps';
import { provisioningWarnings } from './warnings';

export const provisionKms = kind({
  name: 'provision-kms',
  does: 'Makes the vault, the key and the grant that a cluster needs for KMS, or uses those that are there.',
  never:
    'changes a vault or key that exists, gives the identity more than encrypt and decrypt need, or changes the cluster.',
  section: 'Create a key vault and key',
  parameters: z.strictObject({
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
    keyName: z
      .string()
      .regex(/^[0-9a-z-]{1,127}$/i)
      .meta({ description: 'Name of the key.' }),
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
  }),
  keyFrom: 'any-vault',
  needs: ['provisioning'],
  rules: [
    clusterRule('PlatformManagedEncryption'),
    clusterRule('ClusterIdentityUnsupported'),
    vaultNameRule,
    vaultSuitedRule,
    keySuitedRule,
  ],

  plan(facts) {
    const { azure, cluster, from, parameters } = facts;
    const { provisioning, provisionedKey } = azure;
    const [identity] = cluster.identities;
    if (!provisioning || !identity) throw new Error('provision-kms was planned against its rules.');
    const { vaultId, tenantId } = provisioning;
    const { vaultName, keyName, permissionModel, retentionDays, keySizeInBits, expiresOn } = parameters;
    const vaultExists = provisioning.vault.state === 'exists';
    const identityName = resourceName(identity.resourceId);
    const name = resourceName(cluster.resourceId);
    const next = from.mode === 'off' ? 'enable-kms' : 'change-vault';
    const expiry = expiresOn === undefined ? null : { at: minutesAfter(expiresOn, 0) };
    const made = [
      ...(vaultExists ? [] : [`the vault ${vaultName}`]),
      ...(provisionedKey ? [] : [`the key ${keyName}`]),
    ];
    const used = [
      ...(vaultExists ? [`the vault ${vaultName}`] : []),
      ...(provisionedKey ? [`the key version ${shortKeyId(provisionedKey.keyId)}`] : []),
    ];
    const what = [
      ...(made.length > 0 ? [`make ${made.join(' and ')}`] : []),
      ...(used.length > 0 ? [`use ${used.join(' and ')} as found`] : []),
    ].join(', ');
    return {
      summary: `For KMS of ${name}: ${what}, and let its identity ${identityName} encrypt and decrypt with the key. The cluster is not changed: ask for ${next} afterwards, with the key id that the result names.`,
      to: from,
      steps: [
        startGate(
          facts,
          'A cluster will depend on this vault and key for as long as it lives; no person decides that alone.',
        ),
        {
          id: 'create-vault',
          type: 'create-vault',
          vaultId,
          location: cluster.location,
          tenantId,
          permissionModel,
          retentionDays,
          exists: vaultExists,
          title: vaultExists
            ? `Check that the vault ${vaultName} is fit as it is`
            : `Create the vault ${vaultName} in ${cluster.location}, with ${modelName(permissionModel)}, soft delete for ${retentionDays} days and purge protection`,
          reason: vaultExists
            ? 'Keyturn does not change a vault that exists.'
            : 'A key that is lost is a cluster lost: with purge protection nobody, Keyturn included, can destroy a key before its retention ends. The vault is open to all networks, as public access of AKS needs it.',
        },
        {
          id: 'create-key',
          type: 'create-key',
          vaultId,
          permissionModel,
          keyName,
          sizeInBits: keySizeInBits,
          expiry,
          exists: provisionedKey?.keyId ?? null,
          title: provisionedKey
            ? `Check that ${shortKeyId(provisionedKey.keyId)} is usable as it is`
            : `Create the RSA key ${keyName} with ${keySizeInBits} bits${expiry === null ? '' : `, expiring on ${expiry.at}`}`,
          reason: provisionedKey
            ? 'Keyturn makes no other version of a key that exists.'
            : 'It permits encrypt and decrypt, which is what the KMS plugin does with it, and nothing else.',
        },
        {
          id: 'grant-key-access',
          type: 'grant-key-access',
          vaultId,
          permissionModel,
          keyName,
          identityId: identity.resourceId,
          principalId: identity.principalId ?? null,
          title: `Let ${identityName} encrypt and decrypt with the key ${keyName}`,
          reason:
            permissionModel === 'rbac'
              ? 'The AKS documents name the role Key Vault Crypto User at the vault. Rights that are there already are left as they are.'
              : 'The AKS documents name the key permissions encrypt and decrypt. Rights that are there already are left as they are.',
        },
      ],
      warnings: provisioningWarnings(provisioning, {
        vaultName,
        keyName,
        permissionModel,
        asked: { keySizeInBits, expiry },
        found: provisionedKey,
      }),
    };
  },
});
