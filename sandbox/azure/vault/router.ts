/**
 * The HTTP face of every vault: its keys here, its secrets and certificates by the routes of their own files.
 *
 * Needs: the registry, tokens, role assignments.
 * Does: routes, parses, authenticates and authorizes each request, then calls key ring or crypto.
 * Never does: make a key in an HSM, or a symmetric one.
 */
import { randomUUID } from 'node:crypto';
import { json, Router, type Request, type Response } from 'express';
import { z } from 'zod';
import type { NodeNetworks } from '../arm/node-networks';
import type { RoleAssignments } from '../arm/role-assignments';
import { clusterOf } from '../caller';
import { hostRole } from '../clouds';
import type { TokenService } from '../entra/tokens';
import { AzureError, badRequest } from '../errors';
import { concerns, type Faults } from '../faults';
import { authorize, authorizeRight, lacksRight, type VaultCaller } from './access';
import { attributesOf, attributesSchema, tagsSchema } from './attributes';
import { auditRequest, type VaultAudit } from './audit';
import { authenticateVaultCaller, clientAddress } from './authentication';
import { certificateRoutes } from './certificate-routes';
import { cryptoOperationSchema, performCrypto, performSign } from './crypto';
import { CURVES, type Curve } from './ec';
import { deletionFields, keyBundle, keyItem, keyVersionItem, kidOf } from './key-json';
import {
  DEFAULT_EC_KEY_OPS,
  DEFAULT_KEY_OPS,
  latestVersion,
  nowInSeconds,
  requireKeyName,
  type KeyVersion,
} from './key-ring';
import type { KeyKind } from './key-material';
import { parseBody } from './parse-body';
import type { KeyPermission } from './permissions';
import type { Vault, VaultRegistry } from './registry';
import { rsaAlgorithmSchema } from './rsa';
import { secretRoutes, type Entitled } from './secret-routes';
import { signatureAlgorithmSchema } from './signing';

/** What the routes work with. */
export interface VaultRouterOptions {
  readonly registry: VaultRegistry;
  readonly tokens: TokenService;
  readonly assignments: RoleAssignments;
  readonly networks: NodeNetworks;
  readonly tenantId: string;
  readonly faults: Faults;
  /** Hears of each request whose caller is known. */
  readonly audit: VaultAudit;
}

const keyOpsSchema = z.array(z.enum([...DEFAULT_KEY_OPS, 'import', 'export']));
const createSchema = z.looseObject({
  kty: z.string(),
  key_size: z.int().optional(),
  crv: z.string().optional(),
  key_ops: keyOpsSchema.optional(),
  attributes: attributesSchema.optional(),
  tags: tagsSchema.optional(),
});
const updateSchema = z.looseObject({
  key_ops: keyOpsSchema.optional(),
  attributes: attributesSchema.optional(),
  tags: tagsSchema.optional(),
});
const cryptoSchema = z.looseObject({ alg: rsaAlgorithmSchema, value: z.base64url() });
const signSchema = z.looseObject({ alg: signatureAlgorithmSchema, value: z.base64url() });

/** A vault, and who calls it. */
interface Call {
  readonly vault: Vault;
  readonly caller: VaultCaller;
}

