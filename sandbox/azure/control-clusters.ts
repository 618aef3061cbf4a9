/**
 * What the control API shows of clusters and does to them, past Azure.
 *
 * Needs: the managed clusters.
 * Does: seeds a cluster, saves and restores its etcd, rotates its certificates, restarts its API servers, counts the requests that it answered, shows what its API servers really run with.
 * Never does: show a kubeconfig, or change what ARM knows.
 */
import { Router } from 'express';
import { z } from 'zod';
import { UnknownSnapshotError, type SandboxCluster } from '../cluster/contract';
import type { Clusters } from './arm/clusters';
import type { ManagedCluster } from './arm/managed-cluster';
import type { JsonObject } from './json';

/** Fills a cluster with Secrets; gets the body of the request as it came, and answers what it did. */
export type SeedFunction = (cluster: SandboxCluster, body: unknown) => Promise<unknown>;

/** A refusal with a sentence. */
export class ControlError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const nothing = z.strictObject({});
const restoreSchema = z.strictObject({ snapshot: z.string().min(1) });

/** Routes below `/clusters`. Without `seed` there is no seed route. */
export function clusterControls(clusters: Clusters, seed?: SeedFunction): Router {
  const router = Router();
  if (seed !== undefined) {
    router.post('/:name/seed', async (request, response) => {
      response.json(await seed(running(clusters, request.params.name), request.body ?? {}));
    });
  }

  router.post('/:name/snapshots', async (request, response) => {
    nothing.parse(request.body ?? {});
    const cluster = running(clusters, request.params.name);
    response.status(201).json({ snapshot: await cluster.snapshot() });
  });

  router.post('/:name/restore', async (request, response) => {
    const { snapshot } = restoreSchema.parse(request.body ?? {});
    const cluster = running(clusters, request.params.name);
    try {
      await cluster.restore(snapshot);
    } catch (error) {
      if (error instanceof UnknownSnapshotError) throw new ControlError(404, error.message);
      throw error;
    }
    response.json({ snapshot });
  });

  router.post('/:name/rotate-certificates', async (request, response) => {
    nothing.parse(request.body ?? {});
    await running(clusters, request.params.name).rotateCertificates();
    response.json({});
  });

  router.post('/:name/restart-servers', async (request, response) => {
    nothing.parse(request.body ?? {});
    await running(clusters, request.params.name).restartServers();
    response.json({});
  });

  router.get('/:name/secret-requests', async (request, response) => {
    response.json(await running(clusters, request.params.name).secretRequests());
  });

  return router;
}

/** One cluster in `/state`. */
export function clusterState(cluster: ManagedCluster): JsonObject {
  return {
    id: cluster.id,
    name: cluster.name,
    kubernetesVersion: cluster.release.patch,
    provisioningState: cluster.provisioningState,
    powerState: cluster.powerState,
    // Whether its API servers run with VNet integration; the resource says only what was asked for.
    vnetIntegrated: cluster.vnetIntegrated,
    etag: cluster.etag,
    // What its service account tokens name; undefined for the issuer inside the cluster.
    issuer: cluster.issuer,
    // What the API servers are to run with: the oracle for the slots, which Azure does not show.
    encryption: cluster.applied,
    etcdUrl: cluster.running?.etcdUrl,
    traffic: cluster.running?.traffic(),
    servers: cluster.running?.servers(),
  };
}

/** @throws ControlError 404 when there is no such cluster, or it was not made yet */
function running(clusters: Clusters, name: string): SandboxCluster {
  const cluster = clusters.all().find((candidate) => candidate.name.toLowerCase() === name.toLowerCase());
  if (cluster?.running === undefined) throw new ControlError(404, `There is no running cluster ${name}.`);
  return cluster.running;
}
