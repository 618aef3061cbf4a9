/**
 * What the API tells the audit log.
 *
 * Does: stores a line with a request that may change something before its handler runs, and a line with the answer after it; a line for
 *       each caller that is refused for want of a right; and refused logins, a bounded number in a minute.
 * Never does: let a request through whose line is not stored (`AuditUnavailable`). A line about an answer or a refused login that cannot
 *       be stored is logged instead: the operation knows already, or nothing was let in.
 */
import type { Logger } from 'pino';
import { auditActor, type AuditEvent } from '../domain/audit';
import { ERRORS } from '../domain/errors';
import { AuditUnavailable, type AuditTrail } from '../evidence/audit-log';
import { operationIdFor } from './idempotency';
import { serializeError } from './logging';
import type { claimedBy, LoginRefused } from './login-refused';
import { ApiError } from './problem';
import type { Answer, Asking, RouteFacts } from './route';
import type { Caller } from './token-claims';

/** Refused logins that have a line of their own, in a minute: whoever sends them must not fill the store. */
const LOGIN_LINES_IN_A_MINUTE = 60;
const ONE_MINUTE_IN_MS = 60_000;

/** A request, before its handler. */
export interface AuditedRequest {
  readonly route: RouteFacts;
  readonly caller: Caller;
  readonly requestId: string;
  /** The id in the path. */
  readonly operation?: string;
}

/** The audit of one API process. */
export class RequestAudit {
  #logins = { since: 0, lines: 0, unlisted: 0 };

  constructor(
    private readonly trail: AuditTrail,
    private readonly logger: Logger,
  ) {}

  /** Runs a handler. @param handle is given what it must await before it changes anything */
  async around(
    of: AuditedRequest,
    handle: (announce: (asking: Asking) => Promise<void>) => Promise<Answer>,
  ): Promise<Answer> {
    let asked = false;
    try {
      const answer = await handle(async (asking) => {
        if (of.route.method === 'get') return;
        await this.#ask(of, asking);
        asked = true;
      });
      if (asked) this.#answered(of, { status: answer.status, operation: operationIn(answer.body) });
      return answer;
    } catch (error) {
      const code = error instanceof ApiError ? error.code : 'InternalError';
      const { status } = ERRORS[code];
      if (asked || status === 403) this.#answered(of, { status, code });
      throw error;
    }
  }

  /** A login that was refused. Returns at once. */
  loginRefused(refused: LoginRefused, requestId: string, claimed: ReturnType<typeof claimedBy>): void {
    const now = performance.now();
    if (now - this.#logins.since >= ONE_MINUTE_IN_MS) this.#logins = { ...this.#logins, since: now, lines: 0 };
    if (this.#logins.lines >= LOGIN_LINES_IN_A_MINUTE) {
      this.#logins.unlisted += 1;
      return;
    }
    const { unlisted } = this.#logins;
    this.#logins = { ...this.#logins, lines: this.#logins.lines + 1, unlisted: 0 };
    const { code, fault } = refused;
    this.#bestEffort({ event: 'login-refused', requestId, code, fault, unlisted, ...(claimed && { claimed }) });
  }

  async #ask(of: AuditedRequest, asking: Asking): Promise<void> {
    try {
      await this.trail.append({
        event: 'asked',
        ...ofRequest(of),
        ...(of.caller.clientId === undefined ? {} : { client: of.caller.clientId.slice(0, 100).toLowerCase() }),
        ...wordsOf(asking, of.caller),
      });
    } catch (cause) {
      if (!(cause instanceof AuditUnavailable)) throw cause;
      throw new ApiError(
        {
          code: 'AuditUnavailable',
          detail:
            'Keyturn could not write the request into the audit log, so it did nothing: no operation was started or told. Send the same request again. If it lasts, look at the evidence store and its rights.',
        },
        { cause },
      );
    }
  }

  #answered(of: AuditedRequest, { operation, ...answer }: { status: number; code?: string; operation?: string }): void {
    this.#bestEffort({
      event: 'answered',
      ...ofRequest(of),
      ...answer,
      ...(operation === undefined ? {} : { operation }),
    });
  }

  #bestEffort(event: AuditEvent): void {
    this.trail.append(event).catch((error: unknown) => {
      this.logger.error({ event, cause: serializeError(error) }, 'not in the audit log');
    });
  }
}

function ofRequest({ route, caller, requestId, operation }: AuditedRequest): {
  readonly requestId: string;
  readonly action: string;
  readonly by: Caller['person'];
  readonly operation?: string;
} {
  return {
    requestId,
    action: route.operationId,
    by: auditActor(caller.person),
    ...(operation === undefined ? {} : { operation: operation.slice(0, 128) }),
  };
}

/** The members of a request that say what was asked, whichever request it is. The schemas of the routes bound them already. */
function wordsOf({ query, headers, body }: Asking, caller: Caller): Record<string, unknown> {
  const given = membersOf(body);
  const { change } = given;
  const { idempotencyKey } = membersOf(headers);
  const texts = {
    cluster: lower(given.cluster),
    kind: given.kind,
    change: membersOf(change).number,
    planDigest: given.planDigest,
    gate: given.gate,
    digest: given.digest,
    comment: given.comment ?? given.reason ?? membersOf(change).reason,
    // Also when the answer is lost, the log says which operation the request may have started.
    operation: typeof idempotencyKey === 'string' ? operationIdFor(caller.person, idempotencyKey) : undefined,
  };
  const longest: Readonly<Record<string, number>> = { comment: 500, cluster: 400, kind: 40, operation: 128 };
  return {
    ...Object.fromEntries(
      Object.entries(texts)
        .filter((entry): entry is [string, string] => typeof entry[1] === 'string')
        .map(([name, value]) => [name, value.slice(0, longest[name] ?? 100)]),
    ),
    ...(membersOf(query).validateOnly === 'true' ? { validateOnly: true } : {}),
  };
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function lower(value: unknown): unknown {
  return typeof value === 'string' ? value.toLowerCase() : value;
}

/** The operation that an answer shows: the id of a created one is in no path. */
function operationIn(body: Answer['body']): string | undefined {
  const { id } = membersOf(body);
  return typeof id === 'string' && id !== '' ? id.slice(0, 128) : undefined;
}
