/** Everything that Keyturn asks of Azure, for one cloud and one identity. */
import type { Cloud } from '../domain/clouds';
import { createArmClient } from './arm';
import { createCredential } from './credentials';
import { createGrants, type Grants } from './grants';
import { createHttpClient } from './http-client';
import { createIdentities, type Identities } from './identities';
import { createKeys, type Keys } from './keys';
import { createManagedClusters, type ManagedClusters } from './managed-clusters';
import { createRoles, type Roles } from './roles';
import { createVaults, type Vaults } from './vaults';

/** Access to one cloud. */
export interface AzureAccess {
  readonly cloud: Cloud;
  readonly clusters: ManagedClusters;
  readonly keys: Keys;
  readonly vaults: Vaults;
  readonly roles: Roles;
  readonly identities: Identities;
  readonly grants: Grants;
}

/** Access as the identity that the standard environment describes. @param http carries every request */
export function createAzureAccess(cloud: Cloud, http = createHttpClient()): AzureAccess {
  const credential = createCredential(cloud, http);
  const arm = createArmClient(cloud, credential, http);
  return {
    cloud,
    clusters: createManagedClusters(cloud, arm, credential, http),
    keys: createKeys(cloud, credential, http),
    vaults: createVaults(cloud, arm, credential, http),
    roles: createRoles(cloud, credential, http),
    identities: createIdentities(arm),
    grants: createGrants(cloud, arm, credential, http),
  };
}
