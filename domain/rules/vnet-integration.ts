/**
 * What must hold of API Server VNet Integration: private vault access needs it, and a request may have Keyturn turn it on. Sources: the AKS
 * documents "API Server VNet Integration" and "Stop and start an AKS cluster"; az aks update, which takes no such change without a subnet.
 */
import type { Fault } from '../errors';
import type { FactRule, Rule } from '../kinds/kind';
import { resourceName } from '../resource-ids';
import { describeHindrances, FREE_THE_STOP, isInEffect, type WithVnetIntegration } from '../vnet-integration';

const ACCESS = '/parameters/vaultAccess';
const ENABLE = '/parameters/enableVnetIntegration';
const SUBNET = '/parameters/apiServerSubnetId';
const BY_KEYTURN =
  'Ask again with `enableVnetIntegration` true and `apiServerSubnetId`: then the plan turns it on, and stops and starts the cluster, after a gate of its own. Or do it yourself';
const BY_HAND = 'az aks stop, az aks start';
const TURN_ON = `az aks update --enable-apiserver-vnet-integration --apiserver-subnet-id …, ${BY_HAND}`;

/** The same for kinds that keep the access that a cluster has, and turn nothing on. */
export const vnetIntegrationOnRule: Rule<{ readonly vaultAccess?: 'Public' | 'Private' }> = {
  codes: ['VnetIntegrationMissing'],
  check({ resourceId, vnetIntegration }, _, { vaultAccess }) {
    if (vaultAccess !== 'Private' || vnetIntegration === true) return [];
    const detail = `Private vault access needs API Server VNet Integration, and ${resourceName(resourceId)} does not have it. Turn it on (${TURN_ON}): that cannot be undone, and takes effect when the cluster is stopped and started.`;
    return [{ code: 'VnetIntegrationMissing', pointer: ACCESS, detail }];
  },
};

/** AKS reaches a private vault through API servers in the customer's network only. */
export const vnetIntegrationRule: Rule<WithVnetIntegration> = {
  codes: ['VnetIntegrationMissing', 'VnetIntegrationNotNeeded', 'SubnetMissing', 'ClusterCannotStop'],
  check(cluster, _, { vaultAccess, enableVnetIntegration = false, apiServerSubnetId }) {
    const name = resourceName(cluster.resourceId);
    if (!enableVnetIntegration) {
      if (apiServerSubnetId !== undefined) {
        const detail =
          '`apiServerSubnetId` is the subnet for turning API Server VNet Integration on, and the request does not ask for that. Set `enableVnetIntegration` to true, or leave the subnet out.';
        return [{ code: 'VnetIntegrationNotNeeded', pointer: SUBNET, detail }];
      }
      if (vaultAccess !== 'Private' || cluster.vnetIntegration === true) return [];
      const detail = `Private vault access needs API Server VNet Integration, and ${name} does not have it. Turning it on cannot be undone, and takes effect when the cluster is stopped and started. ${BY_KEYTURN}: ${TURN_ON}; before you do, look for admission webhooks with wildcard rules, which can keep a cluster from stopping and starting. Or use a vault with public access.`;
      return [{ code: 'VnetIntegrationMissing', pointer: ACCESS, detail }];
    }
    if (vaultAccess !== 'Private') {
      const detail =
        'Only private vault access needs API Server VNet Integration, and the request asks for public access. Leave `enableVnetIntegration` out, or ask with `vaultAccess` Private.';
      return [{ code: 'VnetIntegrationNotNeeded', pointer: ENABLE, detail }];
    }
    return [
      ...(apiServerSubnetId === undefined && cluster.vnetIntegration !== true ? [subnetMissing()] : []),
      ...cannotStop(cluster),
    ];
  },
};

function subnetMissing(): Fault {
  const detail =
    'AKS turns API Server VNet Integration on with a subnet for the API servers: name it in `apiServerSubnetId`. It must be in the network of the nodes, be delegated to Microsoft.ContainerService/managedClusters, have 16 addresses or more (/28), and be used by nothing else but API servers.';
  return { code: 'SubnetMissing', pointer: SUBNET, detail };
}

function cannotStop({ resourceId, nodeAutoProvisioning, agentPools }: Parameters<Rule<unknown>['check']>[0]): Fault[] {
  const sets = agentPools.filter(({ availabilitySet }) => availabilitySet === true).map(({ name }) => name);
  const whys = [
    ...(nodeAutoProvisioning === true ? ['it uses node auto-provisioning'] : []),
    ...(sets.length > 0 ? [`these agent pools are availability sets: ${sets.join(', ')}`] : []),
  ];
  if (whys.length === 0) return [];
  const detail = `AKS cannot stop ${resourceName(resourceId)}: ${whys.join('; ')}. API Server VNet Integration takes effect only when a cluster is stopped and started, and cannot be turned off again, so it was not turned on. Use a vault with public access, or a cluster that is made with the integration (create-cluster).`;
  return [{ code: 'ClusterCannotStop', pointer: ENABLE, detail }];
}

/** What only the cluster itself shows: whether the integration is in effect, and what would keep it from a stop and a start. */
export const vnetInEffectRule: FactRule<WithVnetIntegration> = {
  codes: ['VnetIntegrationMissing', 'VnetIntegrationNotNeeded', 'WebhooksPreventStop'],
  check({ cluster, vnetSight, parameters: { enableVnetIntegration = false } }) {
    if (vnetSight === undefined) return [];
    const name = resourceName(cluster.resourceId);
    const inEffect = isInEffect(cluster, vnetSight);
    if (!enableVnetIntegration) {
      if (inEffect) return [];
      const detail = `API Server VNet Integration is on for ${name} and not in effect: kube-system still has konnectivity-agent, and AKS refuses private vault access until the cluster was stopped and started. ${BY_KEYTURN}: ${BY_HAND}.`;
      return [{ code: 'VnetIntegrationMissing', pointer: ACCESS, detail }];
    }
    if (inEffect) {
      const detail = `The API servers of ${name} work with API Server VNet Integration already. Leave \`enableVnetIntegration\` out.`;
      return [{ code: 'VnetIntegrationNotNeeded', pointer: ENABLE, detail }];
    }
    const hindrances = describeHindrances(vnetSight);
    if (hindrances === undefined) return [];
    const detail = `${name} could not be stopped and started, which API Server VNet Integration needs: ${hindrances}. Nothing was changed, since the integration cannot be turned off again. ${FREE_THE_STOP} Then ask again.`;
    return [{ code: 'WebhooksPreventStop', pointer: '/cluster', detail }];
  },
};
