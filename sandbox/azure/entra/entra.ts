/**
 * Entra ID: discovery, signing keys and the token endpoint.
 *
 * Needs: the directory and the token service.
 * Does: answers what MSAL, go-autorest and JWT libraries ask of login.microsoftonline.com, client credentials only.
 * Never does: sign people in. Their tokens are minted by the sandbox itself.
 */
import { randomUUID } from 'node:crypto';
import { Router, urlencoded, type Request, type Response } from 'express';
import { z } from 'zod';
import { CLOUDS, hostRole } from '../clouds';
import { sameSecret, type Directory } from './directory';
import { APP_TOKEN_LIFETIME_IN_SECONDS, KEYTURN_AUDIENCE, type TokenService } from './tokens';

const tokenRequestSchema = z.object({
  client_id: z.string().min(1),
  grant_type: z.string().min(1),
  client_secret: z.string().optional(),
  scope: z.string().optional(),
  resource: z.string().optional(),
});

/** A refusal in Entra's form. */
class EntraError extends Error {
  constructor(
    readonly status: number,
    readonly error: string,
    readonly code: number,
    text: string,
  ) {
    super(`AADSTS${code}: ${text}`);
    this.name = 'EntraError';
  }
}

/** The routes of login.microsoftonline.com (and its siblings in other clouds). */
export function entraRouter(directory: Directory, tokens: TokenService): Router {
  const router = Router();
  router.use(urlencoded({ extended: false }));

  router.get('/common/discovery/instance', (_request, response) => {
    response.json({
      tenant_discovery_endpoint: `https://login.microsoftonline.com/${directory.tenantId}/v2.0/.well-known/openid-configuration`,
      'api-version': '1.1',
      metadata: CLOUDS.map(({ loginHost }) => ({
        preferred_network: loginHost,
        preferred_cache: loginHost === 'login.microsoftonline.com' ? 'login.windows.net' : loginHost,
        aliases: [loginHost],
      })),
    });
  });

  router.get('/:tenant/v2.0/.well-known/openid-configuration', (request, response) => {
    const host = requireTenant(directory, request);
    const base = `https://${host}/${directory.tenantId}`;
    response.json({
      ...commonMetadata(base, host),
      issuer: `${base}/v2.0`,
      authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      token_endpoint: `${base}/oauth2/v2.0/token`,
      jwks_uri: `${base}/discovery/v2.0/keys`,
    });
  });

  router.get('/:tenant/.well-known/openid-configuration', (request, response) => {
    const host = requireTenant(directory, request);
    const base = `https://${host}/${directory.tenantId}`;
    response.json({
      ...commonMetadata(base, host),
      issuer: tokens.issuerV1,
      authorization_endpoint: `${base}/oauth2/authorize`,
      token_endpoint: `${base}/oauth2/token`,
      jwks_uri: `${base}/discovery/keys`,
    });
  });

  router.get(['/:tenant/discovery/v2.0/keys', '/:tenant/discovery/keys'], (_request, response) => {
    response.json(tokens.jwks);
  });

  router.post('/:tenant/oauth2/v2.0/token', async (request, response) => {
    requireTenant(directory, request);
    response.json(await issue(directory, tokens, request, 'v2'));
  });
  router.post('/:tenant/oauth2/token', async (request, response) => {
    requireTenant(directory, request);
    response.json(await issue(directory, tokens, request, 'v1'));
  });

  router.use((request: Request, response: Response) => {
    response.status(404).type('text').send(`The sandbox's Entra does not serve ${request.method} ${request.path}.`);
  });
  router.use(sendEntraError);
  return router;
}

