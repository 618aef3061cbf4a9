/**
 * `disconnect-csi`: what `connect-csi` made for one SecretProviderClass is removed again.
 *
 * Follows "Disable the add-on on existing clusters" of the same document: first nothing may use it.
 * Needs: no pod that mounts the class, and no other class that needs the connection. Does: removes the class, the connection of Service
 * Connector with its roles, the service account and the federated credential that Keyturn made, and turns the add-on off when that is asked
 * for. Never does: remove what others made, identities, other rights, or the CRDs of the driver.
 */
import { whyItStays } from '../csi/service-connection';
import { credentialName, DisconnectParameters, subjectOf } from '../csi/parameters';
import type { Warning } from '../plan/plan';
import { resourceName, sameText } from '../resource-ids';
import type { PlanStep } from '../plan/steps';
import { classOf, classUnusedRule, clusterRule, connectionUnusedRule, insideOf } from '../rules';
import { kind, type PlanFacts } from './kind';
import { startGate } from './steps';

export const disconnectCsi = kind({
  name: 'disconnect-csi',
  does: 'Removes a SecretProviderClass that connect-csi made, with its connection of Service Connector, service account and federated credential, and turns the add-on off when asked.',
  never:
    'removes what others made or use, an identity, rights other than those that came with the connection, or the CRDs of the driver.',
  section: 'Connect your Azure identity provider to the Azure Key Vault provider for Secrets Store CSI Driver',
  parameters: DisconnectParameters,
  keyFrom: 'any-vault',
  needs: ['csi'],
  rules: [clusterRule('ClusterNotRunning'), clusterRule('ClusterNotSucceeded'), clusterRule('LocalAccountsDisabled')],
  factRules: [classUnusedRule, connectionUnusedRule],

  plan(facts) {
    const { cluster, from, parameters } = facts;
    const { namespace, secretProviderClass: name } = parameters;
    return {
      summary: `Remove what connect-csi made for the SecretProviderClass ${namespace}/${name} of ${resourceName(cluster.resourceId)}. Identities and their rights stay.`,
      to: from,
      steps: [
        startGate(facts, 'Pods that need it could not start any more; no person decides that alone.'),
        ...connectionSteps(facts),
        {
          id: 'delete-secret-provider-class',
          type: 'delete-secret-provider-class',
          namespace,
          name,
          title: `Delete the SecretProviderClass ${namespace}/${name}, if Keyturn made it`,
          reason: 'No pod mounts it.',
        },
        ...accountSteps(facts),
        ...(parameters.disableAddOn && cluster.secretsProvider?.enabled === true
          ? [
              {
                id: 'disable-secrets-provider',
                type: 'disable-secrets-provider' as const,
                expect: from,
                title: 'Disable the add-on azure-keyvault-secrets-provider',
                reason: 'No SecretProviderClass is left. AKS keeps the CRDs.',
              },
            ]
          : []),
      ],
      warnings: [
        {
          code: 'RightsStay',
          detail:
            'Managed identities and what they may read in vaults stay, but for roles that Service Connector gave with a connection that goes: other pods may use them. Remove them by hand when nothing does.',
        },
        ...connectionWarnings(facts),
      ],
    };
  },
});

/** Before the class, which says that the connection is Keyturn's: an operation that ends in between can be asked for again. */
function connectionSteps(facts: PlanFacts<DisconnectParameters>): PlanStep[] {
  const { namespace, secretProviderClass } = facts.parameters;
  const made = classOf(insideOf(facts), namespace, secretProviderClass)?.connection;
  if (made === undefined || whyItStays(made, facts.azure.csi?.connections) !== undefined) return [];
  const { name, vaultId, since } = made;
  return [
    {
      id: 'delete-service-connection',
      type: 'delete-service-connection',
      name,
      vaultId,
      noted: { namespace, class: secretProviderClass, since },
      title: `Delete the connection ${name} to the vault ${resourceName(vaultId)}, and the roles that Service Connector gave with it`,
      reason:
        'Keyturn had Service Connector make it: the class notes it. No other class reads the vault by it. Roles of before, roles of others, and access policies stay.',
    },
  ];
}

/** A connection that stays where one might expect it to go. */
function connectionWarnings({ azure, cluster, parameters, csiInside }: PlanFacts<DisconnectParameters>): Warning[] {
  const { namespace, secretProviderClass } = parameters;
  const found = classOf(insideOf({ csiInside }), namespace, secretProviderClass);
  const { connections } = azure.csi ?? {};
  if (found === undefined) return [];
  if (found.connection) {
    const why = whyItStays(found.connection, connections);
    return why === undefined ? [] : [{ code: 'ServiceConnectionStays', detail: why, volatile: true }];
  }
  const { content } = found;
  const clientId = cluster.secretsProvider?.identity?.clientId;
  if (connections?.known !== true || content?.identity.mode !== 'managed-identity' || clientId === undefined) return [];
  if (!sameText(content.identity.clientId, clientId)) return [];
  return connections.value
    .filter(({ targetId, byCsiDriver }) => byCsiDriver && sameText(resourceName(targetId), content.vaultName))
    .map(({ name }) => ({
      code: 'ServiceConnectionStays',
      detail: `The connection ${name} to the vault ${content.vaultName} stays: Keyturn did not make it for this class. If nothing uses it, remove it by hand (az aks connection delete), or by disconnect-csi of the class that it was made for.`,
      volatile: true,
    }));
}

function accountSteps(facts: PlanFacts<DisconnectParameters>): PlanStep[] {
  const { cluster, parameters } = facts;
  const { namespace, serviceAccount, identity } = parameters;
  if (serviceAccount === undefined) return [];
  const subject = subjectOf({ namespace, name: serviceAccount });
  const ours = insideOf(facts).serviceAccount?.ours === true;
  return [
    ...(identity === undefined
      ? []
      : [
          {
            id: 'delete-federated-credential',
            type: 'delete-federated-credential' as const,
            identityId: identity,
            name: credentialName(cluster.resourceId, subject),
            subject,
            title: `Take ${subject} the identity ${resourceName(identity)} away`,
            reason: 'Keyturn made the federated credential: its name is made of the cluster and the subject.',
          },
        ]),
    ...(ours
      ? [
          {
            id: 'delete-service-account',
            type: 'delete-service-account' as const,
            namespace,
            name: serviceAccount,
            title: `Delete the service account ${namespace}/${serviceAccount}`,
            reason: 'Keyturn made it, and no pod runs as it.',
          },
        ]
      : []),
  ];
}
