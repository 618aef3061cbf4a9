/** The express application: the route table, served. */
import { setMaxListeners } from 'node:events';
import { pipeline, Readable } from 'node:stream';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import { ipKeyGenerator, rateLimit } from 'express-rate-limit';
import helmet from 'helmet';
import { ERRORS } from '../domain/errors';
import { RequestAudit } from './audit';
import { bodyReader, run } from './body';
import { authenticator } from './caller';
import type { ApiDeps } from './deps';
import { fileOf } from './docs-files';
import { remoteKeySet } from './key-set';
import { ON_BEHALF_OF, withInitiator } from './on-behalf-of';
import { known } from './policy/authorize';
import { claimedBy, LoginRefused } from './login-refused';
import { factsOf, requestIdOf, requestLogger, serializeError } from './logging';
import { openApiDocument } from './openapi';
import { byPath, notAllowed } from './not-allowed';
import { createOperationPoller } from './operation-poller';
import { ApiError, problemDocument } from './problem';
import { expressPath, type Answer, type Incoming, type Route } from './route';
import { acceptSecrets } from './routes/accept';
import { createOperation } from './routes/create-operation';
import { approveOperation, denyOperation } from './routes/decisions';
import { getEvidence } from './routes/evidence';
import { getOperation } from './routes/get-operation';
import { getDoctor } from './routes/doctor';
import { getClusterCsi, getClusterEncryption, getClusterLedger } from './routes/inspect-cluster';
import { getKeyUsers } from './routes/key-users';
import { listOperations } from './routes/list-operations';
import { getOperationEvents } from './routes/operation-events';
import { pauseOperation, resumeOperation } from './routes/pausing';
import { getRefusedSecrets } from './routes/refused-secrets';
import { documentRoutes, probeRoutes } from './routes/service';
import { cancelOperation, retryOperation } from './routes/steering';
import { listDeliveries, replayDelivery } from './routes/webhooks';
import type { Caller } from './token-claims';

const DEFAULT_RATE_LIMIT = { limit: 600, windowInMs: 60_000 };

/** Every route of the API. */
export function routesOf(deps: ApiDeps): Route[] {
  // Shared by all who wait for an operation.
  const poller = createOperationPoller(deps.gateway);
  const routes: Route[] = [
    createOperation(deps),
    listOperations(deps),
    getOperation(deps, poller),
    getOperationEvents(deps, poller),
    approveOperation(deps),
    denyOperation(deps),
    cancelOperation(deps),
    retryOperation(deps),
    pauseOperation(deps),
    resumeOperation(deps),
    acceptSecrets(deps),
    getEvidence(deps),
    getRefusedSecrets(deps),
    getClusterEncryption(deps),
    getClusterCsi(deps),
    listDeliveries(deps),
    replayDelivery(deps),
    getClusterLedger(deps),
    getKeyUsers(deps),
    getDoctor(deps),
    ...probeRoutes(deps),
  ];
  // Made once, at the start: the API must not serve a table that it cannot document.
  let document = fileOf(Buffer.alloc(0), 'application/json');
  routes.push(...documentRoutes(() => document));
  document = fileOf(Buffer.from(JSON.stringify(openApiDocument(routes))), 'application/json');
  return routes;
}

/** Makes the application. It listens nowhere yet. */
export function createApp(deps: ApiDeps): Express {
  // Each request under way listens to it.
  if (deps.stopping) setMaxListeners(0, deps.stopping);
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(requestLogger(deps.logger));
  app.use(
    helmet({
      // No answer of this API loads anything; the page at /docs has a policy of its own.
      contentSecurityPolicy: {
        useDefaults: false,
        // The last three have no default in `default-src`.
        directives: {
          defaultSrc: ["'none'"],
          baseUri: ["'none'"],
          formAction: ["'none'"],
          frameAncestors: ["'none'"],
        },
      },
    }),
  );
  app.use((_request, response, next) => {
    response.setHeader('Cache-Control', 'no-store');
    next();
  });

  const serve = server(deps);
  for (const { path, routes } of byPath(routesOf(deps))) {
    for (const route of routes) app[route.method](expressPath(path), serve(route));
    app.all(expressPath(path), notAllowed(routes));
  }

  app.use((request: Request) => {
    throw new ApiError({
      code: 'RouteNotFound',
      detail: `There is no ${request.method} ${request.path.slice(0, 200)}. The API is described at /docs.`,
    });
  });
  app.use(errorAnswer(deps));
  return app;
}

