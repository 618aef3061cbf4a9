/**
 * ARM's front door: bearer token, api-version, and the right to be here.
 *
 * Needs: the token service.
 * Does: refuses in ARM's words.
 * Never does: fine-grained ARM RBAC. A principal is an administrator of the sandbox's subscription, or has no right at all;
 * the fault `forbidden` takes one right away.
 */
import type { Request, RequestHandler, Response } from 'express';
import { hostRole } from '../clouds';
import type { ServicePrincipal } from '../entra/directory';
import { TokenRejected, type TokenService } from '../entra/tokens';
import { AzureError, badRequest } from '../errors';
import { concerns, type Faults } from '../faults';

/** Lets a request pass when ARM would. @throws AzureError 401, 403 or 400. */
export function armFrontDoor(tokens: TokenService, tenantId: string, faults: Faults): RequestHandler {
  return async (request, response, next) => {
    const cloud = hostRole(request.hostname)?.cloud;
    if (cloud === undefined) throw badRequest(`${request.hostname} is not a host of ARM.`);
    const token = /^bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) {
      throw unauthorized(
        tenantId,
        'AuthenticationFailed',
        "Authentication failed. The 'Authorization' header is missing.",
        "The authentication failed because of missing 'Authorization' header.",
      );
    }
    const { principal } = await tokens.verifyAppToken(token, cloud.armAudiences).catch((error: unknown) => {
      throw error instanceof TokenRejected ? rejection(error, tenantId, cloud.armAudiences) : error;
    });
    if (!principal.administrator && request.method === 'GET' && request.path === '/subscriptions') {
      // ARM lets everybody ask, and shows what the caller may see.
      response.json({ value: [], count: { type: 'Total', value: 0 } });
      return;
    }
    if (!principal.administrator || isForbidden(request, faults))
      throw authorizationFailed(request, principal.appId, principal.objectId);
    if (typeof request.query['api-version'] !== 'string' || request.query['api-version'] === '') {
      throw badRequest(
        'The api-version query parameter (?api-version=) is required for all requests.',
        'MissingApiVersionParameter',
      );
    }
    response.locals['caller'] = principal;
    next();
  };
}

/** Who asks, once the front door has let the request pass. */
export function callerOf(response: Response): ServicePrincipal {
  return response.locals['caller'] as ServicePrincipal;
}

function isForbidden({ method, path }: Request, faults: Faults): boolean {
  return faults.all('forbidden').some((one) => one.method === method && concerns(one, path));
}

function rejection(error: TokenRejected, tenantId: string, audiences: readonly string[]): AzureError {
  switch (error.reason) {
    case 'expired': {
      const text = `The access token expiry UTC time '${error.message}' is earlier than current UTC time '${new Date().toISOString()}'.`;
      return unauthorized(tenantId, 'ExpiredAuthenticationToken', text, text);
    }
    case 'audience': {
      const allowed = audiences.flatMap((audience) => [`${audience}/`, audience]).join(',');
      const text = `The access token has been obtained for wrong audience or resource '${error.message}'. It should exactly match with one of the allowed audiences '${allowed}'.`;
      return unauthorized(tenantId, 'InvalidAuthenticationTokenAudience', text, text);
    }
    case 'issuer': {
      const text = `The access token is from the wrong issuer '${error.message}'. It must match the tenant '${tenantId}' associated with this subscription.`;
      return unauthorized(tenantId, 'InvalidAuthenticationTokenTenant', text, text);
    }
    case 'malformed':
    case 'principal':
      return unauthorized(
        tenantId,
        'InvalidAuthenticationToken',
        `The access token is invalid: ${error.message}.`,
        'The access token is invalid.',
      );
  }
}

function unauthorized(tenantId: string, code: string, message: string, description: string): AzureError {
  const challenge = `Bearer authorization_uri="https://login.windows.net/${tenantId}", error="invalid_token", error_description="${description}"`;
  return new AzureError(401, code, message, { headers: { 'WWW-Authenticate': challenge } });
}

function authorizationFailed(request: Request, appId: string, objectId: string): AzureError {
  const action = request.method === 'GET' ? 'read' : 'write';
  const provider = /\/providers\/([^/]+\/[^/]+)/i.exec(request.path)?.[1] ?? 'Microsoft.Resources/subscriptions';
  return new AzureError(
    403,
    'AuthorizationFailed',
    `The client '${appId}' with object id '${objectId}' does not have authorization to perform action '${provider}/${action}' over scope '${request.path}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
  );
}
