/** The API on a real port of 127.0.0.1, with tokens signed by a key of the test's own. */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import {
  createLocalJWKSet,
  exportJWK,
  generateKeyPair,
  importJWK,
  SignJWT,
  type CryptoKey,
  type JWTPayload,
} from 'jose';
import { pino } from 'pino';
import { z } from 'zod';
import { createApp } from '../../api/app';
import type { AuthSettings } from '../../api/auth-settings';
import type { ApiDeps } from '../../api/deps';
import { ProblemDocument } from '../../api/problem';
import type { AzureObservation } from '../../domain/observed';
import { Role } from '../../domain/people';
import { createStatementSigner } from '../../trust/sign';
import { AuditLog } from '../../evidence/audit-log';
import { folderStore } from '../../evidence/folder-store';
import type { RecordStore } from '../../evidence/store';
import { MemoryGateway } from './memory-gateway';

export const TENANT = '72f988bf-86f1-41af-91ab-2d7cd011db47';
export const ISSUER = `https://login.microsoftonline.com/${TENANT}/v2.0`;
export const AUDIENCE = 'api://keyturn';
export const CLUSTER =
  '/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/aks1';
export const KEY = 'https://kv1.vault.azure.net/keys/k1/95a76f34842c4fcf9e2cc929e38359c0';
export const REQUEST = { kind: 'rotate-key', cluster: CLUSTER, change: { number: 'CHG0030192' } };

/** The application that people sign in with. */
export const CLIENT = '5c7f2a10-9f4e-4c1b-8d0a-2b6d7e8f9a01';
/** What the API accepts as Entra's. */
export const AUTH: AuthSettings = {
  issuer: ISSUER,
  audience: AUDIENCE,
  tenantId: TENANT,
  jwksUrl: 'http://127.0.0.1:9/',
  keysKeptInMs: 3_600_000,
  algorithm: 'RS256',
  scope: 'access_as_user',
  maximumAgeInSeconds: 7200,
  claims: { subject: 'oid', roles: 'roles' },
  groupsOf: { 'Kms.Reader': [], 'Kms.Operator': [], 'Kms.Approver': [], 'Kms.BreakGlass': [] },
};
/** What makes a program's token of a person's. */
export const OF_PROGRAM: JWTPayload = { idtyp: 'app', scp: undefined, name: undefined };

/** A cluster that any rotation may start on. */
export const HEALTHY: AzureObservation = {
  at: '2026-01-01T00:00:00.000Z',
  cluster: {
    found: true,
    cluster: {
      resourceId: CLUSTER,
      location: 'westeurope',
      kubernetesVersion: '1.34.4',
      wantedKubernetesVersion: '1.34.4',
      agentPools: [],
      provisioningState: 'Succeeded',
      powerState: 'Running',
      identityType: 'UserAssigned',
      identities: [],
      localAccountsDisabled: false,
      tags: {},
      platformManagedEncryption: false,
      kms: { enabled: true, keyId: KEY, networkAccess: 'Public' },
    },
  },
  currentKey: { found: true, key: { keyId: KEY, keyType: 'RSA', operations: ['encrypt', 'decrypt'], enabled: true } },
};

/** Makes access tokens as Entra would, or wrong in the way that a test asks for. */
export class Tokens {
  private constructor(
    private readonly privateKey: CryptoKey,
    readonly keySet: ReturnType<typeof createLocalJWKSet>,
  ) {}

