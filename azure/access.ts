/** Everything that Keyturn asks of Azure, for one cloud and one identity. */
import type { Cloud } from '../domain/clouds';
import { createArmClient } from './arm';
import { createArmKeys, type ArmKeys } from './arm-keys';
import { createCredential } from './credentials';
import { createDiagnosticSettings, type DiagnosticSettings } from './diagnostic-settings';
import { createFederatedCredentials, type FederatedCredentials } from './federated-credentials';
import { createGrants, type Grants } from './grants';
import { createHttpClient } from './http-client';
import { createIdentities, type Identities } from './identities';
import { createKeys, type Keys } from './keys';
import { createNewVaults, type NewVaults } from './new-vaults';
import { createOwnIdentity, type OwnIdentity } from './own-identity';
import { createManagedClusters, type ManagedClusters } from './managed-clusters';
import { createNodeMachines, type NodeMachines } from './node-machines';
import { createPrivateEndpoints, type PrivateEndpoints } from './private-endpoints';
import { createReadVaults, type ReadVaults } from './read-vaults';
import { createRoles, type Roles } from './roles';
import { createKeyLookups, type KeyLookups } from './key-lookup';
import { createSecrets, type Secrets } from './secrets';
import { createSigningKeys, type SigningKeys } from './signing-keys';
import { createServiceConnections, type ServiceConnections } from './service-connections';
import { createVaultManagement } from './vault-management';
import { createVaultRecovery, type VaultRecovery } from './vault-recovery';
import { createVaults, type Vaults } from './vaults';

/** Access to one cloud. */
export interface AzureAccess {
  readonly cloud: Cloud;
  readonly clusters: ManagedClusters;
  readonly keys: Keys & KeyLookups;
  readonly vaults: Vaults & VaultRecovery & ReadVaults;
  readonly roles: Roles;
  readonly identities: Identities;
  readonly grants: Grants;
  readonly diagnostics: DiagnosticSettings;
  readonly newVaults: NewVaults;
  readonly nodeMachines: NodeMachines;
  readonly federatedCredentials: FederatedCredentials;
  readonly serviceConnections: ServiceConnections;
  readonly armKeys: ArmKeys;
  readonly secrets: Secrets;
  readonly signingKeys: SigningKeys;
  readonly own: OwnIdentity;
  readonly privateEndpoints: PrivateEndpoints;
}

/** Access as the identity that the standard environment describes. @param http carries every request */
export function createAzureAccess(cloud: Cloud, http = createHttpClient()): AzureAccess {
  const credential = createCredential(cloud, http);
  const arm = createArmClient(cloud, credential, http);
  const management = createVaultManagement(cloud, credential, http);
  const keys = createKeys(cloud, credential, http);
  const vaults = createVaults(management, arm);
  const armKeys = createArmKeys(management);
  return {
    cloud,
    clusters: createManagedClusters(cloud, arm, credential, http),
    keys: { ...keys, ...createKeyLookups({ keys, vaults, armKeys, arm }) },
    vaults: { ...vaults, ...createVaultRecovery(management, arm), ...createReadVaults(management) },
    roles: createRoles(cloud, credential, http),
    identities: createIdentities(arm),
    grants: createGrants(arm, management),
    diagnostics: createDiagnosticSettings(arm),
    newVaults: createNewVaults(arm),
    nodeMachines: createNodeMachines(arm),
    federatedCredentials: createFederatedCredentials(arm),
    serviceConnections: createServiceConnections(arm),
    armKeys,
    secrets: createSecrets(cloud, credential, http),
    signingKeys: createSigningKeys(credential, http),
    own: createOwnIdentity(cloud, arm, credential),
    privateEndpoints: createPrivateEndpoints(arm),
  };
}
