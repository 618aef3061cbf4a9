/**
 * One ServiceNow instance, as far as Keyturn asks it: the Table API for change requests, and OAuth tokens.
 *
 * Needs: nothing. Does: takes client credentials and a user with a password; sleeps, is throttled, or forgets its tokens when told.
 * Never does: take a write through its API. Records are made by the sandbox's control API.
 */
import { randomBytes } from 'node:crypto';
import { json, Router, urlencoded, type Request, type Response } from 'express';
import { z } from 'zod';
import { sameSecret } from '../azure/entra/directory';
import { ChangeFields, ChangeRequests, shown } from './records';

/** The host of the one instance. */
export const SERVICE_NOW_HOST = 'keyturn.service-now.com';

const TOKEN_SECONDS = 1_799;
const Mode = z.strictObject({ mode: z.enum(['up', 'maintenance', 'throttled']) });
const TokenRequest = z.object({ grant_type: z.string(), client_id: z.string(), client_secret: z.string() });

/** How clients sign in. */
export interface ServiceNowFacts {
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly user: string;
  readonly password: string;
}

/** An instance. */
export interface ServiceNow {
  readonly facts: ServiceNowFacts;
  /** What the host serves. */
  readonly router: Router;
  /** `PUT /changes/{number}`, `DELETE /changes/{number}`, `GET /changes`, `PUT /mode`, `DELETE /tokens`. */
  readonly controls: Router;
}

/** Makes an instance with no change requests. */
export function createServiceNow(): ServiceNow {
  const changes = new ChangeRequests();
  const tokens = new Set<string>();
  const secret = (): string => randomBytes(24).toString('base64url');
  const facts = {
    url: `https://${SERVICE_NOW_HOST}`,
    clientId: randomBytes(16).toString('hex'),
    clientSecret: secret(),
    user: 'keyturn.integration',
    password: secret(),
  };
  let { mode }: z.infer<typeof Mode> = { mode: 'up' };

  const router = Router();
  router.use((_request, response, next) => {
    // An instance under maintenance, or one that sleeps, answers everything with a page, and with 200.
    if (mode === 'maintenance') {
      response.type('html').send('<html><body>This instance is undergoing maintenance.</body></html>');
      return;
    }
    if (mode === 'throttled') {
      response.set({ 'Retry-After': '7', 'X-RateLimit-Limit': '100' });
      fail(response, 429, 'Rate limit exceeded', 'The rate limit rule of this user is exceeded');
      return;
    }
    next();
  });
  router.post('/oauth_token.do', urlencoded({ extended: false }), (request, response) => {
    const asked = TokenRequest.safeParse(request.body);
    const good =
      asked.success &&
      asked.data.grant_type === 'client_credentials' &&
      asked.data.client_id === facts.clientId &&
      sameSecret(asked.data.client_secret, facts.clientSecret);
    if (!good) {
      response.status(401).json({ error_description: 'access_denied', error: 'server_error' });
      return;
    }
    const token = secret();
    tokens.add(token);
    response.json({ access_token: token, scope: 'useraccount', token_type: 'Bearer', expires_in: TOKEN_SECONDS });
  });
  router.use('/api/now/table', (request, response, next) => {
    if (signedIn(request)) next();
    else fail(response, 401, 'User Not Authenticated', 'Required to provide Auth information');
  });
  router.get('/api/now/table/change_request', (request, response) => {
    const { query, limit, display, fields } = parametersOf(request);
    response.json({
      result: changes
        .find(query)
        .slice(0, limit)
        .map((row) => shown(row, display, fields)),
    });
  });
  router.get('/api/now/table/change_request/:id', (request, response) => {
    const { display, fields } = parametersOf(request);
    const row = changes.byId(request.params.id);
    if (row !== undefined) response.json({ result: shown(row, display, fields) });
    else fail(response, 404, 'No Record found', "Record doesn't exist or ACL restricts the record retrieval");
  });
  router.use((request, response) => {
    fail(response, 400, 'Requested URI does not represent any resource', `${request.method} ${request.path}`);
  });

  const controls = Router();
  controls.use(json());
  controls.get('/changes', (_request, response) => void response.json({ changes: changes.all() }));
  controls.put('/changes/:number', (request, response) => {
    response.json(changes.set(request.params.number, ChangeFields.parse(request.body ?? {})));
  });
  controls.delete('/changes/:number', (request, response) => {
    changes.remove(request.params.number);
    response.json({});
  });
  controls.put('/mode', (request, response) => {
    ({ mode } = Mode.parse(request.body));
    response.json({ mode });
  });
  controls.delete('/tokens', (_request, response) => {
    tokens.clear();
    response.json({});
  });
  return { facts, router, controls };

  function signedIn({ headers }: Request): boolean {
    const [scheme = '', given = ''] = (headers.authorization ?? '').split(' ');
    if (scheme === 'Bearer') return tokens.has(given);
    return scheme === 'Basic' && sameSecret(Buffer.from(given, 'base64').toString(), `${facts.user}:${facts.password}`);
  }
}

function parametersOf({ query }: Request): {
  readonly query: string;
  readonly limit: number;
  readonly display: string;
  readonly fields: readonly string[] | undefined;
} {
  const one = (name: string): string | undefined => {
    const value = query[name];
    return typeof value === 'string' ? value : undefined;
  };
  return {
    query: one('sysparm_query') ?? '',
    limit: Number(one('sysparm_limit') ?? '10000'),
    display: one('sysparm_display_value') ?? 'false',
    fields: one('sysparm_fields')?.split(','),
  };
}

function fail(response: Response, status: number, message: string, detail: string): void {
  response.status(status).json({ error: { message, detail }, status: 'failure' });
}