/** What every route does around its handler: see the order in route.ts. */
function server(deps: ApiDeps): (route: Route) => RequestHandler {
  const { auth, clock, logger } = deps;
  const keySet =
    auth.keySet ??
    remoteKeySet(auth.jwksUrl ?? auth, {
      keptInMs: auth.keysKeptInMs,
      onFailure: (error) => logger.warn({ cause: serializeError(error) }, 'signing keys not fetched'),
    });
  const authenticate = authenticator(auth, keySet, clock);
  const readBody = bodyReader();
  const limit = rateLimiter(deps.rateLimit ?? DEFAULT_RATE_LIMIT);
  const audit = new RequestAudit(deps.audit, logger);

  const admit = async (request: Request, response: Response): Promise<Caller> => {
    const authenticated = await authenticate(request.headers.authorization).catch((error: unknown) => {
      logRefusal(error, request.headers.authorization, request, logger, audit);
      throw error;
    });
    const facts = factsOf(response);
    facts.tenantId = authenticated.person.tenantId;
    facts.caller = authenticated.person.objectId;
    await run(limit, request, response);
    const caller = await withInitiator(authenticated, request, authenticate).catch((error: unknown) => {
      logRefusal(error, request.get(ON_BEHALF_OF), request, logger, audit);
      throw error;
    });
    return { ...caller, person: known(deps.access?.current(), caller.person) };
  };

  return (route) => async (request, response) => {
    const facts = factsOf(response);
    facts.route = route.path;
    const { id } = request.params;
    if (typeof id === 'string') facts.operationId = id.slice(0, 64);
    const caller = route.roles === 'public' ? undefined : await admit(request, response);
    if (route.limitedByAddress) await run(limit, request, response);
    const requestId = requestIdOf(request);
    const handle = (announce: Incoming['announce']): Promise<Answer> =>
      route.handle({
        request,
        response,
        requestId,
        signal: goneSignal(response, deps.stopping),
        caller,
        readBody: () => readBody(request, response),
        announce,
      });
    const { operationId: operation } = facts;
    const answer =
      caller === undefined
        ? await handle(() => Promise.resolve())
        : await audit.around({ route, caller, requestId, operation }, handle);
    if ('id' in answer.body && typeof answer.body.id === 'string') facts.operationId = answer.body.id;
    send(response, route, answer);
  };
}

/** A login that failed has a line of its own: what was wrong, and what the token claims to be; never the token. */
function logRefusal(
  error: unknown,
  authorization: string | undefined,
  request: Request,
  logger: ApiDeps['logger'],
  audit: RequestAudit,
): void {
  if (!(error instanceof LoginRefused)) return;
  const claimed = claimedBy(authorization);
  audit.loginRefused(error, requestIdOf(request), claimed);
  logger.warn(
    {
      requestId: requestIdOf(request),
      code: error.code,
      fault: error.fault,
      claimed,
    },
    'login refused',
  );
}

function send(response: Response, route: Route, { status, headers, body }: Answer): void {
  if (response.destroyed) {
    if (body instanceof Readable) body.destroy();
    return;
  }
  response.status(status).set({ ...headers });
  if (!Buffer.isBuffer(body) && !(body instanceof Readable)) {
    response.json(body);
    return;
  }
  if (status === 304) {
    response.end();
    return;
  }
  // Not express's `set`, which would add a charset: the bytes are what they are.
  if (status !== 304) response.setHeader('Content-Type', route.answers[0].mediaType ?? 'application/json');
  if (Buffer.isBuffer(body)) response.end(body);
  // An error in the middle cuts the answer off, so that the client notices.
  else pipeline(body, response, () => undefined);
}

/** Requests are counted for each caller, not for each address: a company has few addresses. What needs no token has only that. */
function rateLimiter({ limit, windowInMs }: { readonly limit: number; readonly windowInMs: number }): RequestHandler {
  return rateLimit({
    limit,
    windowMs: windowInMs,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    keyGenerator: (request, response) => {
      const { tenantId, caller } = factsOf(response);
      return caller === undefined ? `address:${ipKeyGenerator(request.ip ?? '')}` : `${tenantId}:${caller}`;
    },
    handler: (_request, response, next) => {
      const after = Number(response.getHeader('Retry-After')) || Math.ceil(windowInMs / 1000);
      next(
        new ApiError(
          {
            code: 'RateLimited',
            detail: `More than ${limit} requests in ${Math.round(windowInMs / 1000)} s. Wait ${after} s; "Prefer: wait=20" saves requests.`,
          },
          { retryAfterInSeconds: after },
        ),
      );
    },
  });
}

function errorAnswer({ logger }: ApiDeps): ErrorRequestHandler {
  return (thrown: unknown, request, response, next) => {
    const error = problemOf(thrown);
    const requestId = requestIdOf(request);
    factsOf(response).code = error.code;
    // The request's own line says what the caller did wrong; a fault of the service is logged with its cause.
    if (error.cause !== undefined && ERRORS[error.code].status >= 500) {
      logger.error({ requestId, code: error.code, cause: serializeError(error.cause) }, error.faults[0].detail);
    }
    if (response.headersSent || response.destroyed) {
      next(thrown);
      return;
    }
    const document = problemDocument(error, { instance: request.path, requestId });
    if (document.retryAfter !== undefined) response.setHeader('Retry-After', String(document.retryAfter));
    response.status(document.status).set(error.headers);
    response.set('Content-Type', 'application/problem+json').end(JSON.stringify(document));
  };
}

function problemOf(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  // express could not decode the percent-encoding of a path parameter.
  if (thrown instanceof URIError)
    return new ApiError({ code: 'RouteNotFound', detail: 'The path is not percent-encoded UTF-8.' });
  return new ApiError(
    {
      code: 'InternalError',
      detail:
        'Something is wrong inside Keyturn. Look for the requestId of this answer in the log of the API: it has the cause.',
    },
    { cause: thrown },
  );
}

/** Aborts when the client has gone away, or when the process stops. */
function goneSignal(response: Response, stopping: AbortSignal | undefined): AbortSignal {
  const gone = new AbortController();
  const abort = (): void => gone.abort();
  if (stopping?.aborted) abort();
  // Not AbortSignal.any: it would keep something of each request with the signal of the whole process.
  stopping?.addEventListener('abort', abort, { once: true });
  response.once('close', () => {
    stopping?.removeEventListener('abort', abort);
    abort();
  });
  return gone.signal;
}
