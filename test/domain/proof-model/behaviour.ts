/**
 * How an operation is conducted in the model. `AS_PRODUCT` is what workflows/steps and activities do; each test of a
 * mutation changes one member and shows that the model finds it out.
 */
import { PROOF_RULE, type ProofRule, type RewriteMethod } from '../../../domain/proof';

/** The decisions around the rule. */
export interface Behaviour {
  readonly rule: ProofRule;
  /** `believed`: somebody says that all servers have switched, and nobody looks. */
  readonly convergence: 'seen' | 'believed';
  /** API servers that were replaced and have not ended: whether Rc is taken only when there is none. */
  readonly replacedServers: 'waited-for' | 'forgotten';
  readonly notesRc: 'after-convergence' | 'before-convergence';
  /** What the rewrite goes by; absent: what convergence found out, which is the scenario's. */
  readonly method?: RewriteMethod;
  /** A forced patch that forgets the annotation changes nothing. */
  readonly forcedPatch: 'annotates' | 'changes-nothing';
  /** The lists that rewrite and proof go by. */
  readonly lists: 'anew' | 'of-before-the-switch';
  readonly onConflict: 'ask-again' | 'done';
  readonly onLostAnswer: 'ask-again' | 'done';
  /** What a patch that is answered 404 means. */
  readonly onNotFound: 'look' | 'done';
  /** `same-servers`: they agree, and are the processes of the first look. `servers-agree`: they agree. */
  readonly secondLook: 'same-servers' | 'servers-agree' | 'none';
  /** Which lists must not be older than which: those of a pass than R0 and Rc; and one at the very end than that of the proof. */
  readonly comparesLists: 'to-the-end' | 'with-bounds' | 'never';
}

/** What the product does. */
export const AS_PRODUCT: Behaviour = {
  rule: PROOF_RULE,
  convergence: 'seen',
  replacedServers: 'waited-for',
  notesRc: 'after-convergence',
  forcedPatch: 'annotates',
  lists: 'anew',
  onConflict: 'ask-again',
  onLostAnswer: 'ask-again',
  onNotFound: 'look',
  secondLook: 'same-servers',
  comparesLists: 'to-the-end',
};
