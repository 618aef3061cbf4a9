/**
 * `create-cluster`: a managed cluster that has KMS on from the start, so that no Secret of it is ever stored in plaintext, and proves it.
 *
 * Follows "Create an AKS cluster that has a public key vault and turn on KMS etcd encryption" of the AKS documents, and the same for a
 * private key vault: `az aks create --assign-identity … --enable-azure-keyvault-kms …` after the grants that both sections need.
 * Needs: a name that no cluster has; a usable key in a vault that Keyturn sees, or names for a vault and a key; for private access, subnets.
 * Does: makes vault and key where the request names them and they are not there, with the steps of `provision-kms`; makes the identity if
 * it is not there, gives it the rights, makes the cluster, proves every Secret.
 * Never does: change a cluster, a vault or a key that exists.
 */
import { z } from 'zod';
import { describeState, kmsScheme, NEW_KEY_STEP, type EncryptionState, type KeyRef } from '../encryption';
import { versionedKeyId } from '../key-id-schema';
import { foundKeyId, type AzureObservation } from '../observed';
import { rewriteInPlace } from '../plan/transition';
import type { PlanStep } from '../plan/steps';
import { mustParseKeyId, parseClusterId, resourceName } from '../resource-ids';
import type { PermissionModel } from '../provisioning';
import {
  clusterAbsentRule,
  firstKeyRule,
  firstVaultRule,
  identitySeenRule,
  provisioningRules,
  subnetsRule,
  vaultProtectedRule,
  vaultTenantRule,
} from '../rules';
import { kind } from './kind';
import {
  expiryAsked,
  grantSteps,
  vaultAndKey,
  vaultAndKeySteps,
  whatIsProvisioned,
  type ToProvision,
} from './provisioning-steps';
import { startGate, subnetId, vaultAccess } from './steps';
import { kmsV1Warnings, newClusterWarnings, provisioningWarnings } from './warnings';

const parameters = z
  .strictObject({
    location: z
      .string()
      .regex(/^[a-z][a-z0-9 ]{2,39}$/i)
      .meta({ description: 'Azure region of the cluster, such as `westeurope`.' }),
    identityId: z
      .string()
      .max(400)
      .regex(
        /^\/subscriptions\/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\/resourceGroups\/[-\w.()]{1,90}\/providers\/Microsoft\.ManagedIdentity\/userAssignedIdentities\/[a-z0-9][-\w]{2,127}$/i,
        { error: 'Expected the ARM resource id of a user-assigned managed identity.' },
      )
      .meta({
        description:
          'ARM resource id of the user-assigned identity of the cluster. If there is none, it is made in the region of the cluster.',
      }),
    keyId: versionedKeyId.optional().meta({
      description: 'The key version to encrypt with, of a vault that exists. Either this or `provision`.',
    }),
    provision: z.strictObject(vaultAndKey).optional().meta({
      description:
        'Vault and key to encrypt with, made where they are not there, as `provision-kms` does: `vaultName`, `keyName`, and its optional parameters `vaultResourceGroup`, `permissionModel`, `retentionDays`, `keySizeInBits`, `expiresOn`. `vaultAccess` says whether the vault is open to all networks or private.',
    }),
    vaultAccess,
    kubernetesVersion: z
      .string()
      .regex(/^\d+\.\d+(?:\.\d+)?$/)
      .optional()
      .meta({ description: 'Kubernetes version, `1.34` or `1.34.1`. Default: the default of AKS.' }),
    nodeCount: z.int().min(1).max(1000).default(3).meta({ description: 'Nodes of the system pool. Default: 3.' }),
    vmSize: z
      .string()
      .regex(/^\w{1,60}$/)
      .optional()
      .meta({ description: 'Size of the nodes, such as `Standard_D4s_v5`. Default: the default of AKS.' }),
    apiServerSubnetId: subnetId(
      'ARM resource id of the subnet of the API servers, which turns on API Server VNet Integration. Needed with `vaultAccess` `Private`.',
    ),
    nodeSubnetId: subnetId(
      'ARM resource id of the subnet of the nodes, in the same network. Needed with `apiServerSubnetId`.',
    ),
    dnsPrefix: z
      .string()
      .regex(/^[a-z0-9](?:[-a-z0-9]{0,52}[a-z0-9])?$/i)
      .optional()
      .meta({ description: 'Prefix of the name of the API server in DNS. Default: as `az aks create` makes it.' }),
  })
  .superRefine(({ keyId, provision }, context) => {
    if ((keyId === undefined) !== (provision === undefined)) return;
    const message = 'Name either the key version (`keyId`), or vault and key to be made (`provision`).';
    context.addIssue({ code: 'custom', message, path: [keyId === undefined ? 'keyId' : 'provision'] });
  });
/** What a request for a new cluster says. */
export type CreateClusterParameters = z.infer<typeof parameters>;

