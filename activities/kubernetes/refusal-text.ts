/**
 * Keyturn's own sentence about an answer of an API server (S1).
 *
 * A message of an API server may quote a Secret: webhooks and policies write any text, validation quotes the value that it
 * refuses, and the API server quotes the whole answer of a webhook that fails. So Keyturn repeats no text of another program. It
 * makes a sentence from the HTTP status, known Kubernetes reasons, numbers, and names that a template finds at a place where
 * the API server itself writes a name, and that look like a name.
 */
import { refusalReason, type RefusalReason } from '../../domain/refusal';

/** One cause of `metav1.Status.details.causes`, without its message: that quotes values. */
export interface StatusCause {
  readonly reason?: string;
  readonly field?: string;
}

/** An answer as the API server gave it. */
export interface RawAnswer {
  readonly status?: number;
  readonly reason: string;
  /** Webhooks and policies may have written parts of it. */
  readonly message: string;
  readonly causes?: readonly StatusCause[];
  /** The address of the request. */
  readonly server?: string;
}

/** What may be kept of an answer. */
export interface SafeAnswer {
  readonly refusal: RefusalReason;
  readonly reason: string;
  readonly text: string;
}

/** `metav1.StatusReason`. A webhook chooses the reason of its denial, so Keyturn ignores any other reason. */
const KNOWN_REASONS: ReadonlySet<string> = new Set([
  'Unauthorized',
  'Forbidden',
  'NotFound',
  'AlreadyExists',
  'Conflict',
  'Gone',
  'Invalid',
  'ServerTimeout',
  'StoreReadError',
  'Timeout',
  'TooManyRequests',
  'BadRequest',
  'MethodNotAllowed',
  'NotAcceptable',
  'RequestEntityTooLarge',
  'UnsupportedMediaType',
  'InternalError',
  'Expired',
  'ServiceUnavailable',
]);
/** `metav1.CauseType` of validation. */
const KNOWN_CAUSES: ReadonlySet<string> = new Set([
  'FieldValueNotFound',
  'FieldValueRequired',
  'FieldValueDuplicate',
  'FieldValueInvalid',
  'FieldValueNotSupported',
  'FieldValueForbidden',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);
/** A code of Node, of TLS or of undici. */
const TRANSPORT_CODE = /^[A-Z][A-Z0-9_]{1,60}$/;
/** Paths of an object's fields; in brackets the name of an entry. */
const FIELD = /^(?:data|stringData|immutable|type|metadata(?:\.[A-Za-z]{1,40})?)(?:\[[-._/A-Za-z0-9]{1,253}\])?$/;
const MOST_CAUSES = 3;

/** A name that Kubernetes accepts: a DNS subdomain. */
const NAME = '[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?';
/** Users of certificates, service accounts and Entra. */
const USER = '[-A-Za-z0-9:._@/]{1,200}';
const FORBIDDEN = `(?:[a-z]+(?:\\.[a-z0-9.]+)?(?: "[^"]*")? is )?forbidden: `;
const INTERNAL = '(?:Internal error occurred: )?';

type Template = readonly [RegExp, (...names: string[]) => string];

/** Where the API server itself writes a name: anchored at the message's beginning, before any text of another program. */
const TEMPLATES: Readonly<Partial<Record<RefusalReason, readonly Template[]>>> = {
  AdmissionDenied: [
    [
      new RegExp(`^admission webhook "(${NAME})" denied the request`),
      (name) =>
        `The admission webhook ${name} denied the request. Keyturn does not show its message, which may quote the Secret.`,
    ],
    [
      new RegExp(`^(?:${FORBIDDEN})?ValidatingAdmissionPolicy '(${NAME})' with binding '(${NAME})' denied request`),
      (policy, binding) =>
        `The ValidatingAdmissionPolicy ${policy} with the binding ${binding} denied the request. Keyturn does not show its message, which may quote the Secret.`,
    ],
    [new RegExp(`^${FORBIDDEN}exceeded quota: (${NAME}),`), (name) => `The ResourceQuota ${name} is exceeded.`],
  ],
  WebhookUnavailable: [
    [
      new RegExp(`^${INTERNAL}failed calling webhook "(${NAME})"`),
      (name) => `The admission webhook ${name} failed: it does not answer, or its answer is not valid.`,
    ],
  ],
  DryRunUnsupported: [
    [
      new RegExp(`^admission webhook "(${NAME})" does not support dry run`),
      (name) => `The admission webhook ${name} does not support a dry run.`,
    ],
  ],
  NamespaceMissing: [
    [new RegExp(`^namespaces "(${NAME})" not found`), (name) => `The namespace ${name} does not exist.`],
  ],
  NotPermitted: [
    [
      new RegExp(
        `^${FORBIDDEN}User "(${USER})" cannot ([a-z]{1,20}) resource "([a-z./]{1,100})"(?: in API group "[^"]{0,253}")?(?: in the namespace "(${NAME})")?`,
      ),
      (user, verb, resource, namespace) =>
        `The user ${user} may not ${verb} ${resource}${namespace === undefined ? '' : ` in the namespace ${namespace}`}.`,
    ],
  ],
  TooLarge: [
    [
      /(?:limit is|may not be more than|must have at most) (\d{1,12})\b/,
      (limit) => `It is too large: the limit is ${limit} bytes.`,
    ],
    [/^/, () => 'It is too large for the API server or for etcd.'],
  ],
  Unreadable: [
    [
      new RegExp(`(/registry/secrets/${NAME}/${NAME})(?=["\\s:,]|$)`),
      (record) => `The API server cannot decrypt the record ${record}.`,
    ],
    [/^/, () => 'The API server cannot decrypt the record.'],
  ],
  EncryptionFailed: [[/^/, () => 'The API server cannot encrypt: its KMS provider fails.']],
  KeptChanging: [[/^/, () => 'Another client changed the object meanwhile, or it is another object by now.']],
};

/** What may be kept of an answer: its meaning, a known reason, and a sentence of our own. */
export function safeAnswer({ status, reason: given, message, causes = [], server }: RawAnswer): SafeAnswer {
  const reason = knownReason(status, given);
  const refusal = refusalReason({ status, reason, message });
  if (status === undefined) {
    const at = server === undefined ? '' : ` at ${server}`;
    return { refusal, reason, text: `The API server${at} gave no usable answer (${reason}).` };
  }
  const what = fromTemplate(refusal, message) ?? 'The API server refused the request.';
  // The webhook itself writes the causes of its denial.
  const fields = refusal === 'AdmissionDenied' || refusal === 'WebhookUnavailable' ? '' : fieldsOf(causes);
  return {
    refusal,
    reason,
    text: `${what}${fields} (${reason === `Http${status}` ? `HTTP ${status}` : `HTTP ${status} ${reason}`}).`,
  };
}

/** How etcd says that its quota is used up; the API server passes it on. Only its own beginning counts: a webhook writes any text. */
const STORAGE_FULL =
  /^(?:Internal error occurred: )?(?:rpc error: code = ResourceExhausted desc = )?etcdserver: mvcc: database space exceeded/;

/** Whether an answer says that etcd stores nothing more. */
export function isStorageFull({ status = 0, message }: Pick<RawAnswer, 'status' | 'message'>): boolean {
  return status >= 500 && STORAGE_FULL.test(message);
}

/** The part of any text that may be shown as the code of a failed transport. */
export function transportCode(code: unknown): string {
  return typeof code === 'string' && TRANSPORT_CODE.test(code) ? code : 'NoAnswer';
}

function knownReason(status: number | undefined, reason: string): string {
  if (status === undefined) return transportCode(reason);
  return KNOWN_REASONS.has(reason) ? reason : `Http${status}`;
}

function fromTemplate(refusal: RefusalReason, message: string): string | undefined {
  for (const [found, sentence] of TEMPLATES[refusal] ?? []) {
    const match = found.exec(message);
    if (match) return sentence(...match.slice(1));
  }
  return undefined;
}

function fieldsOf(causes: readonly StatusCause[]): string {
  const known = causes.flatMap(({ reason = '', field = '' }) =>
    KNOWN_CAUSES.has(reason) && FIELD.test(field) ? [`${field} (${reason})`] : [],
  );
  if (known.length === 0) return '';
  const more = known.length > MOST_CAUSES ? `, and ${known.length - MOST_CAUSES} more` : '';
  return ` Fields: ${known.slice(0, MOST_CAUSES).join(', ')}${more}.`;
}
