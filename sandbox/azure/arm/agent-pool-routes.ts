/** The HTTP face of a managed cluster's agent pools: listed, read, and PUT one at a time, as `az aks nodepool upgrade` does. */
import { Router } from 'express';
import { AzureError, resourceNotFound } from '../errors';
import { objectAt, type JsonObject } from '../json';
import type { Clusters } from './clusters';
import { clusterBody, MANAGED_CLUSTERS, type ManagedCluster } from './managed-cluster';
import type { Operations } from './operations';
import { pageOf } from './paging';
import { poolsOf } from './agent-pools';
import { checkNotBusy, checkPreconditions } from './preconditions';

/** Routes below `/agentPools`. */
export function agentPoolsRouter(clusters: Clusters, operations: Operations): Router {
  const router = Router();
  const list = `/subscriptions/:subscription/resourceGroups/:group/providers/${MANAGED_CLUSTERS}/:name/agentPools`;

  router.get(list, (request, response) => {
    const cluster = required(request.params);
    response.json(
      pageOf(
        request,
        poolsOf(clusterBody(cluster)).map((pool) => resourceOf(cluster, pool)),
      ),
    );
  });

  router.get(`${list}/:pool`, (request, response) => {
    const cluster = required(request.params);
    const pool = findPool(cluster, request.params.pool);
    if (pool !== undefined) {
      response.json(resourceOf(cluster, pool));
      return;
    }
    throw new AzureError(404, 'NotFound', `Could not find the agent pool ${request.params.pool} of ${cluster.name}.`, {
      shape: 'bare',
    });
  });

  router.put(`${list}/:pool`, (request, response) => {
    const cluster = required(request.params);
    const before = findPool(cluster, request.params.pool);
    checkPreconditions(
      request,
      before === undefined ? undefined : { name: String(before['name']), etag: String(before['eTag']) },
    );
    checkNotBusy(cluster);
    const operation = clusters.putPool(cluster, request.params.pool, objectAt(request.body, 'properties'));
    const pool = findPool(cluster, request.params.pool) ?? {};
    response
      .status(before === undefined ? 201 : 200)
      .set(operations.headersFor(operation, request))
      .json(resourceOf(cluster, pool));
  });

  function required(params: Record<'group' | 'name', string>): ManagedCluster {
    const cluster = clusters.find(params.group, params.name);
    if (cluster !== undefined) return cluster;
    throw resourceNotFound(MANAGED_CLUSTERS, params.name, params.group);
  }

  return router;
}

function findPool(cluster: ManagedCluster, name: string): JsonObject | undefined {
  return poolsOf(clusterBody(cluster)).find((pool) => String(pool['name']).toLowerCase() === name.toLowerCase());
}

function resourceOf(cluster: ManagedCluster, { name, ...properties }: JsonObject): JsonObject {
  return {
    id: `${cluster.id.replace('/resourceGroups/', '/resourcegroups/')}/agentPools/${String(name)}`,
    name,
    type: 'Microsoft.ContainerService/managedClusters/agentPools',
    properties,
  };
}