  static async create(): Promise<Tokens> {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
    // Without `alg`, as Entra publishes its keys: the algorithm is the API's to insist on.
    return new Tokens(
      privateKey,
      createLocalJWKSet({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k', use: 'sig' }] }),
    );
  }

  /** A token of a person; `claims` replace, and remove when undefined. */
  async of(
    name: string,
    roles: readonly string[],
    claims: JWTPayload = {},
    alg: 'RS256' | 'PS256' = 'RS256',
    typ?: string,
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const all = {
      iss: ISSUER,
      aud: AUDIENCE,
      tid: TENANT,
      oid: `oid-${name.toLowerCase()}`,
      sub: `sub-${name.toLowerCase()}`,
      azp: CLIENT,
      name,
      scp: 'access_as_user',
      roles,
      iat: now,
      nbf: now - 5,
      exp: now + 3600,
      ...claims,
    };
    const key = await importJWK(await exportJWK(this.privateKey), alg);
    return await new SignJWT(all)
      .setProtectedHeader({ alg, kid: 'k', ...(typ === undefined ? {} : { typ }) })
      .sign(key);
  }
}

/** An answer, read. */
export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  json<T>(schema: z.ZodType<T>): T;
  problem(): ProblemDocument;
}

export interface TestApi {
  readonly url: string;
  readonly gateway: MemoryGateway;
  readonly tokens: Tokens;
  /** What was logged, one JSON text for each line. */
  readonly log: string[];
  /** A folder of this API's own, unless the test gave one. */
  readonly store: RecordStore;
  /** The audit log that the API writes there, unless the test gave one. */
  readonly audit: AuditLog;
  /** How often Azure was asked, and what it says. */
  readonly azure: { asked: number; says: AzureObservation | Error };
  /** Tokens of Olga (Operator), Anna and Arne (Approver), Rita (Reader). */
  readonly as: Readonly<Record<'olga' | 'anna' | 'arne' | 'rita', string>>;
  call(
    method: string,
    path: string,
    options?: { token?: string; body?: unknown; headers?: Record<string, string> },
  ): Promise<Reply>;
  /** POST /v1/operations as Olga. */
  ask(key: string, body?: unknown): Promise<Reply>;
  close(): Promise<void>;
}

/** Starts the API. */
export async function startTestApi({
  auth,
  ...change
}: Partial<Omit<ApiDeps, 'auth'>> & { readonly auth?: Partial<AuthSettings> } = {}): Promise<TestApi> {
  const gateway = new MemoryGateway();
  const tokens = await Tokens.create();
  const log: string[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      log.push(chunk.toString());
      done();
    },
  });
  const directory = mkdtempSync(join(tmpdir(), 'kt-api-'));
  const store = change.store ?? folderStore(directory);
  const audit = new AuditLog(store, 'api');
  const azure: TestApi['azure'] = { asked: 0, says: HEALTHY };
  const app = createApp({
    gateway,
    observeAzure: async () => {
      azure.asked += 1;
      await Promise.resolve();
      if (azure.says instanceof Error) throw azure.says;
      return azure.says;
    },
    auth: { ...AUTH, keySet: tokens.keySet, ...auth },
    signer: createStatementSigner({ privateKey: generateKeyPairSync('ed25519').privateKey, keyId: 'sha256:test' }),
    policy: { approvalsRequired: 1, approvalTimeoutInMs: 3_600_000 },
    store,
    audit,
    logger: pino({ level: 'debug' }, sink),
    clock: () => new Date(),
    ...change,
  });
  const server = createServer(app).listen(0, '127.0.0.1');
  // A test that fails before it closes the API must not keep jest from ending.
  server.unref().on('connection', (socket) => socket.unref());
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const call: TestApi['call'] = async (method, path, { token, body, headers } = {}) => {
    const text = typeof body === 'string' ? body : body === undefined ? undefined : JSON.stringify(body);
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(text === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: text,
    });
    return replyOf(response.status, response.headers, await response.text());
  };
  const as = {
    olga: await tokens.of('Olga', [Role.Operator]),
    anna: await tokens.of('Anna', [Role.Approver]),
    arne: await tokens.of('Arne', [Role.Approver]),
    rita: await tokens.of('Rita', [Role.Reader]),
  };
  return {
    url,
    gateway,
    tokens,
    log,
    store,
    audit,
    azure,
    as,
    call,
    ask: (key, body = REQUEST) =>
      call('POST', '/v1/operations', { token: as.olga, body, headers: { 'idempotency-key': key } }),
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
      await audit.drained();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function replyOf(status: number, headers: Headers, text: string): Reply {
  return {
    status,
    headers,
    text,
    json: (schema) => schema.parse(JSON.parse(text)),
    problem: () => {
      if (headers.get('content-type') !== 'application/problem+json')
        throw new Error(`No problem document: ${status} ${text}`);
      return ProblemDocument.parse(JSON.parse(text));
    },
  };
}

/** The id in an answer that is an operation. */
export function idOf(reply: Reply): string {
  return reply.json(z.looseObject({ id: z.string() })).id;
}
