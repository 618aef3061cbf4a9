/** Renders and signs evidence. */
import {
  EvidenceRecord,
  renderEvidenceFile,
  renderEvidenceRecord,
  type EvidenceSignature,
  type EvidenceSigner,
} from '../domain/evidence';
import type { Signer } from './signer';

/**
 * The exact bytes of the evidence file of a record.
 * @param record without its signer, which is put in
 * @throws what `Signer.sign` throws
 */
export async function signEvidence(
  record: Omit<EvidenceRecord, 'signer'>,
  key: Signer,
  options: { readonly abortSignal?: AbortSignal } = {},
): Promise<Buffer> {
  // Once through JSON: what is signed is what a reader gets, without members that are undefined.
  const plain = JSON.parse(JSON.stringify(EvidenceRecord.parse({ ...record, signer: signerOf(key) }))) as unknown;
  const value = await key.sign(Buffer.from(renderEvidenceRecord(plain)), options);
  const signature: EvidenceSignature = {
    algorithm: key.algorithm,
    keyId: key.keyId,
    publicKey: key.publicKeyDer.toString('base64'),
    value: Buffer.from(value).toString('base64'),
  };
  return Buffer.from(renderEvidenceFile({ record: plain, signature }));
}

function signerOf({ algorithm, keyId, vaultKeyId }: Signer): EvidenceSigner {
  return { algorithm, keyId, vaultKeyId };
}
