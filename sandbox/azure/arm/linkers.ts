/**
 * Service Connector: Microsoft.ServiceLinker/linkers of a managed cluster to a vault, with the Secrets Store CSI driver.
 *
 * Needs: the managed clusters, vaults, role assignments, operations.
 * Does: what Microsoft documents that the service does ("Use Service Connector in AKS"): enables the add-on, and lets the add-on's
 *       identity read secrets and certificates of the vault.
 * Never does: make a SecretProviderClass (the documents have the reader make it), or take back, when a linker is deleted, what it did.
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { ServicePrincipal } from '../entra/directory';
import { AzureError, badRequest } from '../errors';
import { describeIssues, type JsonObject } from '../json';
import type { Vault, VaultRegistry } from '../vault/registry';
import type { Clusters } from './clusters';
import { clusterBody, type ManagedCluster } from './managed-cluster';
import type { Operation, Operations } from './operations';
import type { ResourceProviders } from './resource-providers';
import type { RoleAssignments } from './role-assignments';
import { secretsProviderOf, withAddonEnabled, type AddonIdentity } from './secrets-provider';

/** Key Vault Secrets User, Key Vault Certificate User ("Microsoft Entra roles assigned by Service Connector"). */
const ROLES = ['4633458b-17de-408a-b874-0445c86b69e6', 'db79e9a7-68ee-4b58-9aeb-b90e7c24fcba'];
/** The same in a vault with access policies; what the service sets there is not documented. */
const READ = ['get', 'list'];

const propertiesSchema = z.looseObject({
  targetService: z.looseObject({
    type: z.literal('AzureResource'),
    id: z.string().min(1),
    resourceProperties: z
      .looseObject({ type: z.string(), connectAsKubernetesCsiDriver: z.boolean().nullish() })
      .nullish(),
  }),
  scope: z.string().nullish(),
});

/** A connection of a cluster. */
export interface Linker {
  readonly name: string;
  readonly vaultId: string;
  /** As it was sent. */
  readonly properties: JsonObject;
  provisioningState: 'Accepted' | 'Succeeded' | 'Failed' | 'Canceled' | 'Deleting';
}

/** What the service acts on. */
export interface LinkerSources {
  readonly clusters: Clusters;
  readonly operations: Operations;
  readonly registry: VaultRegistry;
  readonly assignments: RoleAssignments;
  readonly providers: ResourceProviders;
}

/** The connections of all clusters. */
export class Linkers {
  readonly #sources: LinkerSources;
  readonly #linkers = new Map<string, readonly Linker[]>();

  constructor(sources: LinkerSources) {
    this.#sources = sources;
  }

  /** Those of a cluster; one that was deleted and made anew has none. */
  of({ issuerUrl }: ManagedCluster): readonly Linker[] {
    // The URL is reserved for one life of a cluster.
    return this.#linkers.get(issuerUrl) ?? [];
  }

  find(cluster: ManagedCluster, name: string): Linker | undefined {
    return this.of(cluster).find((one) => one.name.toLowerCase() === name.toLowerCase());
  }

