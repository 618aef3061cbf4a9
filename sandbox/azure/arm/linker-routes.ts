/** The HTTP face of Microsoft.ServiceLinker/linkers below a managed cluster. */
import { Router } from 'express';
import { resourceNotFound } from '../errors';
import { objectAt, type JsonObject } from '../json';
import { callerOf } from './authentication';
import type { Clusters } from './clusters';
import type { Linker, Linkers } from './linkers';
import { MANAGED_CLUSTERS, type ManagedCluster } from './managed-cluster';
import type { Operations } from './operations';

const TYPE = 'Microsoft.ServiceLinker/linkers';

/** PUT, GET, list and DELETE. */
export function linkersRouter(linkers: Linkers, clusters: Clusters, operations: Operations): Router {
  const router = Router();
  const list = `/subscriptions/:subscription/resourceGroups/:group/providers/${MANAGED_CLUSTERS}/:cluster/providers/${TYPE}`;

  router.put(`${list}/:name`, (request, response) => {
    const cluster = required(request.params);
    const { name } = request.params;
    const known = linkers.find(cluster, name) !== undefined;
    const operation = linkers.put(cluster, name, objectAt(request.body, 'properties'), callerOf(response));
    const made = linkers.find(cluster, name);
    response
      .status(known ? 200 : 201)
      .set(operations.headersFor(operation, request))
      .json(made === undefined ? {} : bodyOf(cluster, made));
  });

  router.get(list, (request, response) => {
    const cluster = required(request.params);
    response.json({ value: linkers.of(cluster).map((linker) => bodyOf(cluster, linker)) });
  });

  router.get(`${list}/:name`, (request, response) => {
    const { group, name } = request.params;
    const cluster = required(request.params);
    const linker = linkers.find(cluster, name);
    if (linker === undefined) throw resourceNotFound(TYPE, name, group);
    response.json(bodyOf(cluster, linker));
  });

  router.delete(`${list}/:name`, (request, response) => {
    const cluster = required(request.params);
    const linker = linkers.find(cluster, request.params.name);
    if (linker === undefined) {
      response.status(204).end();
      return;
    }
    const operation = linkers.delete(cluster, linker);
    response
      .status(202)
      .set(operations.headersFor(operation, request, { final: true }))
      .end();
  });

  function required({ group, cluster: name }: Record<'group' | 'cluster', string>): ManagedCluster {
    const cluster = clusters.find(group, name);
    if (cluster !== undefined) return cluster;
    throw resourceNotFound(MANAGED_CLUSTERS, name, group);
  }

  return router;
}

function bodyOf({ id }: ManagedCluster, { name, properties, provisioningState }: Linker): JsonObject {
  return {
    id: `${id}/providers/${TYPE}/${name}`,
    name,
    type: TYPE.toLowerCase(),
    properties: { ...properties, provisioningState },
  };
}
