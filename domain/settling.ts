/**
 * How one Secret is settled: the questions to the API server, and what follows from its answers.
 *
 * A generator without a clock and without a network: its caller sends the requests. The rewrite runs it against API servers;
 * the property tests run the same code against a model of them, with every other event in between.
 */
import { PROOF_RULE, type ProofBounds, type ProofRule } from './proof';
import type { Refusal } from './refusal';

/** An object in one of its states. */
export interface ObjectState {
  readonly uid: string;
  readonly resourceVersion: string;
}

/** What to ask next. */
export type Question =
  /** The object's metadata as they are now. */
  | { readonly type: 'read' }
  /** A patch that the API server refuses with a conflict unless the object is in this state; it changes nothing, or, forced, an annotation. */
  | { readonly type: 'patch'; readonly fence: ObjectState; readonly forced: boolean };

/** What came back. */
export type Answer =
  /** The object as it is now: read, or after the patch. */
  | { readonly type: 'state'; readonly state: ObjectState }
  /** The object is in another state than the fence says, or it is unknown whether the patch was applied. */
  | { readonly type: 'unknown' }
  /** Status 404. To a read: the object does not exist any more. To a patch: perhaps something else does not exist. */
  | { readonly type: 'notFound'; readonly refusal: Refusal };

/** What came out. */
export type Settlement =
  /** `rewritten`: this patch stored it again. `alreadyProven`: some client stored it after convergence. `unchanged`: answered "not stale" where that is accepted. `gone`: deleted. */
  | { readonly type: 'rewritten' | 'alreadyProven' | 'unchanged' | 'gone' }
  /** It exists, and the API server does not store it. */
  | ({ readonly type: 'refused' } & Refusal)
  /** It had to change and did not. */
  | { readonly type: 'contradiction'; readonly resourceVersion: string };

/**
 * Settles one object.
 * @param listed as a list of after convergence showed it
 */
export function* settling(
  listed: ObjectState,
  bounds: ProofBounds,
  rule: ProofRule = PROOF_RULE,
): Generator<Question, Settlement, Answer> {
  let known = listed;
  for (;;) {
    const band = rule.bandOf(known.resourceVersion, bounds);
    if (band === 'after-convergence') return { type: 'alreadyProven' };
    const before = known;
    const answer = yield { type: 'patch', fence: before, forced: bounds.method === 'forced' };
    if (answer.type === 'state') {
      const after = answer.state.resourceVersion;
      if (rule.judge(band, bounds.method, before.resourceVersion, after) === 'contradiction') {
        return { type: 'contradiction', resourceVersion: before.resourceVersion };
      }
      return { type: after === before.resourceVersion ? 'unchanged' : 'rewritten' };
    }
    // Another client wrote it, or our own patch was applied and its answer was lost. "A conflict means that it was rewritten"
    // holds only when the API server that wrote it had converged: so the rule is applied to what is stored now.
    // And only a read tells whether it is the object that does not exist: the answer for a missing namespace is the same, and a
    // webhook may deny with any status.
    const now = yield { type: 'read' };
    if (now.type === 'notFound') return { type: 'gone' };
    if (now.type !== 'state') continue;
    known = now.state;
    if (answer.type === 'notFound' && known.uid === before.uid) return { type: 'refused', ...answer.refusal };
  }
}
