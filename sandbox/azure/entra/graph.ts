/**
 * Microsoft Graph, as much of it as `az` asks for: who am I, who has this id, who has this name.
 *
 * Needs: the directory and the token service.
 * Does: shows service principals and people to administrators. There are no groups.
 * Never does: change the directory.
 */
import { json, Router, type Request } from 'express';
import { z } from 'zod';
import { hostRole } from '../clouds';
import { AzureError, badRequest } from '../errors';
import { describeIssues, type JsonObject } from '../json';
import type { Directory, Person, ServicePrincipal } from './directory';
import { TokenRejected, type TokenService } from './tokens';

const idsSchema = z.looseObject({ ids: z.array(z.string()).max(1000), types: z.array(z.string()).optional() });

/** The filters of lists that the sandbox knows. `$1` of each pattern is what is looked for. */
const FILTERS = {
  servicePrincipals: [
    {
      pattern: /^servicePrincipalNames\/any\((\w+):\1 eq '([^']*)'\)$/,
      matches: ({ appId }: ServicePrincipal, text: string): boolean => appId === text.toLowerCase(),
    },
    {
      pattern: /^(appId) eq '([^']*)'$/,
      matches: ({ appId }: ServicePrincipal, text: string): boolean => appId === text.toLowerCase(),
    },
    {
      pattern: /^(displayName) eq '([^']*)'$/,
      matches: ({ displayName }: ServicePrincipal, text: string): boolean => same(displayName, text),
    },
    {
      pattern: /^(startswith)\(displayName,\s*'([^']*)'\)$/i,
      matches: ({ displayName }: ServicePrincipal, text: string): boolean => startsWith(displayName, text),
    },
  ],
  users: [
    {
      pattern: /^(userPrincipalName) eq '([^']*)'$/,
      matches: ({ userPrincipalName }: Person, text: string): boolean => same(userPrincipalName, text),
    },
    {
      pattern: /^(displayName) eq '([^']*)'$/,
      matches: ({ displayName }: Person, text: string): boolean => same(displayName, text),
    },
    {
      pattern: /^(startswith)\(displayName,\s*'([^']*)'\)$/i,
      matches: ({ displayName }: Person, text: string): boolean => startsWith(displayName, text),
    },
  ],
} as const;

/** The routes of graph.microsoft.com (and its siblings in other clouds). */
export function graphRouter(directory: Directory, tokens: TokenService): Router {
  const router = Router();
  router.use(json({ type: () => true }));
  router.use(async (request, _response, next) => {
    await requireReader(request, tokens);
    next();
  });

  // The sandbox signs in applications only.
  router.get('/:version/me', () => {
    throw badRequest('/me request is only valid with delegated authentication flow.');
  });

  router.get('/:version/servicePrincipals', (request, response) => {
    const found = filtered(directory.servicePrincipals(), request, FILTERS.servicePrincipals);
    response.json({ value: found.map(servicePrincipalBody) });
  });

  router.get('/:version/servicePrincipals/:id', (request, response) => {
    const found = directory.findByObjectId(request.params.id);
    if (found === undefined) throw notFound(request.params.id);
    response.json(servicePrincipalBody(found));
  });

  router.get('/:version/users', (request, response) => {
    response.json({ value: filtered(directory.people(), request, FILTERS.users).map(personBody) });
  });

  router.get('/:version/users/:id', (request, response) => {
    const { id } = request.params;
    const found = directory.people().find((one) => same(one.objectId, id) || same(one.userPrincipalName, id));
    if (found === undefined) throw notFound(id);
    response.json(personBody(found));
  });

  router.get('/:version/groups', (_request, response) => {
    response.json({ value: [] });
  });

  router.post('/:version/directoryObjects/getByIds', (request, response) => {
    const parsed = idsSchema.safeParse(request.body);
    if (!parsed.success) throw badRequest(describeIssues(parsed.error), 'Request_BadRequest');
    const value = parsed.data.ids.flatMap((id) => {
      const person = directory.people().find(({ objectId }) => same(objectId, id));
      const principal = directory.findByObjectId(id);
      if (person !== undefined) return [{ '@odata.type': '#microsoft.graph.user', ...personBody(person) }];
      return principal === undefined
        ? []
        : [{ '@odata.type': '#microsoft.graph.servicePrincipal', ...servicePrincipalBody(principal) }];
    });
    response.json({ value });
  });

  router.post('/:version/directoryObjects/:id/getMemberGroups', (_request, response) => {
    response.json({ value: [] });
  });

  router.use((request) => {
    throw new AzureError(
      404,
      'SandboxRouteNotServed',
      `The sandbox's Microsoft Graph does not serve ${request.method} ${request.path}.`,
    );
  });
  return router;
}

/** @throws AzureError 401 without a token of this cloud's Graph, 403 for an application without rights */
async function requireReader(request: Request, tokens: TokenService): Promise<void> {
  const graph = hostRole(request.hostname)?.cloud.graphHost ?? '';
  const token = /^bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (token === undefined) throw new AzureError(401, 'InvalidAuthenticationToken', 'Access token is empty.');
  const { principal } = await tokens.verifyAppToken(token, [`https://${graph}`]).catch((error: unknown) => {
    if (!(error instanceof TokenRejected)) throw error;
    const text = error.reason === 'expired' ? 'Lifetime validation failed, the token is expired.' : error.message;
    throw new AzureError(401, 'InvalidAuthenticationToken', `Access token validation failure. ${text}`);
  });
  if (!principal.administrator) {
    throw new AzureError(403, 'Authorization_RequestDenied', 'Insufficient privileges to complete the operation.');
  }
}

/** @throws AzureError 400 for a filter that the sandbox does not know */
function filtered<T>(
  all: readonly T[],
  { query: { $filter: filter } }: Request,
  known: readonly { readonly pattern: RegExp; readonly matches: (one: T, text: string) => boolean }[],
): readonly T[] {
  if (typeof filter !== 'string') return all;
  for (const { pattern, matches } of known) {
    const text = pattern.exec(filter.trim())?.[2];
    if (text !== undefined) return all.filter((one) => matches(one, text));
  }
  throw badRequest(`The sandbox does not know the filter ${filter}.`, 'Request_UnsupportedQuery');
}

function servicePrincipalBody({ objectId, appId, displayName, kind }: ServicePrincipal): JsonObject {
  return {
    id: objectId,
    appId,
    displayName,
    appDisplayName: displayName,
    accountEnabled: true,
    servicePrincipalNames: [appId],
    servicePrincipalType: kind === 'application' ? 'Application' : 'ManagedIdentity',
  };
}

function personBody({ objectId, displayName, userPrincipalName }: Person): JsonObject {
  return { id: objectId, displayName, userPrincipalName, mail: null };
}

function notFound(id: string): AzureError {
  return new AzureError(
    404,
    'Request_ResourceNotFound',
    `Resource '${id}' does not exist or one of its queried reference-property objects are not present.`,
  );
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function startsWith(text: string, start: string): boolean {
  return text.toLowerCase().startsWith(start.toLowerCase());
}
