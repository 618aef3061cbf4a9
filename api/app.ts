/** The express application: the route table, served. */
import { pipeline, Readable } from 'node:stream';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import { rateLimit } from 'express-rate-limit';
import helmet from 'helmet';
import { ERRORS } from '../domain/errors';
import { bodyReader, run } from './body';
import { authenticator, type Caller } from './caller';
import type { ApiDeps } from './deps';
import { docsPage } from './docs-page';
import { remoteKeySet } from './key-set';
import { factsOf, requestIdOf, requestLogger, serializeError } from './logging';
import { openApiDocument } from './openapi';
import { ApiError, problemDocument } from './problem';
import { expressPath, type Answer, type Route } from './route';
import { acceptSecrets } from './routes/accept';
import { createOperation } from './routes/create-operation';
import { approveOperation, denyOperation } from './routes/decisions';
import { getEvidence } from './routes/evidence';
import { getOperation } from './routes/get-operation';
import { getClusterEncryption } from './routes/inspect-cluster';
import { getRefusedSecrets } from './routes/refused-secrets';
import { documentRoutes, probeRoutes } from './routes/service';
import { cancelOperation, retryOperation } from './routes/steering';

const DEFAULT_RATE_LIMIT = { limit: 600, windowInMs: 60_000 };

/** Every route of the API. */
export function routesOf(deps: ApiDeps): Route[] {
  const routes: Route[] = [
    createOperation(deps),
    getOperation(deps),
    approveOperation(deps),
    denyOperation(deps),
    cancelOperation(deps),
    retryOperation(deps),
    acceptSecrets(deps),
    getEvidence(deps),
    getRefusedSecrets(deps),
    getClusterEncryption(deps),
    ...probeRoutes(deps),
  ];
  // Both are made once, at the start: the API must not serve a table that it cannot document.
  let document: object = {};
  let page = '';
  routes.push(
    ...documentRoutes(
      () => document,
      () => page,
    ),
  );
  document = openApiDocument(routes);
  page = docsPage(document);
  return routes;
}

/** Makes the application. It listens nowhere yet. */
export function createApp(deps: ApiDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(requestLogger(deps.logger));
  app.use(
    helmet({
      // No answer of this API loads anything; the page at /docs contains its style.
      contentSecurityPolicy: {
        useDefaults: false,
        directives: { defaultSrc: ["'none'"], styleSrc: ["'unsafe-inline'"], frameAncestors: ["'none'"] },
      },
    }),
  );
  app.use((_request, response, next) => {
    response.setHeader('Cache-Control', 'no-store');
    next();
  });

  const serve = server(deps);
  for (const route of routesOf(deps)) app[route.method](expressPath(route.path), serve(route));

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
  const { auth, clock } = deps;
  const authenticate = authenticator(auth, auth.keySet ?? remoteKeySet(auth.jwksUrl), clock);
  const readBody = bodyReader();
  const limit = rateLimiter(deps.rateLimit ?? DEFAULT_RATE_LIMIT);

  const admit = async (request: Request, response: Response): Promise<Caller> => {
    const caller = await authenticate(request.headers.authorization);
    const facts = factsOf(response);
    facts.tenantId = caller.person.tenantId;
    facts.caller = caller.person.objectId;
    await run(limit, request, response);
    return caller;
  };

  return (route) => async (request, response) => {
    const facts = factsOf(response);
    facts.route = route.path;
    const { id } = request.params;
    if (typeof id === 'string') facts.operationId = id.slice(0, 64);
    const caller = route.roles === 'public' ? undefined : await admit(request, response);
    const answer = await route.handle({
      request,
      response,
      requestId: requestIdOf(request),
      signal: goneSignal(response, deps.stopping),
      caller,
      readBody: () => readBody(request, response),
    });
    if ('id' in answer.body && typeof answer.body.id === 'string') facts.operationId = answer.body.id;
    send(response, route, answer);
  };
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
  // Not express's `set`, which would add a charset: the bytes are what they are.
  response.setHeader('Content-Type', route.answers[0].mediaType ?? 'application/json');
  if (Buffer.isBuffer(body)) response.end(body);
  // An error in the middle cuts the answer off, so that the client notices.
  else pipeline(body, response, () => undefined);
}

/** Requests are counted for each caller, not for each address: a company has few addresses. */
function rateLimiter({ limit, windowInMs }: { readonly limit: number; readonly windowInMs: number }): RequestHandler {
  return rateLimit({
    limit,
    windowMs: windowInMs,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    keyGenerator: (_request, response) => {
      const { tenantId, caller } = factsOf(response);
      return `${tenantId}:${caller}`;
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
