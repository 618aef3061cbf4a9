/** The HTTP face of Microsoft.ContainerService/managedClusters. */
import { Router, type Request, type Response } from 'express';
import { hostRole } from '../clouds';
import { AzureError, badRequest, resourceNotFound } from '../errors';
import type { Faults } from '../faults';
import { isJsonObject, objectAt } from '../json';
import type { Clusters } from './clusters';
import { kubernetesVersionsBody } from './kubernetes-versions';
import { clusterBody, MANAGED_CLUSTERS, type ManagedCluster } from './managed-cluster';
import type { Operation, Operations } from './operations';
import { pageOf } from './paging';
import { checkNotBusy, checkPreconditions } from './preconditions';
import { upgradeProfileBody } from './upgrade-profile';

/** Routes of managed clusters. Marks accepted KMS changes in `response.locals.kms` for the journal. */
export function clustersRouter(clusters: Clusters, operations: Operations, faults: Faults): Router {
  const router = Router();
  const list = `/subscriptions/:subscription/resourceGroups/:group/providers/${MANAGED_CLUSTERS}`;
  const one = `${list}/:name`;
  const everywhere = `/subscriptions/:subscription/providers/${MANAGED_CLUSTERS}`;

  router.get([list, everywhere], (request, _response, next) => {
    if (faults.about('refuse-list', request.path)) {
      throw new AzureError(
        403,
        'AuthorizationFailed',
        `The client does not have authorization to perform action '${MANAGED_CLUSTERS}/read' over scope '${request.path.split('/providers/')[0]}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
      );
    }
    next();
  });

  router.put([one, `${one}/agentPools/:pool`], (request, response, next) => {
    const refusal = faults.takeOnce('refuse-put', request.path);
    if (refusal === undefined) next();
    else response.status(refusal.status).json(refusal.body);
  });

  router.get(list, (request, response) => {
    const { group } = request.params;
    const found = clusters.all().filter(({ resourceGroup }) => resourceGroup.toLowerCase() === group.toLowerCase());
    response.json(pageOf(request, found.map(clusterBody)));
  });

  router.get(everywhere, (request, response) => {
    const under = `/subscriptions/${request.params.subscription}/`.toLowerCase();
    const found = clusters.all().filter(({ id }) => id.toLowerCase().startsWith(under));
    response.json(pageOf(request, found.map(clusterBody)));
  });

  router.get(one, (request, response) => {
    response.json(clusterBody(required(request.params)));
  });

  router.get(`${one}/upgradeProfiles/default`, (request, response) => {
    response.json(upgradeProfileBody(required(request.params)));
  });

  const versions = '/subscriptions/:subscription/providers/Microsoft.ContainerService/locations/:location';
  router.get(`${versions}/kubernetesVersions`, (_request, response) => {
    response.json(kubernetesVersionsBody());
  });

  router.put(one, async (request, response) => {
    const { group, name } = request.params;
    await clusters.checkSecretsProviderUnused(clusters.find(group, name), request.body);
    // Nothing below waits: what is checked here holds until the change is accepted.
    const existing = clusters.find(group, name);
    checkPreconditions(request, existing);
    checkNotBusy(existing);
    const cloud = hostRole(request.hostname)?.cloud;
    if (cloud === undefined) throw badRequest(`${request.hostname} is not a host of ARM.`);
    const { cluster, operation, created, kmsChanged } = clusters.put(group, requireName(name), cloud, request.body);
    response.locals['kms'] = kmsChanged;
    response
      .status(created ? 201 : 200)
      .set(operations.headersFor(operation, request))
      .json(clusterBody(cluster));
  });

  router.patch(one, (request, response) => {
    const cluster = required(request.params);
    checkPreconditions(request, cluster);
    checkNotBusy(cluster);
    const { tags, ...others } = isJsonObject(request.body) ? request.body : {};
    if (!isJsonObject(tags) || Object.keys(others).length > 0) {
      throw badRequest('PATCH of a managed cluster takes tags, and nothing else.', 'InvalidParameter', {
        shape: 'bare',
      });
    }
    const operation = clusters.patchTags(cluster, tags);
    response.set(operations.headersFor(operation, request)).json(clusterBody(cluster));
  });

  router.delete(one, (request, response) => {
    const cluster = clusters.find(request.params.group, request.params.name);
    if (cluster === undefined) {
      response.status(204).end();
      return;
    }
    checkPreconditions(request, cluster);
    checkNotBusy(cluster);
    accept(clusters.delete(cluster), request, response);
  });

  router.post(`${one}/stop`, async (request, response) => {
    const cluster = required(request.params);
    checkNotBusy(cluster);
    await clusters.checkStop(cluster);
    // Another request may have come first while the webhooks were read.
    checkNotBusy(cluster);
    accept(clusters.stop(cluster), request, response);
  });

  router.post(`${one}/start`, (request, response) => {
    const cluster = required(request.params);
    checkNotBusy(cluster);
    accept(clusters.start(cluster), request, response);
  });

  router.post(`${one}/abort`, (request, response) => {
    accept(clusters.abort(required(request.params)), request, response);
  });

  router.post(`${one}/listClusterAdminCredential`, (request, response) => {
    const cluster = required(request.params);
    if (objectAt(cluster.body, 'properties')['disableLocalAccounts'] === true) {
      throw badRequest(
        'Getting static credential is not allowed because this cluster is set to disable local accounts.',
        'BadRequest',
        { shape: 'bare' },
      );
    }
    response.json(
      credential('clusterAdmin', cluster, faults.about('unreachable-api-server', cluster.id) !== undefined),
    );
  });

  router.post(`${one}/listClusterUserCredential`, (request, response) => {
    response.json(credential('clusterUser', required(request.params)));
  });

  /** 202 with an empty body: the form of operations that return no resource. */
  function accept(operation: Operation, request: Request, response: Response): void {
    response
      .status(202)
      .set(operations.headersFor(operation, request, { final: true }))
      .end();
  }

  function required(params: Record<'group' | 'name', string>): ManagedCluster {
    const cluster = clusters.find(params.group, params.name);
    if (cluster !== undefined) return cluster;
    clusters.requireGroup(params.group);
    throw resourceNotFound(MANAGED_CLUSTERS, params.name, params.group);
  }

  return router;
}

/** The port of the discard protocol: no API server is there. */
const NO_API_SERVER = 'https://127.0.0.1:9';

function credential(name: string, cluster: ManagedCluster, unreachable = false): Record<string, unknown> {
  if (cluster.running === undefined) {
    throw new AzureError(
      409,
      'SandboxClusterHasNoApiServer',
      `The managed cluster ${cluster.name} is ${cluster.provisioningState} and has no API server to make a kubeconfig for.`,
      { shape: 'bare' },
    );
  }
  // The sandbox has one way into a cluster; az tells by the user's name whether a kubeconfig is the administrator's.
  const named = cluster.running.adminKubeconfig.replaceAll(
    `clusterAdmin_${cluster.name}`,
    `${name}_${cluster.resourceGroup}_${cluster.name}`,
  );
  const kubeconfig = unreachable ? named.replace(/(server:\s*"?)https:[^\s"]+/, `$1${NO_API_SERVER}`) : named;
  const value = Buffer.from(kubeconfig).toString('base64');
  return { kubeconfigs: [{ name, value }] };
}

function requireName(name: string): string {
  if (/^[a-zA-Z0-9](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?$/.test(name)) return name;
  throw badRequest(
    `The managed cluster name '${name}' is not valid: 1 to 63 letters, digits, underscores and hyphens, with a letter or digit at both ends.`,
    'InvalidParameter',
    { shape: 'bare' },
  );
}