async function issue(
  directory: Directory,
  tokens: TokenService,
  request: Request,
  version: 'v1' | 'v2',
): Promise<Record<string, unknown>> {
  const parsed = tokenRequestSchema.safeParse(request.body ?? {});
  if (!parsed.success) {
    const missing = String(parsed.error.issues[0]?.path[0] ?? 'client_id');
    throw new EntraError(
      400,
      'invalid_request',
      900144,
      `The request body must contain the following parameter: '${missing}'.`,
    );
  }
  const form = parsed.data;
  if (form.grant_type !== 'client_credentials') {
    throw new EntraError(
      400,
      'unsupported_grant_type',
      70003,
      `The app requested an unsupported grant type '${form.grant_type}'. The sandbox serves client_credentials only.`,
    );
  }
  const app = directory.findByAppId(form.client_id);
  if (app?.kind !== 'application' || app.secret === undefined) {
    throw new EntraError(
      400,
      'unauthorized_client',
      700016,
      `Application with identifier '${form.client_id}' was not found in the directory '${directory.tenantId}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.`,
    );
  }
  if (form.client_secret === undefined || !sameSecret(form.client_secret, app.secret)) {
    throw new EntraError(
      401,
      'invalid_client',
      7000215,
      `Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '${app.appId}'.`,
    );
  }
  const resource = version === 'v2' ? resourceOfScope(form.scope) : form.resource;
  if (resource === undefined || !isKnownResource(resource)) {
    throw new EntraError(
      400,
      'invalid_resource',
      500011,
      `The resource principal named ${resource ?? '(none)'} was not found in the tenant named ${directory.tenantId}.`,
    );
  }
  const accessToken = await tokens.mintAppToken(app, resource);
  const lifetime = APP_TOKEN_LIFETIME_IN_SECONDS;
  if (version === 'v2') {
    return { token_type: 'Bearer', expires_in: lifetime, ext_expires_in: lifetime, access_token: accessToken };
  }
  const now = Math.floor(Date.now() / 1000);
  // v1 spells every number as a string, and go-autorest reads them so.
  return {
    token_type: 'Bearer',
    expires_in: String(lifetime),
    ext_expires_in: String(lifetime),
    expires_on: String(now + lifetime),
    not_before: String(now),
    resource,
    access_token: accessToken,
  };
}

/** `https://vault.azure.net/.default` asks for `https://vault.azure.net`; a doubled slash keeps one, as Entra does. */
function resourceOfScope(scope: string | undefined): string | undefined {
  const first = scope?.split(' ').find((part) => part.endsWith('/.default'));
  return first?.slice(0, -'/.default'.length);
}

function isKnownResource(resource: string): boolean {
  const plain = resource.replace(/\/$/, '');
  return (
    plain === KEYTURN_AUDIENCE ||
    CLOUDS.some(
      ({ armAudiences, graphHost, vaultAudience }) =>
        armAudiences.includes(plain) || vaultAudience === plain || plain === `https://${graphHost}`,
    )
  );
}

/** The login host that was asked; the tenant in the path must be ours. */
function requireTenant(directory: Directory, request: Request): string {
  const tenant = String(request.params['tenant']);
  if (tenant.toLowerCase() !== directory.tenantId) {
    throw new EntraError(
      400,
      'invalid_tenant',
      90002,
      `Tenant '${tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.`,
    );
  }
  return hostRole(request.hostname)?.cloud.loginHost ?? 'login.microsoftonline.com';
}

function commonMetadata(base: string, host: string): Record<string, unknown> {
  return {
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
    response_modes_supported: ['query', 'fragment', 'form_post'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    end_session_endpoint: `${base}/oauth2/v2.0/logout`,
    tenant_region_scope: 'EU',
    cloud_instance_name: host.replace(/^login\./, ''),
  };
}

function sendEntraError(error: unknown, _request: Request, response: Response, next: (error: unknown) => void): void {
  if (!(error instanceof EntraError)) {
    next(error);
    return;
  }
  const timestamp = new Date().toISOString().slice(0, 19).replace('T', ' ') + 'Z';
  const traceId = randomUUID();
  const correlationId = randomUUID();
  response.status(error.status).json({
    error: error.error,
    error_description: `${error.message} Trace ID: ${traceId} Correlation ID: ${correlationId} Timestamp: ${timestamp}`,
    error_codes: [error.code],
    timestamp,
    trace_id: traceId,
    correlation_id: correlationId,
    error_uri: `https://${response.req.hostname}/error?code=${error.code}`,
  });
}
