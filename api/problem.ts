/** Problem documents (RFC 9457): the one form of every answer that is not a success. */
import { z } from 'zod';
import { ERRORS, type ErrorCode, type Fault } from '../domain/errors';

/** Seconds after which a client should repeat a retryable request, where the default does not fit. */
const RETRY_AFTER_IN_SECONDS: Partial<Record<ErrorCode, number>> = {
  TemporalUnavailable: 5,
  WorkerUnavailable: 5,
  EvidenceNotReady: 2,
  ClusterBusy: 30,
  ClusterNotRunning: 60,
  ClusterNotSucceeded: 30,
};
const DEFAULT_RETRY_AFTER_IN_SECONDS = 10;

/** A request that is answered with a problem document. */
export class ApiError extends Error {
  /** What is wrong. The first fault gives the code and the status. */
  readonly faults: readonly [Fault, ...Fault[]];
  /** Seconds; replaces the code's own. */
  readonly retryAfterInSeconds?: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    faults: Fault | readonly [Fault, ...Fault[]],
    options: {
      readonly cause?: unknown;
      readonly retryAfterInSeconds?: number;
      readonly headers?: Record<string, string>;
    } = {},
  ) {
    const all = 'code' in faults ? ([faults] as const) : faults;
    super(`${all[0].code}: ${all[0].detail}`, { cause: options.cause });
    this.name = 'ApiError';
    this.faults = all;
    this.retryAfterInSeconds = options.retryAfterInSeconds;
    this.headers = options.headers ?? {};
  }

  get code(): ErrorCode {
    return this.faults[0].code;
  }
}

const codes = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]];

const pointer = z
  .string()
  .meta({ description: 'JSON Pointer (RFC 6901) into the request body.', example: '/parameters/keyId' });

/** A problem document. */
export const ProblemDocument = z
  .object({
    type: z
      .string()
      .meta({ description: '`urn:keyturn:error:` and the code.', example: 'urn:keyturn:error:KeyExpired' }),
    title: z.string().meta({ description: 'The same for every occurrence of the code.' }),
    status: z.int(),
    detail: z.string().meta({ description: 'What is wrong here, and what would help.' }),
    instance: z.string().meta({ description: 'The path that was asked for.' }),
    code: z.enum(codes).meta({ description: 'For programs. Stable.' }),
    pointer: pointer.optional(),
    errors: z
      .array(z.object({ code: z.enum(codes), detail: z.string(), pointer: pointer.optional() }))
      .meta({ description: 'Everything that is wrong, the first one included.' }),
    requestId: z.string().meta({ description: 'The X-Request-Id of the answer; the log has the same.' }),
    retryAfter: z
      .int()
      .optional()
      .meta({ description: 'Seconds after which the same request may succeed. Absent when it must be changed first.' }),
  })
  .meta({ id: 'Problem', description: 'A problem document (RFC 9457).' });
/** A problem document. */
export type ProblemDocument = z.infer<typeof ProblemDocument>;

/** The document of an error. @param instance the path that was asked for, without its query */
export function problemDocument(
  error: ApiError,
  request: { readonly instance: string; readonly requestId: string },
): ProblemDocument {
  const [first] = error.faults;
  const { status, title } = ERRORS[first.code];
  return {
    type: `urn:keyturn:error:${first.code}`,
    title,
    status,
    detail: first.detail,
    instance: request.instance,
    code: first.code,
    pointer: first.pointer,
    errors: error.faults.map(({ code, detail, pointer: at }) => ({ code, detail, pointer: at })),
    requestId: request.requestId,
    retryAfter: retryAfterOf(error),
  };
}

function retryAfterOf(error: ApiError): number | undefined {
  // If one fault needs a changed request, repeating the same request is pointless.
  if (!error.faults.every(({ code }) => ERRORS[code].retryable)) return undefined;
  return error.retryAfterInSeconds ?? RETRY_AFTER_IN_SECONDS[error.code] ?? DEFAULT_RETRY_AFTER_IN_SECONDS;
}