  /**
   * Creates or replaces a connection.
   * @throws AzureError 400; 409 while the cluster is busy, when another connection leads to the vault, and when the subscription is
   *         not registered for one of the two resource providers that do it
   */
  put(cluster: ManagedCluster, name: string, properties: JsonObject, caller: ServicePrincipal): Operation {
    const { providers } = this.#sources;
    const subscriptionId = cluster.id.split('/')[2] ?? '';
    providers.require(subscriptionId, 'Microsoft.ServiceLinker');
    const vault = this.#vaultOf(checkedTarget(name, properties));
    const other = this.of(cluster).find((one) => one.vaultId === vault.id && !sameName(one.name, name));
    const registered = providers.isRegistered(subscriptionId, 'Microsoft.KubernetesConfiguration');
    const busy = cluster.operation !== undefined || cluster.powerState === 'Stopped';
    if (busy || other !== undefined || !registered) throw conflict();
    const before = this.find(cluster, name);
    const linker: Linker = { name: before?.name ?? name, vaultId: vault.id, properties, provisioningState: 'Accepted' };
    this.#set(cluster, [...this.of(cluster).filter((one) => one !== before), linker]);
    return this.#start(cluster, linker, async () => {
      const identity = await this.#enabledAddon(cluster);
      this.#grant(vault, identity, caller);
    });
  }

  /** Deletes a connection. Grants, add-on and what is in the cluster stay. */
  delete(cluster: ManagedCluster, linker: Linker): Operation {
    linker.provisioningState = 'Deleting';
    return this.#start(cluster, linker, async () => {
      this.#set(
        cluster,
        this.of(cluster).filter((one) => one !== linker),
      );
    });
  }

  #start(cluster: ManagedCluster, linker: Linker, run: () => Promise<void>): Operation {
    return this.#sources.operations.start({
      resourceId: `${cluster.id}/providers/Microsoft.ServiceLinker/linkers/${linker.name}`,
      location: String(cluster.body['location']),
      run,
      failureCode: 'GeneralUserError',
      settled: (status) => {
        linker.provisioningState = status;
      },
    });
  }

  /** Enables the add-on by a PUT of the cluster, as any client does, unless it is on. */
  async #enabledAddon(cluster: ManagedCluster): Promise<AddonIdentity> {
    const { clusters, operations } = this.#sources;
    if (secretsProviderOf(cluster.body) === undefined) {
      if (cluster.operation !== undefined) throw conflict();
      const body = withAddonEnabled(clusterBody(cluster));
      const { operation } = clusters.put(cluster.resourceGroup, cluster.name, cluster.cloud, body);
      await operations.ended(operation.id);
    }
    const identity = secretsProviderOf(cluster.body)?.identity;
    if (identity !== undefined && cluster.provisioningState === 'Succeeded') return identity;
    const why = cluster.provisioningError?.message ?? `the managed cluster is ${cluster.provisioningState}`;
    throw new AzureError(400, 'GeneralUserError', `Execution failed. The add-on could not be enabled: ${why}`);
  }

  #grant(vault: Vault, identity: AddonIdentity, caller: ServicePrincipal): void {
    const { assignments } = this.#sources;
    if (vault.properties.enableRbacAuthorization !== true) {
      const others = vault.properties.accessPolicies.filter(({ objectId }) => objectId !== identity.objectId);
      const mine = vault.properties.accessPolicies.find(({ objectId }) => objectId === identity.objectId);
      const permissions = { ...mine?.permissions, secrets: READ, certificates: READ };
      const policy = { tenantId: vault.properties.tenantId, objectId: identity.objectId, permissions };
      vault.properties = { ...vault.properties, accessPolicies: [...others, policy] };
      return;
    }
    const held = assignments
      .forPrincipal(identity.objectId, vault.id)
      .filter(({ scope }) => scope.toLowerCase() === vault.id.toLowerCase());
    for (const roleGuid of ROLES.filter((guid) => !held.some((one) => one.roleGuid === guid))) {
      assignments.add({
        name: randomUUID(),
        scope: vault.id,
        roleGuid,
        principalId: identity.objectId,
        principalType: 'ServicePrincipal',
        createdOn: new Date(),
        createdBy: caller.objectId,
      });
    }
  }

  #vaultOf(id: string): Vault {
    const vault = this.#sources.registry
      .all()
      .find((one) => one.deletedAt === undefined && one.id.toLowerCase() === id.toLowerCase());
    if (vault !== undefined) return vault;
    throw badRequest(`The sandbox has no vault ${id} to connect to.`, 'SandboxLinkTargetNotFound');
  }

  #set({ issuerUrl }: ManagedCluster, linkers: readonly Linker[]): void {
    this.#linkers.set(issuerUrl, linkers);
  }
}

/** The id of the vault that is asked for. @throws AzureError 400 */
function checkedTarget(name: string, properties: JsonObject): string {
  if (!/^[A-Za-z0-9_.]{1,60}$/.test(name)) {
    throw badRequest(
      `The connection name '${name}' is not valid: 1 to 60 letters, digits, underscores and periods.`,
      'SandboxLinkerNameNotValid',
    );
  }
  const parsed = propertiesSchema.safeParse(properties);
  if (!parsed.success) throw badRequest(describeIssues(parsed.error), 'InvalidRequestContent');
  const { id, resourceProperties } = parsed.data.targetService;
  if (resourceProperties?.connectAsKubernetesCsiDriver === true) return id;
  throw badRequest(
    'The sandbox connects a managed cluster to a vault with the Secrets Store CSI driver only: targetService.resourceProperties.connectAsKubernetesCsiDriver must be true.',
    'SandboxLinkerNotServed',
  );
}

/** What the service says, without a reason (azure-cli#30296). */
function conflict(): AzureError {
  return new AzureError(
    409,
    'GeneralUserError',
    "Execution failed. Operation returned an invalid status code 'Conflict'",
  );
}

function sameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
