/** Signs and verifies receipts of what activities found, with the key that signs evidence. */
import type { KeyObject } from 'node:crypto';
import type { Fault } from '../domain/errors';
import {
  receiptStatement,
  type Found,
  type Receipted,
  type ReceiptSubject,
  type ReceiptVerifier,
} from '../domain/trust/receipts';
import { publicKeyOf, type KeyPurpose, type PublicKeys } from '../trust/public-keys';
import { algorithmOf, KEY_TYPES, verifySignature } from './signature';
import type { Signer } from './signer';

/** Keys that workers sign evidence and receipts with, or signed with before. */
export const OF_EVIDENCE: KeyPurpose = {
  is: 'a public key of evidence',
  fits: (key) => algorithmOf(key) !== undefined,
  rule: `evidence is signed with ${KEY_TYPES}`,
};

/** Such keys by their ids. */
export type EvidenceKeys = PublicKeys;

/** The keys that this installation signs evidence with, now and before. */
export function ownKeys({
  key,
  earlierKeys,
}: {
  readonly key: Signer;
  readonly earlierKeys?: EvidenceKeys;
}): EvidenceKeys {
  return new Map([...(earlierKeys ?? []), publicKeyOf(key.publicKeyPem, 'The signer of evidence', OF_EVIDENCE)]);
}

/** Signs what an activity found, as of now. @throws what `Signer.sign` throws */
export async function signReceipt<T extends object>(
  signer: Signer,
  subject: ReceiptSubject,
  found: T,
  now: () => string = () => new Date().toISOString(),
): Promise<Receipted<T>> {
  const at = now();
  const value = await signer.sign(Buffer.from(receiptStatement(subject, at, found)));
  return { ...found, receipt: { at, keyId: signer.keyId, value: Buffer.from(value).toString('base64') } };
}

/** Makes a verifier out of the keys that are believed. */
export function createReceiptVerifier(keys: EvidenceKeys): ReceiptVerifier {
  return {
    fault(subject, found) {
      const { receipt } = found;
      const about = `What the step ${subject.step} is said to have found`;
      if (receipt === undefined) return fault(`${about} is not signed: no worker of this installation found it.`);
      const key = keys.get(receipt.keyId);
      if (key === undefined)
        return fault(
          `${about} is signed with the key ${receipt.keyId}, which is not among the keys of evidence that are believed.`,
        );
      return fits(key, subject, found)
        ? undefined
        : fault(`${about} is not what a worker signed for this step of this plan: somebody changed it in Temporal.`);
    },
  };
}

function fits(key: KeyObject, subject: ReceiptSubject, found: Found): boolean {
  const { receipt } = found;
  const algorithm = algorithmOf(key);
  if (receipt === undefined || algorithm === undefined) return false;
  const statement = Buffer.from(receiptStatement(subject, receipt.at, found));
  return verifySignature(key, algorithm, statement, Buffer.from(receipt.value, 'base64'));
}

function fault(detail: string): Fault {
  return { code: 'OutputNotSigned', detail };
}
