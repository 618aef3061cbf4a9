/**
 * The evidence of an operation: what an auditor checks.
 *
 * The file is JSON of one exact form: a reader parses it, renders it again and compares the bytes, so that the reader notices
 * even changed white space. The signature is over the bytes of everything but itself.
 */
import { z } from 'zod';
import { AuditHead } from './audit';
import { Operation } from './operation';
import { StepOutput } from './plan/outputs';
import { RequestSeal } from './trust/statements';

/** What is signed. */
export const EvidenceRecord = z.object({
  format: z.literal('keyturn-evidence/3'),
  sealedAt: z.string(),
  operation: Operation,
  /** What each step that was done gave, by its id. */
  outputs: z.record(z.string(), StepOutput),
  /** The API's signature of the request, and the policy that it stands for. */
  seal: RequestSeal,
  /** The workflow was ended from outside: the record is what it had shown last, and what its steps gave is lost. */
  swept: z.literal(true).optional(),
  /** The last lines of the audit log when this was sealed: what was cut off the log before them is found by that. */
  audit: z.array(AuditHead).optional(),
});
/** What is signed. */
export type EvidenceRecord = z.infer<typeof EvidenceRecord>;

/** What an operation gives to be sealed. */
export type UnsealedRecord = Omit<EvidenceRecord, 'sealedAt' | 'format' | 'audit'>;

/** How evidence is signed. */
export const SignatureAlgorithm = z.enum(['Ed25519']);
/** How evidence is signed. */
export type SignatureAlgorithm = z.infer<typeof SignatureAlgorithm>;

/** Over the UTF-8 bytes of `renderEvidenceRecord(record)`. */
export const EvidenceSignature = z.strictObject({
  algorithm: SignatureAlgorithm,
  /** `sha256:` of the public key's DER (SubjectPublicKeyInfo): compare it with the one that the service publishes. */
  keyId: z.string(),
  /** DER, base64. */
  publicKey: z.string(),
  /** base64. */
  value: z.string(),
});
/** The signature of evidence. */
export type EvidenceSignature = z.infer<typeof EvidenceSignature>;

/** The evidence file. */
export const EvidenceFile = z.strictObject({ record: EvidenceRecord, signature: EvidenceSignature });
/** The evidence file. */
export type EvidenceFile = z.infer<typeof EvidenceFile>;

/** The exact text that is signed. */
export function renderEvidenceRecord(record: unknown): string {
  return `${JSON.stringify(record, null, 2)}\n`;
}

/** The exact text of the file. */
export function renderEvidenceFile(file: { readonly record: unknown; readonly signature: unknown }): string {
  return `${JSON.stringify({ record: file.record, signature: file.signature }, null, 2)}\n`;
}
