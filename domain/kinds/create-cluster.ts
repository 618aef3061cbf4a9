/**
 * `create-cluster`: a managed cluster that has KMS on from the start, so that no Secret of it is ever stored in plaintext, and proves it.
 *
 * Follows "Create an AKS cluster that has a public key vault and turn on KMS etcd encryption" of the AKS documents, and the same for a
 * private key vault: `az aks create --assign-identity … --enable-azure-keyvault-kms …` after the grants that both sections need.
 * Needs: a name that no cluster has, a usable key in a vault that Keyturn sees; for private access, subnets.
 * Does: makes the identity if it is not there, gives it the rights, makes the cluster, proves every Secret.
 * Never does: change a cluster, a vault or a key that exists, or make a vault or a key. To make those first: `az keyvault create` and
 * `az keyvault key create`; `provision-kms` does it for clusters that exist.
 */
import { z } from 'zod';
import { describeState, kmsScheme, type EncryptionState } from '../encryption';
import { versionedKeyId } from '../key-id-schema';
import { foundKeyId, type AzureObservation } from '../observed';
import { rewriteInPlace } from '../plan/transition';
import type { PlanStep } from '../plan/steps';
import { mustParseKeyId, parseClusterId, resourceName } from '../resource-ids';
import { clusterAbsentRule, firstKeyRule, firstVaultRule, identitySeenRule, subnetsRule } from '../rules';
import { kind } from './kind';
import { startGate, vaultAccess } from './steps';
import { kmsV1Warnings, newClusterWarnings } from './warnings';

const subnetId = (of: string): z.ZodOptional<z.ZodString> =>
  z
    .string()
    .max(400)
    .regex(
      /^\/subscriptions\/[0-9a-f-]{36}\/resourceGroups\/[-\w.()]{1,90}\/providers\/Microsoft\.Network\/virtualNetworks\/[-\w.]{2,64}\/subnets\/[-\w.]{1,80}$/i,
      { error: 'Expected the ARM resource id of a subnet.' },
    )
    .optional()
    .meta({ description: of });

export const createCluster = kind({
  name: 'create-cluster',
  does: 'Makes a cluster that has KMS on from the start, with the rights that its identity needs, and proves every Secret of it.',
  never: 'changes a cluster, a vault or a key that exists, or makes a vault or a key.',
  section: 'Create an AKS cluster that has a public key vault and turn on KMS etcd encryption',
  startsWithout: 'cluster',
  parameters: z.strictObject({
    location: z
      .string()
      .regex(/^[a-z][a-z0-9 ]{2,39}$/i)
      .meta({ description: 'Azure region of the cluster, such as `westeurope`.' }),
    identityId: z
      .string()
      .max(400)
      .regex(
        /^\/subscriptions\/[0-9a-f-]{36}\/resourceGroups\/[-\w.()]{1,90}\/providers\/Microsoft\.ManagedIdentity\/userAssignedIdentities\/[a-z0-9][-\w]{2,127}$/i,
        { error: 'Expected the ARM resource id of a user-assigned managed identity.' },
      )
      .meta({
        description:
          'ARM resource id of the user-assigned identity of the cluster. If there is none, it is made in the region of the cluster.',
      }),
    keyId: versionedKeyId.meta({
      description: "The key version to encrypt with, in a vault of the cluster's subscription.",
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
  }),
  keyFrom: 'any-vault',
  needs: [],
  rules: [clusterAbsentRule, identitySeenRule, firstKeyRule, firstVaultRule, subnetsRule],

  plan(facts) {
    const { cluster, azure, parameters, perSecond } = facts;
    const { location, identityId, kubernetesVersion = '', nodeCount, vmSize = '', vaultAccess: access } = parameters;
    const { apiServerSubnetId = null, nodeSubnetId = null } = parameters;
    const { vaultId, permissionModel } = vaultOf(azure);
    const key = foundKeyId(azure.requestedKey) ?? parameters.keyId;
    const { name: keyName, vaultName } = mustParseKeyId(key);
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
    steps.push({
      id: 'grant-key-access',
      type: 'grant-key-access',
      vaultId,
      permissionModel,
      keyName,
      identityId,
      principalId,
      title: `Let ${identityName} encrypt and decrypt with the key ${keyName}`,
      reason:
        permissionModel === 'rbac'
          ? 'The AKS documents name the role Key Vault Crypto User at the vault. Rights that are there already are left as they are.'
          : 'The AKS documents name the key permissions encrypt and decrypt. Rights that are there already are left as they are.',
    });
    if (access === 'Private') {
      steps.push({
        id: 'grant-endpoint-approval',
        type: 'grant-endpoint-approval',
        vaultId,
        identityId,
        principalId,
        title: `Let ${identityName} approve private endpoints of the vault ${vaultName}`,
        reason:
          'AKS makes a private endpoint and approves it as the identity. The AKS documents name the role Key Vault Contributor at the vault, and AKS does not check it beforehand.',
      });
    }
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
        dnsPrefix: parameters.dnsPrefix ?? dnsPrefixOf(cluster.resourceId),
        title: `Create the cluster ${name} in ${location} with KMS on: ${describeState(to)}, ${access.toLowerCase()} vault access`,
        reason:
          'KMS is on before the first Secret is stored. The request says that no cluster of the name may exist, so that it can overwrite none.',
      },
      ...rewriteInPlace('created', to, 'Keyturn calls nothing proven that it has not seen, on a new cluster too.', {
        perSecond,
      }),
    );
    return {
      summary: `Create the cluster ${name} in ${location}, encrypted with ${describeState(to)} from the start with ${access.toLowerCase()} vault access, as the identity ${identityName}, and prove every Secret.`,
      to,
      steps,
      warnings: [
        ...kmsV1Warnings(to),
        ...newClusterWarnings({ name, identityName, vaultName, principalId, apiServerSubnetId, nodeCount }),
      ],
    };
  },
});

function vaultOf({ clusterToMake }: AzureObservation): {
  readonly vaultId: string;
  readonly permissionModel: 'rbac' | 'access-policy';
} {
  if (clusterToMake?.vault.known !== true) throw new Error('create-cluster was planned against its rules.');
  return clusterToMake.vault.value;
}

/** `{cluster}-{group}-{subscription}` as `az aks create` makes it: ten, sixteen and six characters. */
function dnsPrefixOf(resourceId: string): string {
  const { name = '', resourceGroup = '', subscriptionId = '' } = parseClusterId(resourceId) ?? {};
  const plain = (text: string, most: number): string => text.replace(/[^A-Za-z0-9-]/g, '').slice(0, most);
  const first = plain(name, 10);
  return `${/^[A-Za-z]/.test(first) ? first : `a${first}`}-${plain(resourceGroup, 16)}-${subscriptionId.slice(0, 6)}`;
}
