/**
 * Entra ID: discovery, signing keys and the token endpoint.
 *
 * Needs: the directory, the token service, federated credentials.
 * Does: answers what MSAL, go-autorest, OpenID clients and JWT libraries ask of login.microsoftonline.com: client credentials, by a secret
 *       or an assertion of another issuer; for people the device code flow.
 * Never does: ask a person for anything. Who has entered a device code is what the control API says.
 */
import { randomUUID } from 'node:crypto';
import { Router, urlencoded, type Request, type Response } from 'express';
import { z } from 'zod';
import { CLOUDS, hostRole } from '../clouds';
import { JWT_BEARER, principalOfAssertion, type AssertionSources } from './assertions';
import { DEVICE_CODE_GRANT, type DeviceCodes } from './device-codes';
import { sameSecret, type Directory, type ServicePrincipal } from './directory';
import { applicationNotFound, EntraError } from './entra-error';
import { APP_TOKEN_LIFETIME_IN_SECONDS, isKnownResource, type TokenService } from './tokens';

const tokenRequestSchema = z.object({
  client_id: z.string().min(1),
  grant_type: z.string().min(1),
  client_secret: z.string().optional(),
  client_assertion_type: z.string().optional(),
  client_assertion: z.string().optional(),
  scope: z.string().optional(),
  device_code: z.string().optional(),
  refresh_token: z.string().optional(),
  resource: z.string().optional(),
});

/** The routes of login.microsoftonline.com (and its siblings in other clouds). */
export function entraRouter(sources: AssertionSources, tokens: TokenService, codes: DeviceCodes): Router {
  const { directory } = sources;
  const router = Router();
  router.use(urlencoded({ extended: false }));

  router.get('/common/discovery/instance', (_request, response) => {
    response.json({
      tenant_discovery_endpoint: `https://login.microsoftonline.com/${directory.tenantId}/v2.0/.well-known/openid-configuration`,
      'api-version': '1.1',
      metadata: CLOUDS.map(({ loginHost, issuerHost }) => ({
        preferred_network: issuerHost,
        preferred_cache: issuerHost === 'login.microsoftonline.com' ? 'login.windows.net' : issuerHost,
        aliases: [...new Set([loginHost, issuerHost])],
      })),
    });
  });

  router.get('/:tenant/v2.0/.well-known/openid-configuration', (request, response) => {
    const host = requireTenant(directory, request);
    const base = `https://${host}/${directory.tenantId}`;
    response.json({
      ...commonMetadata(base, host),
      issuer: `https://${issuerHostOf(host)}/${directory.tenantId}/v2.0`,
      authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      token_endpoint: `${base}/oauth2/v2.0/token`,
      device_authorization_endpoint: `${base}/oauth2/v2.0/devicecode`,
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

  router.post('/:tenant/oauth2/v2.0/devicecode', (request, response) => {
    requireTenant(directory, request);
    const { scope } = z.object({ scope: z.string().optional() }).parse(request.body ?? {});
    response.json(codes.begin(scope));
  });
  router.post('/:tenant/oauth2/v2.0/token', async (request, response) => {
    requireTenant(directory, request);
    const { grant_type: grant, ...form } = tokenRequestSchema.partial().parse(request.body ?? {});
    if (grant === DEVICE_CODE_GRANT) {
      response.json(await codes.redeem(form.device_code));
      return;
    }
    if (grant === 'refresh_token') {
      response.json(await codes.refresh(form.refresh_token));
      return;
    }
    response.json(await issue(sources, tokens, request, 'v2'));
  });
  router.post('/:tenant/oauth2/token', async (request, response) => {
    requireTenant(directory, request);
    response.json(await issue(sources, tokens, request, 'v1'));
  });

  router.use((request: Request, response: Response) => {
    response.status(404).type('text').send(`The sandbox's Entra does not serve ${request.method} ${request.path}.`);
  });
  router.use(sendEntraError);
  return router;
}

async function issue(
  sources: AssertionSources,
  tokens: TokenService,
  request: Request,
  version: 'v1' | 'v2',
): Promise<Record<string, unknown>> {
  const parsed = tokenRequestSchema.safeParse(request.body ?? {});
  if (!parsed.success) {
    throw missing(String(parsed.error.issues[0]?.path[0] ?? 'client_id'));
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
  const app = await authenticated(sources, form);
  const resource = version === 'v2' ? resourceOfScope(form.scope) : form.resource;
  if (resource === undefined || !isKnownResource(resource)) {
    throw new EntraError(
      400,
      'invalid_resource',
      500011,
      `The resource principal named ${resource ?? '(none)'} was not found in the tenant named ${sources.directory.tenantId}.`,
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

/** Who asks: by a client secret, or by an assertion of another issuer. @throws EntraError */
async function authenticated(
  sources: AssertionSources,
  form: z.infer<typeof tokenRequestSchema>,
): Promise<ServicePrincipal> {
  const { directory } = sources;
  const { client_id: clientId, client_secret: secret, client_assertion: assertion } = form;
  if (form.client_assertion_type !== undefined || assertion !== undefined) {
    if (form.client_assertion_type !== JWT_BEARER) throw missing('client_assertion_type');
    if (assertion === undefined || assertion === '') throw missing('client_assertion');
    return principalOfAssertion(sources, clientId, assertion);
  }
  const app = directory.findByAppId(clientId);
  if (app?.kind !== 'application' || app.secret === undefined) throw applicationNotFound(clientId, directory.tenantId);
  if (secret === undefined || !sameSecret(secret, app.secret)) {
    throw new EntraError(
      401,
      'invalid_client',
      7000215,
      `Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '${app.appId}'.`,
    );
  }
  return app;
}

function missing(parameter: string): EntraError {
  return new EntraError(
    400,
    'invalid_request',
    900144,
    `The request body must contain the following parameter: '${parameter}'.`,
  );
}

/** `https://vault.azure.net/.default` asks for `https://vault.azure.net`; a doubled slash keeps one, as Entra does. */
function resourceOfScope(scope: string | undefined): string | undefined {
  const first = scope?.split(' ').find((part) => part.endsWith('/.default'));
  return first?.slice(0, -'/.default'.length);
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

function issuerHostOf(loginHost: string): string {
  return CLOUDS.find((cloud) => cloud.loginHost === loginHost)?.issuerHost ?? loginHost;
}
