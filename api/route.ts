/**
 * One table of routes, from which both the express router and the OpenAPI document are made.
 *
 * A route declares its method, path, roles, schemas and the codes that its handler can answer with. `serve` does the rest for
 * every route, in this order: authenticate, limit the rate, check the role, read path, query and headers, read the body, handle.
 * Authorization comes before lookup, so a 404 never reveals what exists.
 */
import type { Readable } from 'node:stream';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { ERRORS, type ErrorCode } from '../domain/errors';
import { type Role } from '../domain/people';
import { ApiError } from './problem';
import type { Caller } from './token-claims';
import { faultsOfBody, faultsOfIssues, faultsOfQuery } from './validation';

/** An answer that is not a problem. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON; exact bytes and streams are sent as they are, with the media type of the route's first documented answer. */
  readonly body: object | Buffer | Readable;
}

/** What a handler is given. */
export interface Call<Params, Headers, Body, Query> {
  readonly request: Request;
  readonly requestId: string;
  /** Aborted when the client has gone away or the process is stopping. */
  readonly signal: AbortSignal;
  readonly params: Params;
  readonly query: Query;
  readonly headers: Headers;
  readonly body: Body;
}

/** What a request asks for, parsed: for the audit log. */
export interface Asking {
  readonly query: unknown;
  readonly headers: unknown;
  readonly body: unknown;
}

/** Headers that a route reads: how they are documented, and how they are read. */
export interface HeaderReader<Headers> {
  readonly documented: z.ZodObject;
  /** @throws ApiError when one is missing or cannot be used */
  readonly read: (request: Request) => Headers;
}

