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

/** How evidence is signed. The type of the key decides it: names of RFC 7518, and Ed25519. */
export const SignatureAlgorithm = z.enum(['Ed25519', 'ES256', 'ES384', 'ES512', 'PS256']);
/** How evidence is signed. */
export type SignatureAlgorithm = z.infer<typeof SignatureAlgorithm>;

/** What signed a record, inside of what is signed. */
export const EvidenceSigner = z.strictObject({
  algorithm: SignatureAlgorithm,
  /** `sha256:` of the public key's DER (SubjectPublicKeyInfo). */
  keyId: z.string(),
  /** Id of the key version in Key Vault, whose public half is the key; absent for a key in a file. */
  vaultKeyId: z.string().optional(),
});
/** What signed a record. */
export type EvidenceSigner = z.infer<typeof EvidenceSigner>;

/** What is signed. */
export const EvidenceRecord = z.object({
  format: z.literal('keyturn-evidence/3'),
  sealedAt: z.string(),
  /** Absent in evidence of earlier versions, which signed with Ed25519. */
  signer: EvidenceSigner.optional(),
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
export type UnsealedRecord = Omit<EvidenceRecord, 'sealedAt' | 'format' | 'audit' | 'signer'>;

/** Over the UTF-8 bytes of `renderEvidenceRecord(record)`. */
export const EvidenceSignature = z.strictObject({
  algorithm: SignatureAlgorithm,
  /** `sha256:` of the public key's DER (SubjectPublicKeyInfo): compare it with the one that the service publishes. */
  keyId: z.string(),
  /** DER, base64. */
  publicKey: z.string(),
  /** base64. With an EC key r and s one after the other (IEEE P1363), s in the lower half. */
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
