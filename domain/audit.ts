/**
 * The audit log: who asked for what, who decided what, who was refused, and how each operation ended.
 *
 * Every process writes files of its own, line by line, and each line has the hash of the line before it. The first line of a file
 * repeats the last line of other files, so that later files witness earlier ones (docs/decisions/032).
 * Never in it: tokens, values of Secrets, key bytes.
 */
import { z } from 'zod';
import { sha256Hex } from './canonical';
import { Actor } from './people';

/** Before the names of all files of the audit log in the store. */
export const AUDIT_PREFIX = 'audit/';
/** The last lines of other files that one line repeats, at most. */
export const MOST_HEADS = 32;
/** No line is longer: the end of a file of this size has its last line. */
export const LONGEST_LINE_IN_BYTES = 32_768;

const text = (longest: number): z.ZodString => z.string().max(longest);
const Hash = z.string().regex(/^sha256:[0-9a-f]{64}$/);

/** One line of the log, by its hash: whoever keeps it can tell whether the log still has all lines up to it. */
export const AuditHead = z.strictObject({ file: text(120), seq: z.int().min(1), hash: Hash });
/** One line of the log, by its hash. */
export type AuditHead = z.infer<typeof AuditHead>;

/** The first line of a file. */
const Opened = z.strictObject({
  event: z.literal('opened'),
  format: z.literal('keyturn-audit/1'),
  writer: z.enum(['api', 'worker']),
  /** The last lines of the other files of today and yesterday, the newest files. */
  seen: z.array(AuditHead).max(MOST_HEADS),
});

const OfRequest = {
  requestId: text(64),
  /** The name of the request in the API document: `approveOperation`. */
  action: text(60),
  by: z.strictObject({ ...Actor.shape }),
  operation: text(128).optional(),
};

/** A request that may change something, written before anything is told to the operation. */
const Asked = z.strictObject({
  event: z.literal('asked'),
  ...OfRequest,
  /** The application that the token was given to. */
  client: text(100).optional(),
  cluster: text(400).optional(),
  kind: text(40).optional(),
  change: text(100).optional(),
  /** Nothing is started: only a plan is asked for. */
  validateOnly: z.literal(true).optional(),
  planDigest: text(100).optional(),
  gate: text(100).optional(),
  /** Of the list of Secrets that is accepted. */
  digest: text(100).optional(),
  comment: text(500).optional(),
});

/** What the API answered: to a request that was asked before, or by which it refused a caller without the right. */
const Answered = z.strictObject({
  event: z.literal('answered'),
  ...OfRequest,
  status: z.int().min(100).max(599),
  /** A code of domain/errors.ts when it is a refusal or a fault. */
  code: text(60).optional(),
});

/** A login that the API refused. Nothing of the token is verified. */
const LoginRefused = z.strictObject({
  event: z.literal('login-refused'),
  requestId: text(64),
  code: text(60),
  /** What is wrong with the token, in a word. */
  fault: text(30),
  claimed: z.record(text(20), text(200)).optional(),
  /** Refused logins since the line before it that have no line of their own: there were too many. */
  unlisted: z.int().min(0),
});

/** The end of an operation, written when its evidence is sealed. It may be there twice, when the worker stopped in between. */
const Outcome = z.strictObject({
  event: z.literal('outcome'),
  operation: text(128),
  kind: text(40),
  cluster: text(400),
  change: text(100),
  status: text(20),
  code: text(60).optional(),
  /** Digest of the evidence file. */
  evidence: Hash,
  /** The workflow was ended from outside; the sweeper sealed what it had shown. */
  swept: z.literal(true).optional(),
});

/** A request or a decision in Temporal that the API did not sign: somebody wrote it there past the API. It did not count. */
const NotSigned = z.strictObject({
  event: z.literal('not-signed'),
  operation: text(128),
  what: z.enum(['request', 'approve', 'deny', 'accept', 'cancel']),
});

/** What one line tells. */
export const AuditEvent = z.discriminatedUnion('event', [Opened, Asked, Answered, LoginRefused, NotSigned, Outcome]);
/** What one line tells. */
export type AuditEvent = z.infer<typeof AuditEvent>;

/** What ties a line to those before it. */
const Chain = z.object({
  seq: z.int().min(1),
  time: z.iso.datetime(),
  /** The hash of the line before it; null in the first line of a file. */
  previous: Hash.nullable(),
  hash: Hash,
});

/** A line of a file, read. */
export interface AuditLine extends z.infer<typeof Chain> {
  readonly event: AuditEvent;
}

/** Writes the next line, without its end of line. @param after the line before it; undefined for the first line of a file */
export function nextLine(
  event: AuditEvent,
  time: string,
  after: Pick<AuditHead, 'seq' | 'hash'> | undefined,
): { readonly text: string; readonly seq: number; readonly hash: string } {
  const seq = (after?.seq ?? 0) + 1;
  // Parsed: a member that is too long or unknown must not come into a log that nothing removes it from.
  const body = { seq, time, previous: after?.hash ?? null, ...AuditEvent.parse(event) };
  const hash = hashOf(body);
  return { text: JSON.stringify({ ...body, hash }), seq, hash };
}

/** Reads a line. @returns why it is not one, in one sentence */
export function readLine(line: string): AuditLine | string {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return 'It is not JSON.';
  }
  if (typeof json !== 'object' || json === null || JSON.stringify(json) !== line)
    return 'Keyturn does not write it so.';
  const { hash, ...body } = json as Record<string, unknown>;
  if (hash !== hashOf(body)) return 'Its hash does not fit: it was changed.';
  const { seq, time, previous, ...event } = body;
  const chain = Chain.safeParse({ seq, time, previous, hash });
  const told = AuditEvent.safeParse(event);
  if (!chain.success || !told.success) return 'This version of Keyturn cannot read it.';
  return { ...chain.data, event: told.data };
}

/** An actor as the log names it: ids in lower case, so that a search finds one person under one id. */
export function auditActor({ tenantId, objectId, name, type }: Actor): Actor {
  return { tenantId: tenantId.toLowerCase(), objectId: objectId.toLowerCase(), name, type };
}

function hashOf(body: object): string {
  return `sha256:${sha256Hex(JSON.stringify(body))}`;
}
