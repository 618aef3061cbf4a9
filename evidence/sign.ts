/** Renders and signs evidence. */
import { sign } from 'node:crypto';
import {
  renderEvidenceFile,
  renderEvidenceRecord,
  type EvidenceRecord,
  type EvidenceSignature,
} from '../domain/evidence';
import type { SigningKey } from './key';

/** The exact bytes of the evidence file of a record. */
export function signEvidence(record: EvidenceRecord, key: SigningKey): Buffer {
  // Once through JSON: what is signed is what a reader gets, without members that are undefined.
  const plain = JSON.parse(JSON.stringify(record)) as unknown;
  const signature: EvidenceSignature = {
    algorithm: 'Ed25519',
    keyId: key.keyId,
    publicKey: key.publicKeyDer.toString('base64'),
    value: sign(null, Buffer.from(renderEvidenceRecord(plain)), key.privateKey).toString('base64'),
  };
  return Buffer.from(renderEvidenceFile({ record: plain, signature }));
}
