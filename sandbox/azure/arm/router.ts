/**
 * management.azure.com: the front door, the faults that hit ARM, and the resource providers behind it.
 *
 * Needs: everything in this folder.
 * Does: puts the routers in order.
 * Never does: anything of its own.
 */
import { randomUUID } from 'node:crypto';
import { json, Router } from 'express';
import type { Directory } from '../entra/directory';
import type { FederatedCredentials } from '../entra/federated-credentials';
import type { TokenService } from '../entra/tokens';
import { AzureError } from '../errors';
import type { Faults } from '../faults';
import type { VaultRegistry } from '../vault/registry';
import { agentPoolsRouter } from './agent-pool-routes';
import { armFrontDoor } from './authentication';
import { clustersRouter } from './cluster-routes';
import type { Clusters } from './clusters';
import { denyAssignmentsRouter } from './deny-assignments';
import { diagnosticSettingsRouter, type DiagnosticSettings } from './diagnostic-settings';
import { federatedCredentialsRouter } from './federated-credential-routes';
import { identitiesRouter, type Identities } from './identities';
import { linkersRouter } from './linker-routes';
import type { Linkers } from './linkers';
import { nodeMachinesRouter } from './node-machine-routes';
import type { NodeMachines } from './node-machines';
import { operationsRouter, type Operations } from './operations';
import { privateEndpointsRouter } from './private-endpoint-routes';
import type { PrivateEndpoints } from './private-endpoints';
import { resourceGroupsRouter, type ResourceGroups } from './resource-groups';
import { resourceProvidersRouter, type ResourceProviders } from './resource-providers';
import { roleAssignmentsRouter, type RoleAssignments } from './role-assignments';
import { roleDefinitionsRouter } from './role-definitions';
import { vaultKeysRouter } from './vault-keys';
import { vaultNamesRouter } from './vault-names';
import { vaultsRouter } from './vaults';

/** The parts that ARM is made of. */
export interface ArmOptions {
  readonly directory: Directory;
  readonly tokens: TokenService;
  readonly faults: Faults;
  readonly groups: ResourceGroups;
  readonly identities: Identities;
  readonly federations: FederatedCredentials;
  readonly machines: NodeMachines;
  readonly linkers: Linkers;
  readonly providers: ResourceProviders;
  readonly assignments: RoleAssignments;
  readonly endpoints: PrivateEndpoints;
  readonly registry: VaultRegistry;
  readonly clusters: Clusters;
  readonly operations: Operations;
  readonly diagnostics: DiagnosticSettings;
}

/** The routes of ARM. Paths match in any case, which is Express's default. */
export function armRouter(options: ArmOptions): Router {
  const { directory, tokens, faults, groups, identities, assignments, endpoints, registry } = options;
  const { clusters, operations, diagnostics, federations, machines, linkers, providers } = options;
  const router = Router();
  router.use((_request, response, next) => {
    response.set({ 'x-ms-request-id': randomUUID(), 'x-ms-correlation-request-id': randomUUID() });
    if (faults.takeRequest('throttle')) {
      throw new AzureError(429, 'TooManyRequests', 'The request is being throttled: the fault `throttle` is on.', {
        headers: { 'Retry-After': '1' },
      });
    }
    if (faults.takeRequest('server-error')) {
      throw new AzureError(503, 'ServiceUnavailable', 'The service is unavailable: the fault `server-error` is on.');
    }
    next();
  });
  router.use(armFrontDoor(tokens, directory.tenantId, faults));
  router.use(json({ type: () => true, limit: '4mb' }));
  router.use(resourceGroupsRouter(groups));
  router.use(roleAssignmentsRouter(assignments, directory));
  router.use(roleDefinitionsRouter(assignments.definitions));
  router.use(identitiesRouter(identities, groups, { directory, federations }));
  router.use(federatedCredentialsRouter({ identities, federations, groups, faults }));
  router.use(nodeMachinesRouter(machines, identities, groups));
  router.use(denyAssignmentsRouter(assignments.denials));
  router.use(privateEndpointsRouter(endpoints, groups, registry));
  router.use(vaultsRouter(registry, groups, { endpoints, assignments }));
  router.use(vaultKeysRouter(registry));
  router.use(vaultNamesRouter(registry));
  router.use(diagnosticSettingsRouter(diagnostics, registry, groups));
  router.use(operationsRouter(operations));
  router.use(clustersRouter(clusters, operations, faults));
  router.use(agentPoolsRouter(clusters, operations));
  router.use(linkersRouter(linkers, clusters, operations));
  router.use(resourceProvidersRouter(providers));
  router.use((request) => {
    throw new AzureError(
      404,
      'SandboxRouteNotServed',
      `The sandbox's ARM does not serve ${request.method} ${request.path}.`,
    );
  });
  return router;
}
