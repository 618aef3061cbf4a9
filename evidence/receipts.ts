/** Signs and verifies receipts of what activities found, with the key that signs evidence. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { Fault } from '../domain/errors';
import {
  receiptStatement,
  type Found,
  type Receipted,
  type ReceiptSubject,
  type ReceiptVerifier,
} from '../domain/trust/receipts';
import { keyIdOf } from '../trust/key-id';
import { algorithmOf, verifySignature } from './signature';
import type { Signer } from './signer';

/** Public keys by their ids: what workers of the installation sign with, or signed with before. */
export type WorkerKeys = ReadonlyMap<string, KeyObject>;

/** Keys by their ids. @param pems public keys, PEM @throws Error when one is none that evidence is signed with */
export function workerKeys(pems: readonly string[]): WorkerKeys {
  return new Map(
    pems.map((pem) => {
      const key = createPublicKey(pem);
      if (/PRIVATE KEY/.test(pem) || algorithmOf(key) === undefined)
        throw new Error('A key that was given is no public key that evidence can be signed with.');
      return [keyIdOf(key.export({ type: 'spki', format: 'der' })), key];
    }),
  );
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
export function createReceiptVerifier(keys: WorkerKeys): ReceiptVerifier {
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