export const createCluster = kind({
  name: 'create-cluster',
  does: 'Makes a cluster that has KMS on from the start, with the rights that its identity needs, and proves every Secret of it. Where the request names a vault and a key to be made, it makes those first.',
  never: 'changes a cluster, a vault or a key that exists.',
  section: 'Create an AKS cluster that has a public key vault and turn on KMS etcd encryption',
  startsWithout: 'cluster',
  parameters,
  keyFrom: 'any-vault',
  needs: [],
  rules: [
    clusterAbsentRule,
    identitySeenRule,
    firstKeyRule,
    firstVaultRule,
    subnetsRule,
    vaultTenantRule,
    vaultProtectedRule,
    ...provisioningRules(
      ({ provision, vaultAccess: access }: CreateClusterParameters) =>
        provision && { ...provision, vaultAccess: access, at: '/parameters/provision' },
    ),
  ],

  plan(facts) {
    const { cluster, azure, parameters: asked, perSecond } = facts;
    const { location, identityId, kubernetesVersion = '', nodeCount, vmSize = '', vaultAccess: access } = asked;
    const { apiServerSubnetId = null, nodeSubnetId = null } = asked;
    const { key, vaultId, permissionModel, keyName, toMake } = keyAndVault(asked, azure);
    const vaultName = resourceName(vaultId);
    const identity = azure.clusterToMake?.identity;
    const principalId = identity?.state === 'exists' ? identity.principalId : null;
    const identityName = resourceName(identityId);
    const name = resourceName(cluster.resourceId);
    const to: EncryptionState = {
      mode: 'on',
      scheme: kmsScheme(cluster.kubernetesVersion),
      key,
      access,
      ...(access === 'Private' ? { vaultId } : {}),
    };
    const steps: PlanStep[] = [
      startGate(
        facts,
        'A new cluster costs money, and depends on the key for as long as it lives; no person decides that alone.',
      ),
      ...(toMake ? vaultAndKeySteps(toMake) : []),
    ];
    if (principalId === null) {
      steps.push({
        id: 'create-identity',
        type: 'create-identity',
        identityId,
        location,
        title: `Create the managed identity ${identityName} in ${location}`,
        reason:
          'AKS takes KMS with a user-assigned identity only, which must have the rights before the cluster is made.',
      });
    }
    steps.push(...grantSteps({ vaultId, permissionModel, keyName, identityId, principalId, access }));
    steps.push(
      {
        id: 'create-cluster',
        type: 'create-cluster',
        to,
        location,
        identityId,
        kubernetesVersion,
        nodeCount,
        vmSize,
        apiServerSubnetId,
        nodeSubnetId,
        dnsPrefix: asked.dnsPrefix ?? dnsPrefixOf(cluster.resourceId),
        title: `Create the cluster ${name} in ${location} with KMS on: ${describeState(to)}, ${access.toLowerCase()} vault access`,
        reason:
          'KMS is on before the first Secret is stored. The request says that no cluster of the name may exist, so that it can overwrite none.',
      },
      ...rewriteInPlace('created', to, 'Keyturn calls nothing proven that it has not seen, on a new cluster too.', {
        perSecond,
      }),
    );
    return {
      summary: `${toMake ? `First ${whatIsProvisioned(toMake)}. ` : ''}Create the cluster ${name} in ${location}, encrypted with ${describeState(to)} from the start with ${access.toLowerCase()} vault access, as the identity ${identityName}, and prove every Secret.`,
      to,
      steps,
      warnings: [
        ...kmsV1Warnings(to),
        ...newClusterWarnings({ name, identityName, vaultName, principalId, apiServerSubnetId, nodeCount }),
        ...(toMake
          ? provisioningWarnings(toMake.found, {
              ...toMake.asked,
              vaultAccess: access,
              asked: { keySizeInBits: toMake.asked.keySizeInBits, expiry: expiryAsked(toMake.asked) },
              found: toMake.key,
            })
          : []),
      ],
    };
  },
});

/** The key to encrypt with and its vault: those that the request names, or those that are to be made. */
function keyAndVault(
  { keyId, provision, vaultAccess: access, location }: CreateClusterParameters,
  { requestedKey, clusterToMake, provisioning, provisionedKey }: AzureObservation,
): {
  readonly key: KeyRef;
  readonly vaultId: string;
  readonly permissionModel: PermissionModel;
  readonly keyName: string;
  readonly toMake?: ToProvision;
} {
  if (provision && provisioning) {
    const { permissionModel, keyName } = provision;
    return {
      key: provisionedKey?.keyId ?? { madeBy: NEW_KEY_STEP },
      vaultId: provisioning.vaultId,
      permissionModel,
      keyName,
      toMake: { asked: provision, access, location, found: provisioning, key: provisionedKey },
    };
  }
  const key = foundKeyId(requestedKey) ?? keyId;
  if (key === undefined || clusterToMake?.vault?.known !== true)
    throw new Error('create-cluster was planned against its rules.');
  const { vaultId, permissionModel } = clusterToMake.vault.value;
  return { key, vaultId, permissionModel, keyName: mustParseKeyId(key).name };
}

/** `{cluster}-{group}-{subscription}` as `az aks create` makes it: ten, sixteen and six characters. */
function dnsPrefixOf(resourceId: string): string {
  const { name = '', resourceGroup = '', subscriptionId = '' } = parseClusterId(resourceId) ?? {};
  const plain = (text: string, most: number): string => text.replace(/[^A-Za-z0-9-]/g, '').slice(0, most);
  const first = plain(name, 10);
  return `${/^[A-Za-z]/.test(first) ? first : `a${first}`}-${plain(resourceGroup, 16)}-${subscriptionId.slice(0, 6)}`;
}
