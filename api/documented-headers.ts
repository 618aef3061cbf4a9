/** The headers of responses in the API document: those that the frame adds to every route, and the route's own. */
import type { ZodOpenApiResponseObject } from 'zod-openapi';
import { ERRORS, type ErrorCode } from '../domain/errors';
import type { DocumentedAnswer, RouteFacts } from './route';

type Headers = Extract<NonNullable<ZodOpenApiResponseObject['headers']>, Record<string, unknown>>;

const REQUEST_ID = header("The request's id in the log: the client's X-Request-Id, or a new one.", { required: true });
const RATE_LIMIT: Headers = {
  RateLimit: header('What is left of the limit, and when it starts anew (draft-ietf-httpapi-ratelimit-headers-08).'),
  'RateLimit-Policy': header('The limit of requests of one caller.'),
};
/** Headers of a success. */
export function headersOfAnswer(route: RouteFacts, { headers = {} }: DocumentedAnswer): Headers {
  return {
    'X-Request-Id': REQUEST_ID,
    ...(isCounted(route) ? RATE_LIMIT : {}),
    ...Object.fromEntries(
      Object.entries(headers).map(([name, text]) => [
        name,
        name === 'Retry-After' ? header(text, { type: 'integer' }) : header(text),
      ]),
    ),
  };
}

/** Headers of the problem documents of one status. */
export function headersOfProblem(route: RouteFacts, status: number, codes: readonly ErrorCode[]): Headers {
  const retryable = codes.filter((code) => ERRORS[code].retryable);
  const challenged = status === 401 || codes.includes('ScopeMissing');
  return {
    'X-Request-Id': REQUEST_ID,
    // A 401 has them when the token at fault is the one of a person whom a program names.
    ...(isCounted(route) ? RATE_LIMIT : {}),
    ...(retryable.length === 0
      ? {}
      : {
          'Retry-After': header('Seconds after which the same request may succeed, as `retryAfter` in the body.', {
            type: 'integer',
          }),
        }),
    ...(challenged
      ? { 'WWW-Authenticate': header('What is wrong with the access token (RFC 6750).', { required: status === 401 }) }
      : {}),
  };
}

/** Whether requests of the route are counted: for each caller, or for each address. */
function isCounted({ roles, limitedByAddress }: RouteFacts): boolean {
  return roles !== 'public' || limitedByAddress === true;
}

function header(
  description: string,
  { type = 'string', required = false }: { readonly type?: 'string' | 'integer'; readonly required?: boolean } = {},
): Headers[string] {
  return { description, required, schema: { type, ...(type === 'integer' ? { minimum: 0 } : {}) } };
}
