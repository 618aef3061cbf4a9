/**
 * The machines of a cluster's nodes, in ARM (Microsoft.Compute): the scale sets and virtual machines of its node resource group, as far as
 * identities go.
 *
 * Does: reads which identities they have, and adds a user-assigned one, as `az vmss identity assign` and `az vm identity assign` do.
 * Never does: take an identity away, or change anything else of a machine. Instances get an identity of their scale set without an upgrade.
 */
import { z } from 'zod';
import type { NodeGroup } from '../domain/csi/facts';
import type { ArmClient } from './arm';
import { allPages } from './arm-pages';
import type { CallOptions } from './call-options';

const API_VERSION = '2024-11-01';
const TYPES = ['virtualMachineScaleSets', 'virtualMachines'] as const;

const Machine = z.looseObject({
  id: z.string(),
  /** Fences a write; older machines show none. */
  etag: z.string().nullish(),
  identity: z
    .looseObject({
      type: z.string().nullish(),
      principalId: z.string().nullish(),
      userAssignedIdentities: z.record(z.string(), z.unknown()).nullish(),
    })
    .nullish(),
});

/** Where the nodes of a cluster are. */
export interface NodePlace {
  readonly subscriptionId: string;
  /** The node resource group. */
  readonly resourceGroup: string;
}

/** What Keyturn asks of machines. Everything throws `ArmError` or `TokenError`. */
export interface NodeMachines {
  /** All of a node resource group. */
  list(place: NodePlace, options?: CallOptions): Promise<NodeGroup[]>;
  /**
   * Adds a user-assigned identity beside those that the machine has then.
   * @param id ARM id of the scale set or machine
   * @returns the URL of ARM's long-running operation, when ARM gave one that is its own
   */
  addIdentity(id: string, identityId: string, options?: CallOptions): Promise<{ operationUrl?: string }>;
}

/** @param arm sends the requests */
export function createNodeMachines(arm: ArmClient): NodeMachines {
  return {
    async list({ subscriptionId, resourceGroup }, { abortSignal } = {}) {
      const found: NodeGroup[] = [];
      for (const type of TYPES) {
        const base = `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/${type}`;
        found.push(...(await allPages(arm, `${base}?api-version=${API_VERSION}`, Machine, abortSignal)).map(observed));
      }
      return found;
    },

    async addIdentity(id, identityId, { abortSignal } = {}) {
      const url = `${id}?api-version=${API_VERSION}`;
      const { identity, etag } = Machine.parse((await arm.request({ method: 'GET', url, abortSignal })).body);
      const before = Object.keys(identity?.userAssignedIdentities ?? {});
      // `type` is replaced by a PATCH: without the word the system-assigned identity would go.
      const system = identity?.type?.includes('SystemAssigned') === true ? 'SystemAssigned, ' : '';
      const response = await arm.request({
        method: 'PATCH',
        url,
        body: {
          identity: {
            type: `${system}UserAssigned`,
            userAssignedIdentities: Object.fromEntries([...before, identityId].map((one) => [one, {}])),
          },
        },
        ...(etag ? { ifMatch: etag } : {}),
        abortSignal,
      });
      const operationUrl = response.header('azure-asyncoperation');
      return operationUrl !== undefined && arm.owns(operationUrl) ? { operationUrl } : {};
    },
  };
}

function observed({ id, identity }: z.infer<typeof Machine>): NodeGroup {
  const { principalId, userAssignedIdentities } = identity ?? {};
  return {
    resourceId: id,
    identities: Object.keys(userAssignedIdentities ?? {}),
    ...(principalId ? { systemAssigned: principalId } : {}),
  };
}
