/** Everything that Keyturn asks of Azure, for one cloud and one identity. */
import type { TokenCredential } from '@azure/core-auth';
import type { Cloud } from '../domain/clouds';
import { createArmClient } from './arm';
import { createCredential } from './credentials';
import { createKeys, type Keys } from './keys';
import { createManagedClusters, type ManagedClusters } from './managed-clusters';

/** Access to one cloud. */
export interface AzureAccess {
  readonly cloud: Cloud;
  readonly clusters: ManagedClusters;
  readonly keys: Keys;
}

/** @param credential the one of the standard environment when absent */
export function createAzureAccess(cloud: Cloud, credential: TokenCredential = createCredential(cloud)): AzureAccess {
  const arm = createArmClient(cloud, credential);
  return { cloud, clusters: createManagedClusters(cloud, arm, credential), keys: createKeys(cloud, credential) };
}
