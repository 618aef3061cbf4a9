/** Signs statements: the part of the API. */
import { sign, type KeyObject } from 'node:crypto';
import {
  decisionStatement,
  requestStatement,
  textsDigest,
  type DecisionFacts,
  type RequestFacts,
  type Signed,
  type StatementSignature,
  type Verb,
} from '../domain/trust/statements';

/** Signs what the API has verified. */
export interface StatementSigner {
  /** `sha256:` of the public key's DER. */
  readonly keyId: string;
  signRequest(facts: RequestFacts): StatementSignature;
  /**
   * Signs a decision as of now.
   * @param words what the person wrote
   * @returns the decision with its time, the digest of its texts, and its signature
   */
  signDecision<T extends Omit<DecisionFacts, 'at' | 'texts'>>(
    operationId: string,
    verb: Verb,
    decision: T,
    words?: string,
  ): T & Signed;
}

/** Makes a signer out of an Ed25519 key pair. */
export function createStatementSigner(
  { privateKey, keyId }: { readonly privateKey: KeyObject; readonly keyId: string },
  clock: () => Date = () => new Date(),
): StatementSigner {
  const signed = (statement: string): StatementSignature => ({
    keyId,
    value: sign(null, Buffer.from(statement), privateKey).toString('base64'),
  });
  return {
    keyId,
    signRequest: (facts) => signed(requestStatement(facts)),
    signDecision(operationId, verb, decision, words) {
      const dated = {
        ...decision,
        at: clock().toISOString(),
        texts: textsDigest(decision.by, words, decision.breakGlass),
      };
      return { ...dated, signature: signed(decisionStatement(operationId, verb, dated)) };
    },
  };
}
