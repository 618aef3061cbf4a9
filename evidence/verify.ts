/**
 * Verifies an evidence file, offline.
 *
 * Needs: the bytes, and for trust the public key that the service published.
 * Does: refuses every file that is not, byte for byte, what Keyturn renders from what it says, and every signature that
 *       does not fit.
 * Never does: use the network.
 */
import { createPublicKey } from 'node:crypto';
import { z } from 'zod';
import { recordFaults, type RecordChecks } from '../domain/trust/record-check';
import {
  EvidenceRecord,
  EvidenceSignature,
  renderEvidenceFile,
  renderEvidenceRecord,
  type SignatureAlgorithm,
} from '../domain/evidence';
import { keyIdOf } from '../trust/key-id';
import { createReceiptVerifier, type EvidenceKeys } from './receipts';
import { algorithmOf, KEY_TYPES, publicKeyFromDer, verifySignature } from './signature';

/** The result. */
export type EvidenceVerdict =
  | {
      readonly ok: true;
      readonly record: EvidenceRecord;
      /** `sha256:` of the public key. Without `publicKeyPem`, the auditor must compare it with the published one. */
      readonly keyId: string;
      /** By the type of the key. */
      readonly algorithm: SignatureAlgorithm;
    }
  | { readonly ok: false; readonly why: string };

/** What is known beforehand. */
export interface VerifyOptions {
  /** The public key that the evidence must be signed with; without it any key fits, the one in the file. */
  readonly publicKeyPem?: string;
  /** Public keys that evidence was signed with before: an operation that began then has receipts of such a key. */
  readonly earlierKeys?: EvidenceKeys;
  /** Checks what the record says, too: that it was asked for and approved, and is consistent. Without it only that it is as it was signed. */
  readonly meaning?: Omit<RecordChecks, 'receipts'>;
}

/**
 * Verifies the bytes of an evidence file.
 * @throws Error when `publicKeyPem` is not a public key
 */
export function verifyEvidence(bytes: Uint8Array, options: VerifyOptions = {}): EvidenceVerdict {
  const file = readFile(bytes);
  if (typeof file === 'string') return { ok: false, why: file };

  const { record, signature } = file;
  const publicKeyDer = strictBase64(signature.publicKey);
  const value = strictBase64(signature.value);
  if (!publicKeyDer || !value)
    return { ok: false, why: 'The signature is not in the one valid base64 form: the file was changed.' };
  if (keyIdOf(publicKeyDer) !== signature.keyId) {
    return { ok: false, why: 'The key id is not the digest of the public key in the file: the file was changed.' };
  }
  if (options.publicKeyPem !== undefined && keyIdOf(derOf(options.publicKeyPem)) !== signature.keyId) {
    return {
      ok: false,
      why: `The evidence is signed with the key ${signature.keyId}, not with the key that was given.`,
    };
  }
  const publicKey = publicKeyFromDer(publicKeyDer);
  const algorithm = publicKey && algorithmOf(publicKey);
  if (!publicKey || algorithm === undefined)
    return { ok: false, why: `The public key in the file is of no type that signs evidence: ${KEY_TYPES}.` };
  if (algorithm !== signature.algorithm) {
    return {
      ok: false,
      why: `The file names the algorithm ${signature.algorithm}, but its key signs with ${algorithm}: the file was changed.`,
    };
  }
  if (!verifySignature(publicKey, signature.algorithm, Buffer.from(renderEvidenceRecord(record)), value)) {
    return { ok: false, why: 'The signature does not fit the record: the record or the signature was changed.' };
  }
  const parsed = EvidenceRecord.safeParse(record);
  if (!parsed.success) {
    return {
      ok: false,
      why: `The signature fits, but this version cannot read the record. ${z.prettifyError(parsed.error)}`,
    };
  }
  const { signer } = parsed.data;
  if (signer !== undefined && (signer.keyId !== signature.keyId || signer.algorithm !== algorithm))
    return { ok: false, why: `The record says that the key ${signer.keyId} signed it, and another key did.` };
  if (options.meaning !== undefined) {
    const keys = new Map([...(options.earlierKeys ?? []), [signature.keyId, publicKey]]);
    const [fault] = recordFaults(parsed.data, { ...options.meaning, receipts: createReceiptVerifier(keys) });
    if (fault !== undefined)
      return { ok: false, why: `The signature fits, and what the record says does not hold. ${fault}` };
  }
  return { ok: true, record: parsed.data, keyId: signature.keyId, algorithm };
}

const File = z.strictObject({ record: z.unknown(), signature: EvidenceSignature });

/** @returns the parsed file, or why it is not one */
function readFile(bytes: Uint8Array): z.infer<typeof File> | string {
  let json: unknown;
  try {
    // A byte order mark must not vanish unseen either.
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return 'This is not JSON in UTF-8.';
  }
  const file = File.safeParse(json);
  if (!file.success) return `This is not an evidence file. ${z.prettifyError(file.error)}`;
  // The record as it was read, not as a schema sees it: a schema would drop what it does not know.
  if (!Buffer.from(renderEvidenceFile(file.data)).equals(bytes)) {
    return 'The file is not byte for byte as Keyturn writes it: it was changed or reformatted.';
  }
  return file.data;
}

function strictBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

function derOf(pem: string): Buffer {
  try {
    return createPublicKey(pem).export({ type: 'spki', format: 'der' });
  } catch (error) {
    throw new Error('The public key that was given is not a public key in PEM form.', { cause: error });
  }
}
