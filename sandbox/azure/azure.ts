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
import { Clusters } from './arm/clusters';
import { DiagnosticSettings } from './arm/diagnostic-settings';
import { Identities } from './arm/identities';
import { Operations } from './arm/operations';
import { PrivateEndpoints } from './arm/private-endpoints';
import { ResourceGroups } from './arm/resource-groups';
import { RoleAssignments } from './arm/role-assignments';
import { armRouter } from './arm/router';
import { hostRole } from './clouds';
import { Directory } from './entra/directory';
import { entraRouter } from './entra/entra';
import { graphRouter } from './entra/graph';
import { TokenService } from './entra/tokens';
import { AzureError } from './errors';
import { Faults } from './faults';
import { Journal } from './journal';
import { recorder } from './recorder';
import { stalledResponses } from './stalled-responses';
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
  readonly registry: VaultRegistry;
  readonly clusters: Clusters;
  readonly operations: Operations;
  readonly journal: Journal;
  readonly faults: Faults;
  /** Of vaults, with what they log. */
  readonly diagnostics: DiagnosticSettings;
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
  const faults = new Faults();
  const journal = new Journal();
  const groups = new ResourceGroups([subscriptionId, otherSubscriptionId], tenantId);
  const identities = new Identities();
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
    registry,
    assignments,
    endpoints,
    operations,
    faults,
    journal,
    audit: (call) => diagnostics.log(call),
    dataDirectory: options.dataDirectory,
  });

  const arm = armRouter({
    directory,
    tokens,
    faults,
    groups,
    identities,
    assignments,
    endpoints,
    registry,
    clusters,
    operations,
    diagnostics,
  });
  const routers = {
    arm,
    login: entraRouter(directory, tokens),
    graph: graphRouter(directory, tokens),
    vault: vaultRouter({
      registry,
      tokens,
      assignments,
      endpoints,
      tenantId,
      faults,
      audit: (call) => diagnostics.log(call),
    }),
  };

  const handler = express();
  handler.disable('x-powered-by');
  handler.disable('etag'); // Express's own; Azure's etags are in the bodies.
  handler.use(recorder(journal, faults));
  handler.use(stalledResponses(faults));
  handler.use((request, response, next) => {
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
    registry,
    clusters,
    operations,
    journal,
    faults,
    diagnostics,
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
