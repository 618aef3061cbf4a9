/**
 * Receipts: a worker signs what its activities found, for the very step that they found it for.
 *
 * What an activity returns goes through Temporal before another activity builds on it, and whoever can write to the namespace can hand
 * in another one: a proof that nobody made, a convergence that was never seen. So each activity that proves signs what it gives, and
 * each that builds on it verifies that first (DESIGN section 10).
 *
 * A receipt travels inside what it is of. It is over the canonical JSON of all but itself.
 */
import { z } from 'zod';
import { canonicalJson } from '../canonical';
import type { Fault } from '../errors';

/** A detached signature by the key that signs evidence, and when it was made. */
export const Receipt = z.object({
  /** When the worker had found it, ISO 8601. */
  at: z.string().max(50),
  /** `sha256:` of the public key's DER (SubjectPublicKeyInfo). */
  keyId: z.string().max(100),
  /** base64. */
  value: z.string().max(1000),
});
/** A detached signature by the key that signs evidence, and when it was made. */
export type Receipt = z.infer<typeof Receipt>;

/** What an activity found, as it is handed on; a receipt is missing when nobody signed it. */
export type Found = object & { readonly receipt?: Receipt };

/** What was found, signed. */
export type Receipted<T extends object> = T & { readonly receipt: Receipt };

/** What a receipt is for: it fits no other operation, plan, step or key. */
export interface ReceiptSubject {
  readonly operationId: string;
  readonly planDigest: string;
  readonly step: string;
  /** The key that the step is about, null for plaintext; absent of a step that is about none. */
  readonly key?: string | null;
}

/** Verifies receipts. */
export interface ReceiptVerifier {
  /** @returns why what was found may not be built on; undefined when a worker found it for this subject */
  fault(subject: ReceiptSubject, found: Found): Fault | undefined;
}

/** The exact text that is signed. */
export function receiptStatement(
  { operationId, planDigest, step, key }: ReceiptSubject,
  at: string,
  found: Found,
): string {
  const { receipt: _itself, ...rest } = found;
  return canonicalJson({ format: 'keyturn-receipt/1', operationId, planDigest, step, key, at, found: rest });
}
