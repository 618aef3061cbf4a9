/**
 * The sandbox's own control API, for tests, demos and drivers. No part of Azure.
 *
 * Needs: a local Azure.
 * Does: shows journal and state, switches faults, does things to clusters. Loopback only, with a bearer token of its own.
 * Never does: show a secret, a private key or a kubeconfig.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express, { type Request, type Response } from 'express';
import { z } from 'zod';
import { messageOf } from '../message-of';
import type { Azure } from './azure';
import { clusterControls, clusterState, ControlError, type SeedFunction } from './control-clusters';
import { sameSecret } from './entra/directory';
import { FAULT_SCHEMAS, isFaultName } from './faults';
import { describeIssues, type JsonObject } from './json';
import { kidOf } from './vault/key-json';
import type { Vault } from './vault/registry';

/** A running control API. */
export interface Control {
  readonly url: string;
  readonly token: string;
  close(): Promise<void>;
}

/** The body of `POST /tokens`: an access token for Keyturn's API, right or wrong as asked for. */
const tokenSchema = z.strictObject({
  name: z.string().min(1).optional(),
  roles: z.array(z.string()).optional(),
  audience: z.string().optional(),
  tenantId: z.string().optional(),
  expiresInSeconds: z.int().optional(),
  appOnly: z.boolean().optional(),
  cloud: z.enum(['AzureCloud', 'AzureChinaCloud', 'AzureUSGovernment']).optional(),
});

/** The body of `POST /device-codes`: a person enters the code that a program shows. */
const enteredSchema = z.strictObject({
  userCode: z.string().min(1),
  name: z.string().min(1),
  roles: z.array(z.string()).optional(),
  expiresInSeconds: z.int().optional(),
});

/** Starts the control API on a free port of 127.0.0.1. Without `seed` there is no seed route. */
export async function startControl(azure: Azure, seed?: SeedFunction): Promise<Control> {
  const token = randomBytes(24).toString('base64url');
  const app = express();
  app.disable('x-powered-by');
  app.use((request, _response, next) => {
    const given = /^bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (!sameSecret(given, token)) {
      throw new ControlError(401, 'The control API needs its bearer token: control.token in sandbox.json.');
    }
    next();
  });
  app.use(express.json({ type: () => true, limit: '1mb' }));

  app.get('/journal', (_request, response) => {
    response.json({ entries: azure.journal.entries() });
  });
  app.get('/faults', (_request, response) => {
    response.json(azure.faults.active());
  });
  app.put('/faults/:name', (request, response) => {
    const name = requireFaultName(request.params.name);
    azure.faults.set(name, request.body ?? {});
    response.json(azure.faults.active());
  });
  app.delete('/faults/:name', (request, response) => {
    const { path } = request.query;
    azure.faults.clear(requireFaultName(request.params.name), typeof path === 'string' ? path : undefined);
    response.json(azure.faults.active());
  });
  app.get('/vault-logs', (request, response) => {
    const { vault } = request.query;
    if (typeof vault !== 'string') throw new ControlError(400, 'Name the vault: ?vault=RESOURCE-ID.');
    response.json({ rows: azure.diagnostics.rows(vault) });
  });
  app.get('/state', (_request, response) => {
    response.json(stateOf(azure));
  });
  app.post('/tokens', async (request, response) => {
    response.json({ token: await azure.tokens.mintUserToken(tokenSchema.parse(request.body ?? {})) });
  });
  app.use('/service-now', azure.serviceNow.controls);
  app.post('/device-codes', (request, response) => {
    const { userCode, ...person } = enteredSchema.parse(request.body ?? {});
    if (!azure.deviceCodes.enter(userCode, person))
      throw new ControlError(404, `Nobody waits for the code ${userCode}.`);
    response.json({ entered: true });
  });
  app.use('/clusters', clusterControls(azure.clusters, seed));
  app.use((request) => {
    throw new ControlError(404, `The control API has no ${request.method} ${request.path}.`);
  });
  app.use(sendError);

  const server = app.listen(0, '127.0.0.1');
  // The client ends idle connections: were it the server, a request could meet the end of its connection.
  server.keepAliveTimeout = 0;
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    token,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function requireFaultName(name: string): keyof typeof FAULT_SCHEMAS {
  if (isFaultName(name)) return name;
  throw new ControlError(404, `There is no fault ${name}. There are: ${Object.keys(FAULT_SCHEMAS).join(', ')}.`);
}

function sendError(error: unknown, _request: Request, response: Response, _next: unknown): void {
  if (error instanceof z.ZodError) {
    response.status(400).json({ error: describeIssues(error) });
    return;
  }
  const status = (error as { status?: unknown }).status;
  response.status(typeof status === 'number' ? status : 500).json({ error: messageOf(error) });
}

function stateOf(azure: Azure): JsonObject {
  return {
    tenantId: azure.tenantId,
    subscriptionId: azure.subscriptionId,
    faults: azure.faults.active(),
    clusters: azure.clusters.all().map(clusterState),
    vaults: azure.registry.all().map(vaultState),
    operations: azure.operations.all(),
  };
}

function vaultState(vault: Vault): JsonObject {
  return {
    id: vault.id,
    name: vault.name,
    deleted: vault.deletedAt !== undefined,
    keys: [...vault.keys.list(), ...vault.keys.listDeleted()].map((key) => ({
      name: key.name,
      deleted: key.deleted !== undefined,
      versions: key.versions.map((version) => ({
        kid: kidOf(vault, key.name, version),
        enabled: version.enabled,
        exp: version.exp,
      })),
    })),
  };
}
