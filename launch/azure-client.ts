/**
 * A small client of the sandbox, over HTTPS through its proxy with its certificate authority: what `curl` would be.
 *
 * This process was started before the sandbox had a certificate authority, and Node reads NODE_EXTRA_CA_CERTS at start
 * only; so the authority is given to each connection here. The service's own processes use the real Azure SDKs.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fetch, ProxyAgent } from 'undici';
import { z } from 'zod';
import { CLOUDS, type Cloud } from '../domain/clouds';
import { authorityOf, type SandboxFacts } from './sandbox';

/** URLs of ARM are of the public cloud; a connection to another one sends them there. */
const ARM = 'https://management.azure.com';
const API_VERSION = 'api-version=2026-04-01';
const POLL_INTERVAL_IN_MS = 250;

/** A request to the sandbox. */
export type AzureRequest = (
  method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE',
  url: string,
  body?: unknown,
) => Promise<AzureAnswer>;

/** An answer of the sandbox. */
export interface AzureAnswer {
  readonly status: number;
  readonly body: unknown;
  readonly operationUrl: string | null;
}

/** The name of a cloud, as `az cloud list` prints it. */
export type CloudName = Cloud['name'];

/** Signs in as the sandbox's service principal. @param name of the cloud; the public one when absent */
export async function connectAzure(
  facts: SandboxFacts,
  name: CloudName = 'AzureCloud',
): Promise<{ readonly request: AzureRequest; close(): Promise<void> }> {
  const cloud = CLOUDS.find((one) => one.name === name);
  if (cloud === undefined) throw new Error(`There is no cloud ${name}.`);
  const dispatcher = new ProxyAgent({ uri: facts.proxyUrl, requestTls: { ca: authorityOf(facts) } });
  const tokens = {
    arm: await token(facts, { cloud, dispatcher, resource: cloud.resourceManager }),
    vault: await token(facts, { cloud, dispatcher, resource: `https://${cloud.vaultSuffix}` }),
  };
  return {
    close: () => dispatcher.close(),
    async request(method, given, body) {
      const isArm = given.startsWith(ARM) || given.startsWith(cloud.resourceManager);
      const url = given.startsWith(ARM) ? `${cloud.resourceManager}${given.slice(ARM.length)}` : given;
      const response = await fetch(url, {
        method,
        dispatcher,
        headers: {
          authorization: `Bearer ${isArm ? tokens.arm : tokens.vault}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      const answer: AzureAnswer = {
        status: response.status,
        body: text === '' ? undefined : (JSON.parse(text) as unknown),
        operationUrl: response.headers.get('azure-asyncoperation'),
      };
      if (response.status >= 400) throw new Error(`${method} ${url} was answered with ${response.status}: ${text}`);
      return answer;
    },
  };
}

/** PUT in ARM, and the wait for the long-running operation that it starts. @param path resource id */
export async function armPut(request: AzureRequest, path: string, body: unknown): Promise<unknown> {
  const url = `${ARM}${path}?${API_VERSION}`;
  const { operationUrl, body: created } = await request('PUT', url, body);
  if (operationUrl === null) return created;
  await operationEnd(request, operationUrl, `PUT ${path}`);
  return (await request('GET', url)).body;
}

/** PATCH of a resource in ARM that changes at once. */
export async function armPatch(request: AzureRequest, path: string, body: unknown): Promise<void> {
  await request('PATCH', `${ARM}${path}?${API_VERSION}`, body);
}

/** Waits for the end of a long-running operation. @throws Error when it fails */
export async function operationEnd(request: AzureRequest, operationUrl: string, what: string): Promise<void> {
  const Operation = z.object({ status: z.string(), error: z.unknown().optional() });
  for (;;) {
    const { status, error } = Operation.parse((await request('GET', operationUrl)).body);
    if (status === 'Succeeded') return;
    if (status === 'Failed' || status === 'Canceled')
      throw new Error(`${what} ended ${status}: ${JSON.stringify(error)}`);
    await sleep(POLL_INTERVAL_IN_MS);
  }
}

/** Body of a POST to a resource's action in ARM. */
export async function armPost(request: AzureRequest, path: string): Promise<unknown> {
  return (await request('POST', `${ARM}${path}?${API_VERSION}`)).body;
}

/** DELETE of a resource in ARM that goes at once. */
export async function armDelete(request: AzureRequest, path: string): Promise<void> {
  await request('DELETE', `${ARM}${path}?${API_VERSION}`);
}

async function token(
  facts: SandboxFacts,
  {
    cloud,
    dispatcher,
    resource,
  }: { readonly cloud: Cloud; readonly dispatcher: ProxyAgent; readonly resource: string },
): Promise<string> {
  const response = await fetch(`${cloud.authorityHost}/${facts.tenantId}/oauth2/v2.0/token`, {
    method: 'POST',
    dispatcher,
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: facts.clientId,
      client_secret: facts.clientSecret,
      scope: `${resource}/.default`,
    }),
  });
  return z.object({ access_token: z.string() }).parse(await response.json()).access_token;
}
