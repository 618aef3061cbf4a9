/**
 * `connect-csi`: pods of a cluster get secrets, keys and certificates of a vault as files, by the Secrets Store CSI driver.
 *
 * Follows "Connect your Azure identity provider to the Azure Key Vault provider for Secrets Store CSI Driver" of the AKS documents, which
 * has three ways in: Service Connector, workload identity, and a managed identity of the nodes. Each part may exist: what is right is
 * kept, and what is wrong is named and never overwritten. Where mounted files are rotated, a probe of Keyturn's own shows that they are.
 * Needs: a running cluster and a vault that Keyturn sees. Does: add-on, identity, rights, service account, SecretProviderClass; then a pod
 * mounts the class and compares what it sees with the vault. Never does: change an add-on, a class or a service account of others;
 * move a value out of the cluster.
 */
import {
  accessSteps,
  addOnSteps,
  connectionStep,
  grantSteps,
  identityOf,
  nameOf,
  rotationSteps,
} from '../csi/connect-steps';
import { fileOf } from '../csi/objects';
import { ConnectParameters } from '../csi/parameters';
import { listed } from '../listed';
import { resourceName } from '../resource-ids';
import {
  addOnRule,
  classOf,
  clusterRule,
  csiIdentityRule,
  csiTenantRule,
  csiVaultRule,
  driverCompleteRule,
  federatedCredentialRule,
  insideOf,
  namespaceRule,
  nodesReachVaultRule,
  noOtherDriverRule,
  providerClassRule,
  serviceAccountRule,
  serviceConnectionRule,
  wantedClass,
} from '../rules';
import { connectionIsNoted, connectWarnings } from '../csi/warnings';
import { kind } from './kind';
import { startGate } from './steps';

export const connectCsi = kind({
  name: 'connect-csi',
  does: 'Connects pods of a cluster with a vault by the Secrets Store CSI driver, and has a pod compare what it mounts with the vault.',
  never:
    'changes an add-on, a class, a service account or a credential that others made, or moves a value of the vault out of the cluster.',
  section: 'Connect your Azure identity provider to the Azure Key Vault provider for Secrets Store CSI Driver',
  parameters: ConnectParameters,
  keyFrom: 'any-vault',
  needs: ['csi'],
  rules: [
    clusterRule('ClusterNotRunning'),
    clusterRule('ClusterNotSucceeded'),
    clusterRule('LocalAccountsDisabled'),
    clusterRule('NodesScaledToZero'),
    csiVaultRule,
    csiTenantRule,
    csiIdentityRule,
    addOnRule,
    federatedCredentialRule,
    serviceConnectionRule,
    nodesReachVaultRule,
  ],
  factRules: [noOtherDriverRule, driverCompleteRule, namespaceRule, serviceAccountRule, providerClassRule],

  plan(facts) {
    const { azure, cluster, from, parameters } = facts;
    const { mode, namespace, secretProviderClass, objects, vaultId, serviceAccount } = parameters;
    if (azure.csi?.vault.known !== true) throw new Error('connect-csi was planned against its rules.');
    const vault = azure.csi.vault.value;
    const name = resourceName(vaultId);
    const content = wantedClass(facts);
    const exists = classOf(insideOf(facts), namespace, secretProviderClass) !== undefined;
    const connection = connectionStep(facts);
    const who = identityOf(parameters);
    const access = mode === 'workload-identity' ? mode : 'managed-identity';
    const grant = grantSteps(facts);
    return {
      summary: `Pods of ${resourceName(cluster.resourceId)} that mount the SecretProviderClass ${namespace}/${secretProviderClass} get ${listed(objects.map(fileOf))} from the vault ${name}, by ${WAYS[mode]}. A pod of Keyturn's own mounts it and compares, and is removed.`,
      to: from,
      steps: [
        startGate(
          facts,
          'From then on pods of the namespace can read what the class names; no person decides that alone.',
        ),
        ...addOnSteps(facts),
        ...accessSteps(facts),
        // Service Connector comes first where it is to make the rights.
        ...(connection === undefined ? grant : []),
        ...(mode === 'workload-identity' && serviceAccount !== undefined
          ? [
              {
                id: 'create-service-account',
                type: 'create-service-account' as const,
                namespace,
                name: serviceAccount,
                identity: who,
                tenantId: vault.tenantId,
                exists: insideOf(facts).serviceAccount?.clientId !== undefined,
                title: `Have the service account ${namespace}/${serviceAccount} name ${nameOf(who)}`,
                reason: 'Pods run as it. Its annotations tell which identity it stands for.',
              },
            ]
          : []),
        {
          id: 'create-secret-provider-class',
          type: 'create-secret-provider-class',
          namespace,
          name: secretProviderClass,
          vaultName: content.vaultName,
          tenantId: content.tenantId,
          cloudName: content.cloudName,
          access,
          identity: who,
          objects,
          exists,
          ...(connection === undefined || connection.exists || !connectionIsNoted(facts)
            ? {}
            : { connection: { name: connection.name, vaultId } }),
          title: exists
            ? `Check that the SecretProviderClass ${namespace}/${secretProviderClass} is as it is wanted`
            : `Create the SecretProviderClass ${namespace}/${secretProviderClass}`,
          reason: `Pods name it in a volume of the driver secrets-store.csi.k8s.io. It names the cloud ${content.cloudName}: without it the provider takes the public one.`,
        },
        // After the class, which notes that Keyturn makes it: so disconnect-csi knows it also when this operation ends in between.
        ...(connection === undefined ? [] : [connection, ...grant]),
        {
          id: 'prove-mount',
          type: 'prove-mount',
          namespace,
          class: secretProviderClass,
          access,
          serviceAccount: serviceAccount ?? null,
          vaultId,
          objects,
          image: parameters.image,
          identity: who,
          tenantId: content.tenantId,
          cloudName: content.cloudName,
          title: `Mount ${namespace}/${secretProviderClass} in a pod, compare each file with the vault, and remove the pod`,
          reason:
            'Only a mount shows that driver, identity, rights and network work together. The pod compares inside the cluster; what leaves it is names and versions.',
        },
        ...rotationSteps(facts),
      ],
      warnings: connectWarnings(facts),
    };
  },
});

const WAYS: Readonly<Record<ConnectParameters['mode'], string>> = {
  'workload-identity': 'workload identity',
  'managed-identity': 'a managed identity of the nodes',
  'service-connector': 'Service Connector',
};
