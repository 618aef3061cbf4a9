/**
 * Microsoft.Compute/virtualMachineScaleSets and virtualMachines in the node resource groups, as much as `az vmss identity` and
 * `az vm identity` ask for.
 */
import { Router, type Request } from 'express';
import { z } from 'zod';
import { badRequest, resourceNotFound } from '../errors';
import { describeIssues, type JsonObject } from '../json';
import type { Identities } from './identities';
import type { MachineType, NodeMachine, NodeMachines } from './node-machines';
import { pageOf } from './paging';
import type { ResourceGroups } from './resource-groups';

const patchSchema = z.looseObject({
  identity: z
    .looseObject({
      type: z.string(),
      // An id with null takes the identity away.
      userAssignedIdentities: z.record(z.string(), z.looseObject({}).nullable()).nullish(),
    })
    .optional(),
});

/** Lists, GET and PATCH of both types. */
export function nodeMachinesRouter(machines: NodeMachines, identities: Identities, groups: ResourceGroups): Router {
  const router = Router();
  for (const type of ['virtualMachineScaleSets', 'virtualMachines'] as const) {
    const everywhere = `/subscriptions/:subscription/providers/Microsoft.Compute/${type}`;
    const list = `/subscriptions/:subscription/resourceGroups/:group/providers/Microsoft.Compute/${type}`;

    router.get(everywhere, (request, response) => {
      response.json(
        pageOf(request, found(`/subscriptions/${String(request.params['subscription'])}`, type).map(bodyOf)),
      );
    });

    router.get(list, (request, response) => {
      response.json(pageOf(request, found(groups.idOf(String(request.params['group'])), type).map(bodyOf)));
    });

    router.get(`${list}/:name`, (request, response) => {
      response.json(bodyOf(required(request, type)));
    });

    router.patch(`${list}/:name`, (request, response) => {
      const machine = required(request, type);
      const parsed = patchSchema.safeParse(request.body);
      if (!parsed.success) throw badRequest(describeIssues(parsed.error), 'InvalidRequestContent');
      if (parsed.data.identity !== undefined) change(machine, parsed.data.identity);
      response.json(bodyOf(machine));
    });
  }

  function found(scope: string, type: MachineType): readonly NodeMachine[] {
    return machines.under(scope).filter((one) => one.type === type);
  }

  function required(request: Request, type: MachineType): NodeMachine {
    const [group, name] = [String(request.params['group']), String(request.params['name'])];
    const machine = found(groups.idOf(group), type).find((one) => one.name.toLowerCase() === name.toLowerCase());
    if (machine === undefined) throw resourceNotFound(`Microsoft.Compute/${type}`, name, group);
    return machine;
  }

  function change(machine: NodeMachine, identity: NonNullable<z.infer<typeof patchSchema>['identity']>): void {
    const types = identity.type.split(',').map((word) => word.trim());
    const given = Object.entries(identity.userAssignedIdentities ?? {});
    const added = given.filter(([, value]) => value !== null).map(([id]) => id);
    for (const id of added) {
      if (identities.find(id) === undefined) {
        throw badRequest(
          `The identity(s) '${id}' could not be found or are invalid. Verify that the identities exist and that they are in the tenant of the subscription.`,
          'FailedIdentityOperation',
        );
      }
    }
    const before = machines.userAssigned(machine).map(({ id }) => id);
    const gone = types.includes('UserAssigned') ? given.flatMap(([id, value]) => (value === null ? [id] : [])) : before;
    machines.unassign(machine, gone);
    if (!types.includes('SystemAssigned')) machines.unassignSystem(machine);
    machines.assign(machine, added, types.includes('SystemAssigned'));
  }

  function bodyOf(machine: NodeMachine): JsonObject {
    const { id, name, type, cluster, pool } = machine;
    return {
      id,
      name,
      type: `Microsoft.Compute/${type}`,
      location: cluster.body['location'],
      tags: { 'aks-managed-poolName': String(pool['name']) },
      identity: identityOf(machine),
      ...(type === 'virtualMachineScaleSets'
        ? { sku: { name: pool['vmSize'], tier: 'Standard', capacity: pool['count'] } }
        : {}),
      properties: {
        provisioningState: 'Succeeded',
        ...(type === 'virtualMachineScaleSets'
          ? { upgradePolicy: { mode: 'Manual' }, orchestrationMode: 'Uniform' }
          : { hardwareProfile: { vmSize: pool['vmSize'] } }),
      },
    };
  }

  function identityOf(machine: NodeMachine): JsonObject {
    const user = machines.userAssigned(machine);
    const system = machines.systemAssigned(machine);
    const types = [...(system === undefined ? [] : ['SystemAssigned']), ...(user.length === 0 ? [] : ['UserAssigned'])];
    return {
      type: types.join(', ') || 'None',
      ...(system === undefined ? {} : { principalId: system.objectId, tenantId: groups.tenantId }),
      ...(user.length === 0
        ? {}
        : {
            userAssignedIdentities: Object.fromEntries(
              user.map(({ id, principal }) => [id, { clientId: principal.appId, principalId: principal.objectId }]),
            ),
          }),
    };
  }

  return router;
}
