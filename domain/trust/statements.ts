/**
 * What the API signs: that a person asked for an operation, and what a person decided on it.
 *
 * Temporal carries requests and decisions, and whoever can write to its namespace can write any. So the API signs each one where it
 * has verified the person's token, and the worker verifies it before it uses a credential (DESIGN section 10).
 *
 * A statement is the canonical JSON of exactly what matters. Texts of people are in it by their digest: a view may show them cut.
 */
import { z } from 'zod';
import { canonicalJson, digestOf } from '../canonical';
import type { Fault } from '../errors';
import { type Actor } from '../people';
import type { PlanPolicy } from '../plan/plan';

/** A detached Ed25519 signature over the UTF-8 bytes of a statement. */
export const StatementSignature = z.object({
  /** `sha256:` of the public key's DER (SubjectPublicKeyInfo). */
  keyId: z.string().max(100),
  /** base64. */
  value: z.string().max(200),
});
/** A detached Ed25519 signature over the UTF-8 bytes of a statement. */
export type StatementSignature = z.infer<typeof StatementSignature>;

/** What every signed statement carries beside its own members. */
export const Signed = z.object({
  /** When the API signed it, ISO 8601. */
  at: z.string().max(50),
  /** `digestOf` the texts of people in it: see `textsDigest`. */
  texts: z.string().max(100),
  signature: StatementSignature,
});
/** What every signed statement carries beside its own members. */
export type Signed = z.infer<typeof Signed>;

/** What a person can decide. */
export type Verb = 'approve' | 'deny' | 'accept' | 'cancel';

/** What the API signs of a request. */
export interface RequestFacts {
  readonly operationId: string;
  /** `digestOf` the request as parsed. */
  readonly fingerprint: string;
  readonly kind: string;
  /** The cluster's ARM resource id, as in the request. */
  readonly cluster: string;
  readonly requestedBy: Actor;
  /** ISO 8601. */
  readonly requestedAt: string;
  readonly policy: PlanPolicy;
  readonly approvalTimeoutInMs: number;
}

/** What is signed of a request, but for the operation that it is for. @param fingerprint when it is known already */
export function factsOfRequest(
  asked: {
    readonly request: { readonly kind: string; readonly cluster: string };
  } & Pick<RequestFacts, 'requestedBy' | 'requestedAt' | 'policy' | 'approvalTimeoutInMs'>,
  fingerprint = digestOf(asked.request),
): Omit<RequestFacts, 'operationId'> {
  const { request, requestedBy, requestedAt, policy, approvalTimeoutInMs } = asked;
  const { kind, cluster } = request;
  return { fingerprint, kind, cluster, requestedBy, requestedAt, policy, approvalTimeoutInMs };
}

/** What the API signs of a decision. */
export interface DecisionFacts {
  readonly by: Actor;
  readonly roles?: readonly string[];
  /** Of a decision on a plan. */
  readonly planDigest?: string;
  readonly gate?: string;
  /** The person passes the gate alone, for a reason. */
  readonly breakGlass?: { readonly reason: string };
  /** Of an acceptance: the list of Secrets. */
  readonly digest?: string;
  readonly at: string;
  readonly texts: string;
}

/** Says whether the API signed a statement. */
export interface StatementVerifier {
  /** @returns why the request does not count; undefined when the API signed it */
  requestFault(facts: RequestFacts, signature: StatementSignature | undefined): Fault | undefined;
  /** @returns why the decision does not count; undefined when the API signed it for this operation */
  decisionFault(
    operationId: string,
    verb: Verb,
    decision: DecisionFacts & { readonly signature: StatementSignature },
  ): Fault | undefined;
}

/** The signature of a request, and what of it is in no other place. It is with the operation from its first moment to its evidence. */
export const RequestSeal = z.object({
  policy: z.looseObject({ approvalsRequired: z.int(), scopes: z.array(z.string()).readonly().optional() }),
  approvalTimeoutInMs: z.number(),
  signature: StatementSignature,
});
/** The signature of a request, and what of it is in no other place. */
export type RequestSeal = z.infer<typeof RequestSeal>;

/** The digest of a person's texts: their name, and what they wrote. @param breakGlass why they passed a gate alone, if they did */
export function textsDigest(by: Pick<Actor, 'name'>, words?: string, breakGlass?: { readonly reason: string }): string {
  return digestOf([by.name, words ?? null, breakGlass?.reason ?? null]);
}

/** The exact text that is signed of a request. */
export function requestStatement(facts: RequestFacts): string {
  const { operationId, fingerprint, kind, cluster, requestedBy, requestedAt, policy, approvalTimeoutInMs } = facts;
  return canonicalJson({
    format: 'keyturn-request/1',
    operationId,
    fingerprint,
    kind,
    cluster,
    requestedBy: identityOf(requestedBy),
    requestedAt,
    policy,
    approvalTimeoutInMs,
  });
}

/** The exact text that is signed of a decision on an operation. */
export function decisionStatement(operationId: string, verb: Verb, facts: DecisionFacts): string {
  const { by, roles, planDigest, gate, breakGlass, digest, at, texts } = facts;
  return canonicalJson({
    format: 'keyturn-decision/1',
    operationId,
    verb,
    by: identityOf(by),
    roles,
    planDigest,
    gate,
    breakGlass: breakGlass === undefined ? undefined : true,
    digest,
    at,
    texts,
  });
}

/** The name is for reading only and may be cut; a decision has it under the digest of its texts. */
function identityOf({ tenantId, objectId, type, person, onBehalfOf }: Actor): object {
  return { tenantId, objectId, type, person, onBehalfOf: onBehalfOf && identityOf(onBehalfOf) };
}
