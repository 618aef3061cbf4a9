/** Logs: one JSON line for each request, and one for each error. Never bodies, tokens, query strings or headers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { randomUUID } from 'node:crypto';
import { pino, type Logger, type LevelWithSilent } from 'pino';
import { pinoHttp, type HttpLogger } from 'pino-http';

const REQUEST_ID = /^[\w.-]{1,64}$/;
const DEEPEST_CAUSE = 5;

/** What a request's log line says besides method, path and status. */
export interface RequestFacts {
  /** The path's template: `/v1/operations/{id}`. */
  route?: string;
  tenantId?: string;
  /** Object id of the caller. */
  caller?: string;
  operationId?: string;
  /** The code of the problem that was answered. */
  code?: string;
}

/** What is known about a request so far; handlers add to it. It is kept in express's `response.locals`. */
export function factsOf(response: ServerResponse & { locals?: { facts?: RequestFacts } }): RequestFacts {
  const locals = (response.locals ??= {});
  return (locals.facts ??= {});
}

/** The logger of a process. Writes to standard error: standard output is for the line that says where the API listens. */
export function createLogger(level: LevelWithSilent): Logger {
  return pino(
    {
      level,
      base: { service: 'keyturn-api' },
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: serializeError },
      redact: ['req.headers', 'authorization', '*.authorization', 'headers.authorization'],
    },
    pino.destination({ fd: 2, sync: true }),
  );
}

/** Logs each request when it has been answered, and gives it its id: the client's X-Request-Id when that is usable. */
export function requestLogger(logger: Logger): HttpLogger {
  return pinoHttp({
    logger,
    genReqId: (request: IncomingMessage, response: ServerResponse) => {
      const given = request.headers['x-request-id'];
      const id = typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
      response.setHeader('X-Request-Id', id);
      return id;
    },
    // pino-http would nest the request and response objects; one flat line is easier to search.
    quietReqLogger: true,
    serializers: { req: () => undefined, res: () => undefined },
    // The cause of a 5xx has a line of its own; pino-http would add an error that only says the status.
    customErrorObject: (_request: IncomingMessage, _response: ServerResponse, _error: Error, values: object) => ({
      ...values,
      err: undefined,
    }),
    customAttributeKeys: { reqId: 'requestId' },
    // Called at the start of a request, too, when nothing is known yet.
    customProps: (request: IncomingMessage, response: ServerResponse) =>
      response.writableEnded || response.destroyed
        ? { method: request.method, path: pathOf(request), status: response.statusCode, ...factsOf(response) }
        : {},
    customLogLevel: (request: IncomingMessage, response: ServerResponse) => {
      if (response.statusCode >= 500) return 'error';
      return isProbe(request) ? 'debug' : 'info';
    },
    customSuccessMessage: () => 'request',
    customErrorMessage: () => 'request',
  });
}

/**
 * An error as it is logged: name, message, code, stack, causes. Other properties are left out on purpose: errors of HTTP and
 * gRPC clients carry requests with their Authorization headers.
 */
export function serializeError(error: unknown, depth = 0): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const { cause } = error;
  return {
    name: error.name,
    message: error.message,
    code: 'code' in error && typeof error.code !== 'object' ? error.code : undefined,
    stack: error.stack,
    cause: cause === undefined || depth >= DEEPEST_CAUSE ? undefined : serializeError(cause, depth + 1),
  };
}

/** The id that `requestLogger` gave to a request. */
export function requestIdOf({ id }: IncomingMessage): string {
  return typeof id === 'string' ? id : '';
}

function pathOf(request: IncomingMessage): string {
  const url =
    'originalUrl' in request && typeof request.originalUrl === 'string' ? request.originalUrl : (request.url ?? '');
  return url.split('?', 1)[0]?.slice(0, 300) ?? '';
}

function isProbe(request: IncomingMessage): boolean {
  return ['/healthz', '/readyz'].includes(pathOf(request));
}
