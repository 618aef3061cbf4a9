/** `upgradeProfiles/default` of a managed cluster: what it could be upgraded to (facts 1.3). Previews are never offered. */
import type { JsonObject } from '../json';
import { poolsOf } from './agent-pools';
import { isUpgrade, KUBERNETES_RELEASES, releaseFor, type KubernetesRelease } from './kubernetes-versions';
import type { ManagedCluster } from './managed-cluster';

/** The body of the GET. */
export function upgradeProfileBody(cluster: ManagedCluster): JsonObject {
  return {
    id: `${cluster.id}/upgradeprofiles/default`.replace('/resourceGroups/', '/resourcegroups/'),
    name: 'default',
    type: 'Microsoft.ContainerService/managedClusters/upgradeprofiles',
    properties: {
      controlPlaneProfile: offersTo(cluster.release),
      agentPoolProfiles: poolsOf(cluster.body).map((pool) => ({
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
