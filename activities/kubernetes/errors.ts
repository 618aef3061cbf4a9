/** Answers of an API server that are not a success. */
import { z } from 'zod';
import type { RefusalReason } from '../../domain/refusal';
import { isStorageFull, safeAnswer, type StatusCause } from './refusal-text';

/** `metav1.Status`, as far as it is needed. */
const Status = z.object({
  reason: z.string().optional(),
  message: z.string().optional(),
  metadata: z.object({ continue: z.string().optional() }).optional(),
  details: z
    .object({
      retryAfterSeconds: z.number().optional(),
      causes: z
        .array(z.object({ reason: z.string().optional(), field: z.string().optional() }))
        .nullish()
        .catch(undefined),
    })
    .nullish()
    .catch(undefined),
});

/** What is known about a failed request. */
export interface KubeErrorInit {
  /** HTTP status; undefined when no answer came. */
  readonly status?: number;
  /** Kubernetes status reason, `Forbidden`, `Invalid` …; the transport's code when no answer came. */
  readonly reason: string;
  /** The API server's message. Keyturn reads its meaning and does not keep it: it may quote a Secret. */
  readonly message: string;
  readonly causes?: readonly StatusCause[];
  /** The address of the request, for the message when no answer came. */
  readonly server?: string;
  readonly retryAfterInMs?: number;
  /** The token that a 410 offers for going on with a newer list. */
  readonly continueToken?: string;
}

/**
 * A request that an API server did not answer with success. Its message is Keyturn's own sentence. Neither the server's message
 * nor the error of the transport is kept, not even as a cause: both may contain a part of an answer (S1).
 */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly status: number | undefined;
  readonly reason: string;
  /** What the answer means for the Secret of the request. */
  readonly refusal: RefusalReason;
  readonly retryAfterInMs: number | undefined;
  readonly continueToken: string | undefined;
  /** Whether etcd stores nothing more. */
  readonly storageFull: boolean;

  constructor(init: KubeErrorInit) {
    const { text, reason, refusal } = safeAnswer(init);
    super(text);
    this.status = init.status;
    this.reason = reason;
    this.refusal = refusal;
    this.retryAfterInMs = init.retryAfterInMs;
    this.continueToken = init.continueToken;
    this.storageFull = isStorageFull(init);
  }

  /** Whether the same request may succeed later by itself. */
  get transient(): boolean {
    const { status } = this;
    return (
      status === undefined || status === 408 || status === 409 || status === 410 || status === 429 || status >= 500
    );
  }
}

/** @param body the answer's text, a `metav1.Status` when the API server itself answered */
export function kubeErrorFrom(status: number, body: string, retryAfterInMs: number | undefined): KubeError {
  const parsed = Status.safeParse(jsonOrUndefined(body)).data;
  const suggested = parsed?.details?.retryAfterSeconds;
  return new KubeError({
    status,
    reason: parsed?.reason ?? `Http${status}`,
    message: parsed?.message ?? '',
    causes: parsed?.details?.causes ?? [],
    retryAfterInMs: retryAfterInMs ?? (suggested === undefined ? undefined : suggested * 1000),
    continueToken: parsed?.metadata?.continue,
  });
}

/**
 * The JSON of a successful answer.
 * @throws KubeError of a transient kind when it is not JSON: a parser's own error would quote it
 */
export function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new KubeError({ reason: 'NOT_JSON', message: '' });
  }
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