/** The routes of `*.vault.azure.net` (and its siblings in other clouds). */
export function vaultRouter(options: VaultRouterOptions): Router {
  const { registry, tokens, assignments, networks, tenantId, faults, audit } = options;
  const router = Router();
  router.use((request, _response, next) => {
    const outage = faults.about('vault-outage', registry.findByHost(request.hostname)?.id ?? '');
    if (outage?.as === 'server-error')
      throw new AzureError(503, 'ServiceUnavailable', 'The service is unavailable: the fault `vault-outage` is on.');
    // A connection from before.
    if (outage) request.socket.destroy();
    else next();
  });
  router.use(json({ type: () => true, limit: '1mb' }));
  router.use(async (request, response, next) => {
    const call = await openCall(request);
    response.locals['call'] = call;
    auditRequest(request, response, call, audit);
    response.set({
      'x-ms-keyvault-region': call.vault.location,
      'x-ms-keyvault-service-version': '1.9.2000.1',
      'x-ms-request-id': randomUUID(),
    });
    // `/keys/k//encrypt` is how the SDK spells the latest version; an empty segment matches no route.
    request.url = request.url.replace(/^(\/keys\/[^/?]+)\/\/([a-z]+)/i, '$1/latest/$2');
    next();
  });

  async function openCall(request: Request): Promise<Call> {
    const role = hostRole(request.hostname);
    const vault = registry.findByHost(request.hostname);
    if (role === undefined || vault === undefined) {
      throw new AzureError(404, 'VaultNotFound', `The vault ${request.hostname} does not exist any more.`);
    }
    // Authentication comes before everything: the SDK's first request has no token and no body, and must get 401.
    const caller = await authenticateVaultCaller(request, role.cloud, tokens, tenantId);
    if (typeof request.query['api-version'] !== 'string') {
      throw badRequest('api-version must be specified', 'BadParameter');
    }
    const from = { clusterId: clusterOf(request), address: clientAddress(request) };
    return { vault, caller: { ...caller, origin: networks.originOf(vault.id, from) } };
  }

  /** The vault of a request whose caller holds a permission. */
  function permitted(response: Response, permission: KeyPermission, keyName?: string): Vault {
    const { vault, caller } = response.locals['call'] as Call;
    if (faults.all('vault-forbidden').some((one) => one.permission === permission && concerns(one, vault.id)))
      throw lacksRight(vault, caller, permission, keyName);
    authorize(vault, assignments, caller, permission, keyName);
    return vault;
  }

  /** @throws AzureError 403. What Key Vault says when a policy denies a key is not published: code and text are the sandbox's. */
  function requireExpiry(vault: Vault, name: string, exp: number | undefined): void {
    if (exp !== undefined || !faults.about('require-expiry', vault.id)) return;
    throw new AzureError(
      403,
      'Forbidden',
      `The key ${name} was disallowed by policy: Key Vault keys should have an expiration date.\r\nVault: ${vault.name};location=${vault.location}`,
      { innerCode: 'SandboxKeyExpiryRequired' },
    );
  }

  const entitled: Entitled = (response, right, name) => {
    const { vault, caller } = response.locals['call'] as Call;
    authorizeRight(vault, assignments, caller, right, name);
    return vault;
  };
  router.use(secretRoutes(entitled));
  router.use(certificateRoutes(entitled));

  router.get('/keys', (_request, response) => {
    const vault = permitted(response, 'list');
    response.json({ value: vault.keys.list().map((key) => keyItem(vault, key)), nextLink: null });
  });

  router.post('/keys/:name/create', async (request, response) => {
    const { name } = request.params;
    const vault = permitted(response, 'create', name);
    requireKeyName(name);
    const body = parseBody(createSchema, request.body);
    const kind = keyKind(body);
    requireExpiry(vault, name, body.attributes?.exp);
    const { key, version } = await vault.keys.create(name, {
      ...attributesOf(body.attributes),
      kind,
      keyOps: body.key_ops ?? (kind.type === 'RSA' ? DEFAULT_KEY_OPS : DEFAULT_EC_KEY_OPS),
      tags: body.tags ?? {},
    });
    response.json(keyBundle(vault, key.name, version));
  });

  router.post('/keys/:name/rotate', async (request, response) => {
    const vault = permitted(response, 'rotate', request.params.name);
    requireExpiry(vault, request.params.name, undefined);
    const { key, version } = await vault.keys.rotate(request.params.name);
    response.json(keyBundle(vault, key.name, version));
  });

  router.get('/keys/:name/versions', (request, response) => {
    const vault = permitted(response, 'list', request.params.name);
    const { name, versions } = vault.keys.get(request.params.name);
    response.json({ value: versions.map((version) => keyVersionItem(vault, name, version)), nextLink: null });
  });

  router.get('/keys/:name{/:version}', (request, response) => {
    const { name, version } = request.params;
    const vault = permitted(response, 'get', name);
    const found = vault.keys.getVersion(name, version);
    response.json(keyBundle(vault, vault.keys.get(name).name, found));
  });

  router.patch('/keys/:name{/:version}', (request, response) => {
    const { name, version } = request.params;
    const vault = permitted(response, 'update', name);
    const body = parseBody(updateSchema, request.body);
    const found = vault.keys.getVersion(name, version);
    requireExpiry(vault, name, body.attributes?.exp ?? found.exp);
    updateVersion(found, body);
    response.json(keyBundle(vault, vault.keys.get(name).name, found));
  });

  router.delete('/keys/:name', (request, response) => {
    const vault = permitted(response, 'delete', request.params.name);
    const slow = faults.about('slow-deletion', vault.id);
    const key = vault.keys.delete(request.params.name, {
      retentionInDays: vault.properties.softDeleteRetentionInDays,
      looksUntilShown: slow?.looks ?? 0,
    });
    response.json({ ...deletionFields(vault, key), ...keyBundle(vault, key.name, latestVersion(key)) });
  });

  router.post('/keys/:name/:version/sign', (request, response) => {
    const { vault, caller } = response.locals['call'] as Call;
    authorize(vault, assignments, caller, 'sign', request.params.name);
    const body = parseBody(signSchema, request.body);
    const { name, version: versionId } = request.params;
    const { version, value } = performSign(vault, assignments, caller, {
      keyName: name,
      version: versionId === 'latest' ? undefined : versionId,
      algorithm: body.alg,
      digest: Buffer.from(body.value, 'base64url'),
    });
    response.json({ kid: kidOf(vault, vault.keys.get(name).name, version), value: value.toString('base64url') });
  });

  router.post('/keys/:name/:version/:operation', (request, response, next) => {
    const operation = cryptoOperationSchema.safeParse(request.params.operation.toLowerCase());
    if (!operation.success) {
      next();
      return;
    }
    const { vault, caller } = response.locals['call'] as Call;
    authorize(vault, assignments, caller, operation.data, request.params.name);
    const body = parseBody(cryptoSchema, request.body);
    const { name, version: versionId } = request.params;
    const { version, value } = performCrypto(vault, assignments, caller, {
      keyName: name,
      version: versionId === 'latest' ? undefined : versionId,
      operation: operation.data,
      algorithm: body.alg,
      value: Buffer.from(body.value, 'base64url'),
    });
    response.json({ kid: kidOf(vault, vault.keys.get(name).name, version), value: value.toString('base64url') });
  });

  router.get('/deletedkeys', (_request, response) => {
    const vault = permitted(response, 'list');
    const value = vault.keys.listDeleted().map((key) => ({ ...deletionFields(vault, key), ...keyItem(vault, key) }));
    response.json({ value, nextLink: null });
  });

  router.get('/deletedkeys/:name', (request, response) => {
    const vault = permitted(response, 'get', request.params.name);
    const key = vault.keys.lookAtDeleted(request.params.name);
    response.json({ ...deletionFields(vault, key), ...keyBundle(vault, key.name, latestVersion(key)) });
  });

  router.post('/deletedkeys/:name/recover', (request, response) => {
    const vault = permitted(response, 'recover', request.params.name);
    const key = vault.keys.recover(request.params.name);
    response.json(keyBundle(vault, key.name, latestVersion(key)));
  });

  router.delete('/deletedkeys/:name', (request, response) => {
    const vault = permitted(response, 'purge', request.params.name);
    vault.keys.getDeleted(request.params.name);
    if (vault.properties.enablePurgeProtection === true) {
      throw new AzureError(
        403,
        'Forbidden',
        `Operation "purge" is not allowed because purge protection is enabled for this vault. Key Vault service will automatically purge it after the retention period has passed.\r\nVault: ${vault.name};location=${vault.location}`,
      );
    }
    vault.keys.purge(request.params.name);
    response.status(204).end();
  });

  router.use((request) => {
    throw new AzureError(
      404,
      'SandboxRouteNotServed',
      `The sandbox's Key Vault does not serve ${request.method} ${request.path}.`,
    );
  });
  return router;
}

