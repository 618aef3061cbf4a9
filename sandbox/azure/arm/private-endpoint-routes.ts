/** The HTTP face of private endpoints: Microsoft.Network/privateEndpoints, and the connections below a vault. */
import { Router } from 'express';
import { z } from 'zod';
import { badRequest, resourceNotFound } from '../errors';
import { describeIssues, objectAt, type JsonObject } from '../json';
import { vaultHost, type Vault, type VaultRegistry } from '../vault/registry';
import { connectionName, type PrivateEndpoint, type PrivateEndpoints } from './private-endpoints';
import type { ResourceGroups } from './resource-groups';

const ENDPOINTS = 'Microsoft.Network/privateEndpoints';
const CONNECTIONS = 'Microsoft.KeyVault/vaults/privateEndpointConnections';

const connectionSchema = z.looseObject({
  properties: z.looseObject({ privateLinkServiceId: z.string(), groupIds: z.array(z.string()).default([]) }),
});
const putSchema = z.looseObject({
  location: z.string().min(1),
  properties: z.looseObject({
    subnet: z.looseObject({ id: z.string() }).optional(),
    privateLinkServiceConnections: z.tuple([connectionSchema]),
  }),
});
const statusSchema = z.looseObject({
  status: z.enum(['Approved', 'Pending', 'Rejected']),
  description: z.string().default(''),
});

/** Routes of private endpoints and of vaults' connections. */
export function privateEndpointsRouter(
  endpoints: PrivateEndpoints,
  groups: ResourceGroups,
  registry: VaultRegistry,
): Router {
  const router = Router();
  const list = `/subscriptions/:subscription/resourceGroups/:group/providers/${ENDPOINTS}`;
  const connections =
    '/subscriptions/:subscription/resourceGroups/:group/providers/Microsoft.KeyVault/vaults/:vault/privateEndpointConnections';

  router.put(`${list}/:name`, (request, response) => {
    const { group, name } = request.params;
    const parsed = putSchema.safeParse(request.body);
    if (!parsed.success) throw badRequest(describeIssues(parsed.error), 'InvalidRequestContent');
    const { subnet, privateLinkServiceConnections } = parsed.data.properties;
    const { privateLinkServiceId } = privateLinkServiceConnections[0].properties;
    const vault = vaultOf(privateLinkServiceId);
    if (vault === undefined) {
      throw badRequest(`The sandbox has no vault ${privateLinkServiceId} to connect to.`, 'SandboxLinkTargetNotFound');
    }
    const id = `${groups.idOf(groups.require(group).name)}/providers/${ENDPOINTS}/${name}`;
    const before = endpoints.find(id);
    // Only administrators come here, and they approve what they make.
    const endpoint: PrivateEndpoint = before ?? {
      id,
      name,
      location: parsed.data.location,
      vaultId: vault.id,
      subnetId: subnet?.id,
      status: 'Approved',
      description: '',
    };
    endpoints.put(endpoint);
    response.status(before === undefined ? 201 : 200).json(bodyOf(endpoint));
  });

  router.get(list, (request, response) => {
    const under = `${groups.idOf(request.params.group)}/`.toLowerCase();
    const found = endpoints.all().filter(({ id }) => id.toLowerCase().startsWith(under));
    response.json({ value: found.map(bodyOf) });
  });

  router.get(`/subscriptions/:subscription/providers/${ENDPOINTS}`, (request, response) => {
    const under = `/subscriptions/${request.params.subscription}/`.toLowerCase();
    const found = endpoints.all().filter(({ id }) => id.toLowerCase().startsWith(under));
    response.json({ value: found.map(bodyOf) });
  });

  router.get(`${list}/:name`, (request, response) => {
    const { group, name } = request.params;
    const endpoint = endpoints.find(`${groups.idOf(group)}/providers/${ENDPOINTS}/${name}`);
    if (endpoint === undefined) throw resourceNotFound(ENDPOINTS, name, group);
    response.json(bodyOf(endpoint));
  });

  router.delete(`${list}/:name`, (request, response) => {
    const { group, name } = request.params;
    const endpoint = endpoints.find(`${groups.idOf(group)}/providers/${ENDPOINTS}/${name}`);
    if (endpoint !== undefined) endpoints.remove(endpoint);
    response.status(endpoint === undefined ? 204 : 200).end();
  });

  router.get(connections, (request, response) => {
    const { subscription, group, vault } = request.params;
    const id = `/subscriptions/${subscription}/resourceGroups/${group}/providers/Microsoft.KeyVault/vaults/${vault}`;
    response.json({ value: endpoints.to(id).map(connectionBody) });
  });

  router.get(`${connections}/:name`, (request, response) => {
    response.json(connectionBody(connection(request.params)));
  });

  router.put(`${connections}/:name`, (request, response) => {
    const endpoint = connection(request.params);
    const parsed = statusSchema.safeParse(objectAt(request.body, 'properties', 'privateLinkServiceConnectionState'));
    if (!parsed.success) throw badRequest(describeIssues(parsed.error), 'InvalidRequestContent');
    const { status, description } = parsed.data;
    const decided = { ...endpoint, status, description };
    endpoints.put(decided);
    response.json(connectionBody(decided));
  });

  router.delete(`${connections}/:name`, (request, response) => {
    endpoints.remove(connection(request.params));
    response.status(200).end();
  });

  function connection(params: Record<'subscription' | 'group' | 'vault' | 'name', string>): PrivateEndpoint {
    const { subscription, group, vault, name } = params;
    const id = `/subscriptions/${subscription}/resourceGroups/${group}/providers/Microsoft.KeyVault/vaults/${vault}`;
    const found = endpoints.to(id).find((one) => connectionName(one) === name.toLowerCase());
    if (found === undefined) throw resourceNotFound(CONNECTIONS, name, group);
    return found;
  }

  function vaultOf(id: string): Vault | undefined {
    return registry.all().find((one) => one.deletedAt === undefined && one.id.toLowerCase() === id.toLowerCase());
  }

  function bodyOf(endpoint: PrivateEndpoint): JsonObject {
    const { id, name, location, vaultId, subnetId, status, description } = endpoint;
    const vault = vaultOf(vaultId);
    return {
      id,
      name,
      type: ENDPOINTS,
      location,
      properties: {
        provisioningState: 'Succeeded',
        privateLinkServiceConnections: [
          {
            id: `${id}/privateLinkServiceConnections/${name}`,
            name,
            type: `${ENDPOINTS}/privateLinkServiceConnections`,
            properties: {
              provisioningState: 'Succeeded',
              privateLinkServiceId: vaultId,
              groupIds: ['vault'],
              privateLinkServiceConnectionState: { status, description, actionsRequired: 'None' },
            },
          },
        ],
        manualPrivateLinkServiceConnections: [],
        ...(subnetId === undefined ? {} : { subnet: { id: subnetId } }),
        networkInterfaces: [],
        customDnsConfigs: vault === undefined ? [] : [{ fqdn: vaultHost(vault), ipAddresses: ['10.226.0.4'] }],
      },
    };
  }

  return router;
}

/** A connection as it is shown below its vault and in the vault's own body. */
export function connectionBody(endpoint: PrivateEndpoint): JsonObject {
  const { id, vaultId, status, description } = endpoint;
  return {
    id: `${vaultId}/privateEndpointConnections/${connectionName(endpoint)}`,
    name: connectionName(endpoint),
    type: CONNECTIONS,
    properties: {
      provisioningState: 'Succeeded',
      privateEndpoint: { id },
      privateLinkServiceConnectionState: { status, description, actionsRequired: 'None' },
    },
  };
}