/** An answer as the API document shows it. */
export interface DocumentedAnswer {
  readonly status: number;
  readonly description: string;
  /** Default `application/json`. */
  readonly mediaType?: string;
  readonly schema?: z.ZodType;
  /** The answer has no body, as with 304. */
  readonly empty?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What all routes have, whatever their types. */
export interface RouteFacts {
  readonly method: 'get' | 'post';
  /** As OpenAPI writes it: `/v1/operations/{id}:approve`. */
  readonly path: string;
  /** The operation's name in the API document. */
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  /** The caller needs one of these roles; `public` routes need no token. */
  readonly roles: readonly [Role, ...Role[]] | 'public';
  /** A public route whose requests are counted for each address. */
  readonly limitedByAddress?: true;
  readonly answers: readonly [DocumentedAnswer, ...DocumentedAnswer[]];
  /** Codes that the handler itself answers with; those of the frame are added. */
  readonly codes: readonly ErrorCode[];
  readonly params?: z.ZodObject;
  /** A route without it ignores queries; with it, a parameter that it does not know is refused. */
  readonly query?: z.ZodObject;
  readonly headers?: { readonly documented: z.ZodObject };
  /** A body that is not sent counts as `{}`. */
  readonly body?: z.ZodType;
}

/** A route, ready to be served. `Handling` takes what the frame read and checked. */
export interface Route extends RouteFacts {
  /** Reads what the route needs, and answers. @throws ApiError */
  handle(incoming: Incoming): Promise<Answer>;
}

/** A request after authentication. */
export interface Incoming {
  readonly request: Request;
  readonly response: Response;
  readonly requestId: string;
  readonly signal: AbortSignal;
  /** Absent on public routes. */
  readonly caller?: Caller;
  /** Reads the body, when the route has one. @throws ApiError */
  readonly readBody: () => Promise<unknown>;
  /** Tells the audit log what is asked, before the handler changes anything. @throws ApiError when the log cannot be written */
  readonly announce: (asking: Asking) => Promise<void>;
}

type Parsed<Schema> = Schema extends z.ZodType ? z.infer<Schema> : undefined;

/** Defines a route that needs a role. */
export function route<
  Params extends z.ZodObject | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
  Headers = undefined,
  Query extends z.ZodObject | undefined = undefined,
>(
  definition: RouteFacts & {
    readonly roles: readonly [Role, ...Role[]];
    readonly params?: Params;
    readonly query?: Query;
    readonly headers?: HeaderReader<Headers>;
    readonly body?: Body;
    readonly handle: (
      call: Call<Parsed<Params>, Headers, Parsed<Body>, Parsed<Query>> & { readonly caller: Caller },
    ) => Promise<Answer>;
  },
): Route {
  return {
    ...definition,
    handle: async ({ request, requestId, signal, caller, readBody, announce }) => {
      if (caller === undefined) throw new Error(`${definition.path} was served without a caller.`);
      requireRole(caller, definition.roles);
      const params = definition.params === undefined ? undefined : parseParams(definition.params, request.params);
      const query = definition.query === undefined ? undefined : parseQuery(definition.query, request.query);
      const headers = definition.headers?.read(request);
      const body = definition.body === undefined ? undefined : parseBody(definition.body, await readBody());
      await announce({ query, headers, body });
      return definition.handle({
        request,
        requestId,
        signal,
        caller,
        params: params as Parsed<Params>,
        query: query as Parsed<Query>,
        headers: headers as Headers,
        body: body as Parsed<Body>,
      });
    },
  };
}

/** Defines a route that needs no token. */
export function publicRoute(
  definition: Omit<RouteFacts, 'roles' | 'params' | 'query' | 'headers' | 'body'> & {
    readonly handle: (call: Call<undefined, undefined, undefined, undefined>) => Promise<Answer>;
  },
): Route {
  return {
    ...definition,
    roles: 'public',
    handle: ({ request, requestId, signal }) =>
      definition.handle({
        request,
        requestId,
        signal,
        params: undefined,
        query: undefined,
        headers: undefined,
        body: undefined,
      }),
  };
}

/** Every code that a request to a route can be answered with: the handler's and the frame's, in the table's order. */
export function codesOf(facts: RouteFacts): ErrorCode[] {
  const frame: ErrorCode[] = ['InternalError'];
  if (facts.roles !== 'public')
    frame.push('Unauthenticated', 'TokenExpired', 'RoleMissing', 'ScopeMissing', 'RateLimited', 'IssuerUnavailable');
  if (facts.roles !== 'public' && facts.method !== 'get') frame.push('AuditUnavailable');
  if (facts.limitedByAddress) frame.push('RateLimited');
  // Of a path whose percent-encoding is broken.
  if (facts.params !== undefined) frame.push('RouteNotFound');
  if (facts.query !== undefined) frame.push('InvalidRequest');
  if (facts.body !== undefined) frame.push('NotJson', 'InvalidRequest', 'BodyTooLarge', 'UnsupportedMediaType');
  const all = new Set<string>([...facts.codes, ...frame]);
  return (Object.keys(ERRORS) as ErrorCode[]).filter((code) => all.has(code));
}

/** A path as express wants it: `/v1/operations/:id\:approve`. An unescaped colon would start another parameter. */
export function expressPath(path: string): string {
  return path.replaceAll(':', '\\:').replaceAll(/\{(\w+)\}/g, ':$1');
}

function requireRole(caller: Caller, roles: readonly Role[]): void {
  if (roles.some((role) => caller.roles.includes(role))) return;
  const needed = roles.length === 1 ? `the role ${roles[0]}` : `one of the roles ${roles.join(', ')}`;
  throw new ApiError({
    code: 'RoleMissing',
    detail: `${caller.person.name} does not hold ${needed}. Have it assigned (Entra: under Enterprise applications), then get a new token.`,
  });
}

function parseParams<Schema extends z.ZodType>(schema: Schema, params: unknown): z.infer<Schema> {
  const parsed = schema.safeParse({ ...(params as object) });
  if (parsed.success) return parsed.data;
  // A path has no members that a pointer could point at.
  const [{ code, detail }] = faultsOfIssues(parsed.error.issues);
  throw new ApiError({ code, detail });
}

function parseQuery<Schema extends z.ZodObject>(schema: Schema, query: Request['query']): z.infer<Schema> {
  // A parameter that may be repeated and is not is a list of one.
  const given = Object.entries(query).map(([name, value]) => [name, takesMany(schema, name) ? [value].flat() : value]);
  const parsed = schema.safeParse(Object.fromEntries(given), { reportInput: true });
  if (parsed.success) return parsed.data;
  throw new ApiError(faultsOfQuery(parsed.error.issues));
}

function takesMany({ shape }: z.ZodObject, name: string): boolean {
  const member: unknown = Object.hasOwn(shape, name) ? shape[name] : undefined;
  return (member instanceof z.ZodOptional ? member.unwrap() : member) instanceof z.ZodArray;
}

function parseBody<Schema extends z.ZodType>(schema: Schema, body: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(body, { reportInput: true });
  if (parsed.success) return parsed.data;
  throw new ApiError(faultsOfBody(schema, body, parsed.error.issues));
}