/** @throws AzureError 400 for a type, size or curve that the sandbox does not make */
function keyKind({ kty, key_size: sizeInBits = 2048, crv: curve = 'P-256' }: z.infer<typeof createSchema>): KeyKind {
  if (kty === 'EC') {
    if (!Object.hasOwn(CURVES, curve)) throw badRequest(`Unsupported EC curve ${curve}.`, 'BadParameter');
    return { type: 'EC', curve: curve as Curve };
  }
  if (kty !== 'RSA') {
    throw badRequest(`The sandbox makes keys of the types RSA and EC only, not ${kty}.`, 'SandboxKeyTypeNotSupported');
  }
  if (![2048, 3072, 4096].includes(sizeInBits)) {
    throw badRequest(`Unsupported RSA key size ${sizeInBits}: 2048, 3072 and 4096 are.`, 'BadParameter');
  }
  return { type: 'RSA', sizeInBits };
}

function updateVersion(version: KeyVersion, body: z.infer<typeof updateSchema>): void {
  const { enabled, exp, nbf } = attributesOf(body.attributes);
  if (enabled !== undefined) version.enabled = enabled;
  if (exp !== undefined) version.exp = exp;
  if (nbf !== undefined) version.nbf = nbf;
  if (body.key_ops !== undefined) version.keyOps = body.key_ops;
  if (body.tags !== undefined) version.tags = body.tags;
  version.updated = nowInSeconds();
}
