/** Renders and signs evidence. */
import {
  renderEvidenceFile,
  renderEvidenceRecord,
  type EvidenceRecord,
  type EvidenceSignature,
} from '../domain/evidence';
import type { Signer } from './signer';

/** The exact bytes of the evidence file of a record. @throws what `Signer.sign` throws */
export async function signEvidence(record: EvidenceRecord, key: Signer): Promise<Buffer> {
  // Once through JSON: what is signed is what a reader gets, without members that are undefined.
  const plain = JSON.parse(JSON.stringify(record)) as unknown;
  const value = await key.sign(Buffer.from(renderEvidenceRecord(plain)));
  const signature: EvidenceSignature = {
    algorithm: key.algorithm,
    keyId: key.keyId,
    publicKey: key.publicKeyDer.toString('base64'),
    value: Buffer.from(value).toString('base64'),
  };
  return Buffer.from(renderEvidenceFile({ record: plain, signature }));
}
