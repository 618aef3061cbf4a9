/** What an API server answered when it did not do what was asked. */
import { z } from 'zod';

const MESSAGE_LIMIT = 300;
/**
 * What is left out of messages, because it may quote a Secret (S1): the own words of admission policies and webhooks, which
 * are free text written by others; values that validation quotes; and long runs of base64 characters anywhere.
 */
const LEFT_OUT: readonly (readonly [RegExp, string | ((found: string) => string)])[] = [
  [/(denied (?:the )?request)\b.*$/, '$1 (its own words are left out: they may quote the Secret)'],
  [/(invalid value:) (?:"(?:[^"\\]|\\.)*"|\S+)/gi, '$1 [left out]'],
  // The path of a record in etcd is made of names, and is how an API server says which Secret it cannot read.
  [/[A-Za-z0-9+/_=]{40,}/g, (found) => (found.startsWith('/registry/') ? found : '[left out]')],
];

/** `metav1.Status`, as far as it is needed. */
const Status = z.object({
  reason: z.string().optional(),
  message: z.string().optional(),
  metadata: z.object({ continue: z.string().optional() }).optional(),
  details: z.object({ retryAfterSeconds: z.number().optional() }).nullish(),
});

/** What is known of a failed request. */
export interface KubeErrorInit {
  /** HTTP status; undefined when no answer came. */
  readonly status?: number;
  /** Kubernetes status reason, `Forbidden`, `Invalid` …; the transport's code when no answer came. */
  readonly reason: string;
  readonly message: string;
  readonly retryAfterInMs?: number;
  /** The token that a 410 offers for going on with a newer list. */
  readonly continueToken?: string;
  readonly cause?: unknown;
}

/** A request that an API server did not answer with success. Its message is safe to show: short, and free of values. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly status: number | undefined;
  readonly reason: string;
  readonly retryAfterInMs: number | undefined;
  readonly continueToken: string | undefined;

  constructor(init: KubeErrorInit) {
    super(safeMessage(init.message), { cause: init.cause });
    this.status = init.status;
    this.reason = init.reason;
    this.retryAfterInMs = init.retryAfterInMs;
    this.continueToken = init.continueToken;
  }

  /** Whether the same request may succeed later without anybody doing anything. */
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
    message: parsed?.message ?? `The API server answered HTTP ${status}.`,
    retryAfterInMs: retryAfterInMs ?? (suggested === undefined ? undefined : suggested * 1000),
    continueToken: parsed?.metadata?.continue,
  });
}

/** One line, at most 300 characters, without what may be a value. */
export function safeMessage(message: string): string {
  const line = LEFT_OUT.reduce(
    (text, [found, instead]) =>
      text.replace(found, (...match: [string, string]) =>
        typeof instead === 'string' ? instead.replace('$1', match[1]) : instead(match[0]),
      ),
    message.replaceAll(/\s+/g, ' '),
  );
  return line.length <= MESSAGE_LIMIT ? line : `${line.slice(0, MESSAGE_LIMIT - 1)}…`;
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
