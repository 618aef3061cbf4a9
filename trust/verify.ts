/** Verifies statements: the part of the worker, and of who checks evidence. */
import { verify } from 'node:crypto';
import type { Fault } from '../domain/errors';
import {
  decisionStatement,
  requestStatement,
  type StatementSignature,
  type StatementVerifier,
} from '../domain/trust/statements';
import type { PublicKeys } from './public-keys';

/** Makes a verifier out of the keys that are believed. */
export function createStatementVerifier(keys: PublicKeys): StatementVerifier {
  const fits = (statement: string, { keyId, value }: StatementSignature): boolean => {
    const key = keys.get(keyId);
    return key !== undefined && verify(null, Buffer.from(statement), key, Buffer.from(value, 'base64'));
  };
  const fault = (what: string, { keyId }: StatementSignature): Fault => ({
    code: 'NotSigned',
    detail: keys.has(keyId)
      ? `The signature of ${what} does not fit: somebody changed it, or wrote it to Temporal past the API. It does not count.`
      : `${what} is signed with a key that the worker does not know, so it does not count. If an API of this installation signed it, put its public key among KEYTURN_API_PUBLIC_KEYS of the workers.`,
  });
  return {
    requestFault(facts, signature) {
      if (signature === undefined)
        return {
          code: 'NotSigned',
          detail:
            'The request is not signed: it was written to Temporal past the API. Nothing was changed. Ask through the API.',
        };
      return fits(requestStatement(facts), signature) ? undefined : fault('The request', signature);
    },
    decisionFault(operationId, verb, decision) {
      const { signature } = decision;
      return fits(decisionStatement(operationId, verb, decision), signature)
        ? undefined
        : fault('The decision', signature);
    },
  };
}
