/**
 * One local Azure: tenant, subscriptions, ARM, Key Vault and Entra behind one HTTP handler.
 *
 * Needs: a cluster factory and a directory for the clusters' data.
 * Does: makes the parts and sends each request to the part that its host name means.
 * Never does: listen. The proxy does.
 */
import { randomUUID } from 'node:crypto';
import express, { type Express, type Request, type Response } from 'express';
import type { ClusterFactory } from '../cluster/contract';
import { messageOf } from '../message-of';
import { createServiceNow, SERVICE_NOW_HOST, type ServiceNow } from '../servicenow/servicenow';
import { Clusters } from './arm/clusters';
import { DiagnosticSettings } from './arm/diagnostic-settings';
import { InstanceIdentities } from './arm/instance-identities';
import { issuersRouter } from './arm/issuer-routes';
import { Linkers } from './arm/linkers';
import { NodeMachines } from './arm/node-machines';
import { NodeNetworks } from './arm/node-networks';
import { Identities } from './arm/identities';
import { Operations } from './arm/operations';
import { PrivateEndpoints } from './arm/private-endpoints';
import { ResourceGroups } from './arm/resource-groups';
import { ResourceProviders } from './arm/resource-providers';
import { RoleAssignments } from './arm/role-assignments';
import { armRouter } from './arm/router';
import { hostRole } from './clouds';
import { Directory } from './entra/directory';
import { DeviceCodes } from './entra/device-codes';
import { entraRouter } from './entra/entra';
import { FederatedCredentials } from './entra/federated-credentials';
import { graphRouter } from './entra/graph';
import { TokenService } from './entra/tokens';
import { AzureError } from './errors';
import { Faults } from './faults';
import { Journal } from './journal';
import { recorder } from './recorder';
import { stalledResponses } from './stalled-responses';
import { blobRouter } from './storage/blob-router';
import { BlobContainers } from './storage/containers';
import { VaultRegistry } from './vault/registry';
import { vaultRouter } from './vault/router';

/** What an Azure is made from. */
export interface AzureOptions {
  readonly clusterFactory: ClusterFactory;
  /** Where clusters keep their data. */
  readonly dataDirectory: string;
  /** `Retry-After` of long-running operations, in seconds. */
  readonly retryAfterInSeconds: number;
}

/** A local Azure. */
export interface Azure {
  readonly tenantId: string;
  readonly subscriptionId: string;
  /** A second one, of the same tenant. */
  readonly otherSubscriptionId: string;
  readonly directory: Directory;
  readonly tokens: TokenService;
  /** People who sign in. */
  readonly deviceCodes: DeviceCodes;
  readonly registry: VaultRegistry;
  readonly clusters: Clusters;
  /** What IMDS answers on nodes. */
  readonly instanceIdentities: InstanceIdentities;
  readonly operations: Operations;
  readonly journal: Journal;
  readonly faults: Faults;
  /** Of vaults, with what they log. */
  readonly diagnostics: DiagnosticSettings;
  /** No part of Azure: where changes are kept. */
  readonly serviceNow: ServiceNow;
  /** Handles the requests of every host. */
  readonly handler: Express;
  /** Cancels what is held, waits for what runs, ends the clusters. */
  close(): Promise<void>;
}

/** Makes an empty Azure: a tenant and two subscriptions with nothing in them. */
export async function createAzure(options: AzureOptions): Promise<Azure> {
  const tenantId = randomUUID();
  const [subscriptionId, otherSubscriptionId] = [randomUUID(), randomUUID()];
  const directory = new Directory(tenantId);
  const tokens = await TokenService.create(directory);
  const deviceCodes = new DeviceCodes(tokens);
  const faults = new Faults();
  const journal = new Journal();
  const groups = new ResourceGroups([subscriptionId, otherSubscriptionId], tenantId);
  const identities = new Identities();
  const federations = new FederatedCredentials();
  const assignments = new RoleAssignments();
  const endpoints = new PrivateEndpoints();
  const registry = new VaultRegistry();
  const diagnostics = new DiagnosticSettings();
  const operations = new Operations(faults, options.retryAfterInSeconds);
  const clusters = new Clusters({
    factory: options.clusterFactory,
    directory,
    groups,
    identities,
    federations,
    registry,
    assignments,
    endpoints,
    operations,
    faults,
    journal,
    audit: (call) => diagnostics.log(call),
    dataDirectory: options.dataDirectory,
  });

  const machines = new NodeMachines({ clusters, identities, directory });
  const providers = new ResourceProviders();
  const linkers = new Linkers({ clusters, operations, registry, assignments, providers });

  const arm = armRouter({
    directory,
    tokens,
    faults,
    groups,
    identities,
    federations,
    machines,
    linkers,
    providers,
    assignments,
    endpoints,
    registry,
    clusters,
    operations,
    diagnostics,
  });
  const routers = {
    arm,
    login: entraRouter(
      { directory, federations, issuerKeys: async (issuer) => clusters.findByIssuer(issuer)?.running?.tokenKeys() },
      tokens,
      deviceCodes,
    ),
    graph: graphRouter(directory, tokens),
    issuer: issuersRouter(clusters),
    blob: blobRouter(new BlobContainers(), tokens, tenantId),
    vault: vaultRouter({
      registry,
      tokens,
      assignments,
      networks: new NodeNetworks({ clusters, endpoints }),
      tenantId,
      faults,
      audit: (call) => diagnostics.log(call),
    }),
  };

  const serviceNow = createServiceNow();
  const handler = express();
  handler.disable('x-powered-by');
  handler.disable('etag'); // Express's own; Azure's etags are in the bodies.
  handler.use(recorder(journal, faults));
  handler.use(stalledResponses(faults));
  handler.use((request, response, next) => {
    if (request.hostname.toLowerCase() === SERVICE_NOW_HOST) {
      serviceNow.router(request, response, next);
      return;
    }
    const role = hostRole(request.hostname ?? '');
    if (role === undefined) {
      throw new AzureError(421, 'SandboxHostNotServed', `The sandbox does not serve the host '${request.hostname}'.`);
    }
    routers[role.kind](request, response, next);
  });
  handler.use(sendError);

  return {
    tenantId,
    subscriptionId,
    otherSubscriptionId,
    directory,
    tokens,
    deviceCodes,
    registry,
    clusters,
    instanceIdentities: new InstanceIdentities({ clusters, machines, tokens }),
    operations,
    journal,
    faults,
    diagnostics,
    serviceNow,
    handler,
    async close() {
      await operations.close();
      await clusters.close();
    },
  };
}

/** Express knows an error handler by its four parameters. */
function sendError(error: unknown, _request: Request, response: Response, _next: unknown): void {
  const azureError = asAzureError(error);
  response
    .status(azureError.status)
    .set({ ...azureError.options.headers })
    .json(azureError.toBody());
}

function asAzureError(error: unknown): AzureError {
  if (error instanceof AzureError) return error;
  const message = messageOf(error);
  // body-parser's errors carry the status that they mean.
  const status = (error as { status?: unknown }).status;
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new AzureError(status, 'InvalidRequestContent', `The request content was invalid: ${message}`);
  }
  return new AzureError(500, 'SandboxInternalError', `The sandbox itself failed, this is not Azure: ${message}`);
}
