/** `upgradeProfiles/default` of a managed cluster: what it could be upgraded to (facts 1.3). Previews are never offered. */
import { isJsonObject, objectAt, type JsonObject } from '../json';
import { KUBERNETES_RELEASES, releaseFor, type KubernetesRelease } from './kubernetes-versions';
import type { ManagedCluster } from './managed-cluster';
import { isUpgrade } from './upgrade-rules';

/** The body of the GET. */
export function upgradeProfileBody(cluster: ManagedCluster): JsonObject {
  const pools = objectAt(cluster.body, 'properties')['agentPoolProfiles'];
  return {
    id: `${cluster.id}/upgradeprofiles/default`.replace('/resourceGroups/', '/resourcegroups/'),
    name: 'default',
    type: 'Microsoft.ContainerService/managedClusters/upgradeprofiles',
    properties: {
      controlPlaneProfile: offersTo(cluster.release),
      agentPoolProfiles: (Array.isArray(pools) ? pools : []).filter(isJsonObject).map((pool) => ({
        name: pool['name'],
        ...offersTo(releaseFor(String(pool['currentOrchestratorVersion']))),
      })),
    },
  };
}

function offersTo(release: KubernetesRelease): JsonObject {
  const upgrades = KUBERNETES_RELEASES.filter((to) => isUpgrade(release, to));
  return {
    kubernetesVersion: release.patch,
    osType: 'Linux',
    // AKS leaves the member out when there is nothing.
    ...(upgrades.length === 0
      ? {}
      : { upgrades: upgrades.map(({ patch }) => ({ kubernetesVersion: patch, isPreview: false })) }),
  };
}
