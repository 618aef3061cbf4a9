/**
 * Secrets that an API server does not rewrite: why, as one of a fixed list of reasons, and what helps.
 *
 * Sources: the messages of kube-apiserver 1.26 to 1.34, as the tests see them; research note rotation-systems.md 6.5.
 */
import { z } from 'zod';

/** Why a Secret is not rewritten. */
export const RefusalReason = z.enum([
  /** A webhook or an admission policy denies the update. */
  'AdmissionDenied',
  /** A webhook that the API server must call does not answer. */
  'WebhookUnavailable',
  /** A webhook may have side effects, so a dry run does not call it and cannot tell. */
  'DryRunUnsupported',
  /** The Secret exists and its namespace does not: admission accepts no change of it. */
  'NamespaceMissing',
  /** Authorization: the identity that Keyturn uses may not do this. */
  'NotPermitted',
  /** Its annotations would have more than 256 KiB. */
  'AnnotationsTooLarge',
  /** More than the API server or etcd stores. */
  'TooLarge',
  /** The stored object does not pass the validation of this API server. */
  'Invalid',
  /** The API server cannot decrypt the record. */
  'Unreadable',
  /** The API server cannot encrypt: its KMS provider fails. */
  'EncryptionFailed',
  /** Another client wrote it again and again while Keyturn rewrote it. */
  'KeptChanging',
  /** It had to change and did not. */
  'Contradiction',
  /** Anything else that the API server answers. */
  'ServerError',
]);
/** Why a Secret is not rewritten. */
export type RefusalReason = z.infer<typeof RefusalReason>;

/**
 * Reasons that lie in one Secret. The others say that the API servers themselves do not work as they should, or that the
 * answer cannot be known.
 */
export const OF_ONE_SECRET: readonly RefusalReason[] = [
  'AdmissionDenied',
  'WebhookUnavailable',
  'NamespaceMissing',
  'AnnotationsTooLarge',
  'TooLarge',
  'Invalid',
  'KeptChanging',
];

/** An answer that says that a Secret is not rewritten. */
export interface Refusal {
  readonly reason: RefusalReason;
  /** What the API server's answer says, in Keyturn's own sentence. */
  readonly message: string;
}

/** A Secret that could not be rewritten: by name and reason, never by value. */
export const RefusedSecret = z.object({
  namespace: z.string(),
  name: z.string(),
  reason: RefusalReason,
  /** What the API server's answer says, in Keyturn's own sentence. */
  message: z.string(),
  /** What would help. */
  suggestion: z.string(),
});
/** A Secret that could not be rewritten. */
export type RefusedSecret = z.infer<typeof RefusedSecret>;

/** What an API server answered. */
export interface ServerRefusal {
  readonly status?: number;
  /** Kubernetes status reason: `Forbidden`, `Invalid` … */
  readonly reason: string;
  readonly message: string;
  /** The reason, where it was found already: the text that it was found in is not kept. */
  readonly refusal?: RefusalReason;
}

const SUGGESTIONS: Readonly<Record<RefusalReason, string>> = {
  AdmissionDenied: 'Exempt this Secret, or the user that Keyturn acts as, from the webhook or policy that is named.',
  WebhookUnavailable: 'Repair the webhook that is named, or let it fail open for Secrets.',
  DryRunUnsupported:
    'Give the webhook that is named `sideEffects: None` or `NoneOnDryRun`, so that a dry run can tell.',
  NamespaceMissing: 'Delete the Secret, or create its namespace again.',
  NotPermitted: 'Give the user that is named the verbs get, list and patch on Secrets.',
  AnnotationsTooLarge:
    'Remove annotations from the Secret, or delete it: all of them together may have 256 KiB (262,144 bytes), and a forced rewrite adds `keyturn.dev/rewritten`.',
  TooLarge: 'Make the Secret smaller than 1 MiB, or delete it.',
  Invalid: 'Correct the Secret, or delete it.',
  Unreadable:
    'Bring back the key that it is stored under; if that key is lost, the Secret is: delete its record in etcd.',
  EncryptionFailed: 'Look at the key, its permissions and the vault’s firewall: the KMS provider fails.',
  KeptChanging: 'Find out which client keeps writing it, stop it, then retry.',
  // Never forced: the server that does not see it as stale may store it under the older key again.
  Contradiction:
    'Look at the API servers: one of them may not write with the new key. When all of them do, write the Secret yourself (an annotation is enough), then retry.',
  ServerError: 'Look at the log of the API server.',
};

/** What helps against a reason. */
export function suggestionFor(reason: RefusalReason): string {
  return SUGGESTIONS[reason];
}

const CALL_FAILED = /^(?:Internal error occurred: )?failed calling webhook "/;

/**
 * The reason behind an API server's answer. Messages quote names, and a Secret may have any name. So words that no name can
 * contain decide first, then the status; other words decide only between reasons that the status allows.
 */
export function refusalReason({ status, reason, message, refusal }: ServerRefusal): RefusalReason {
  if (refusal !== undefined) return refusal;
  // A webhook's message may contain any text, also that of another refusal. So only the API server's own beginning decides.
  if (CALL_FAILED.test(message)) return 'WebhookUnavailable';
  // A webhook chooses the status of its denial, whatever that status means elsewhere; no name contains a space.
  if (/denied (?:the )?request/.test(message)) return 'AdmissionDenied';
  // Authorization names a user and a verb; other 403s come from admission, built in or not.
  if (status === 403) return /\bcannot \w+ resource\b/.test(message) ? 'NotPermitted' : 'AdmissionDenied';
  if (status === 409) return 'KeptChanging';
  if (status === 413) return 'TooLarge';
  if (status === undefined || status >= 500) return serverSide(message);
  if (/does not support dry run/.test(message)) return 'DryRunUnsupported';
  if (status === 404 && /\bnamespaces "[^"]*" not found/.test(message)) return 'NamespaceMissing';
  if (/\bmetadata\.annotations: Too long:/.test(message)) return 'AnnotationsTooLarge';
  if (/too long:|must have at most \d+ (?:bytes|characters)/i.test(message)) return 'TooLarge';
  return status === 422 || reason === 'Invalid' ? 'Invalid' : 'ServerError';
}

function serverSide(message: string): RefusalReason {
  if (/request is too large/.test(message)) return 'TooLarge';
  if (/failed to encrypt|encrypt DEK|encryptedDEKSource .*expired/i.test(message)) return 'EncryptionFailed';
  if (/unable to transform key|not transformable|failed to decrypt|no matching prefix/i.test(message)) {
    return 'Unreadable';
  }
  return 'ServerError';
}

/** A refused Secret, with what helps. */
export function refusedSecret(
  { namespace, name }: { readonly namespace: string; readonly name: string },
  reason: RefusalReason,
  message: string,
): RefusedSecret {
  return { namespace, name, reason, message, suggestion: suggestionFor(reason) };
}
