/**
 * A transition: the steps that move a cluster from one encryption state to another and prove that every Secret followed.
 * The only writer of `set-kms` steps.
 *
 * The order is the safety property: R0 before the switch, the switch noted before it is asked for, every API server seen to
 * have switched before the rewrite, and the proof before the ledger says "proven" (K5).
 */
import { describeState, type EncryptionState } from '../encryption';
import type { PlanStep, StepId } from './steps';

/** What all transitions of a plan share. */
export interface TransitionOptions {
  /** Secrets a second; null without a limit. */
  readonly perSecond: number | null;
  /** Whether approvers may accept Secrets that the API server refuses to rewrite: never when a later step evicts their key. */
  readonly acceptable: boolean;
}

/** @param id prefix of the step ids, unique in the plan */
export function transition(
  id: string,
  from: EncryptionState,
  to: EncryptionState,
  options: TransitionOptions,
): PlanStep[] {
  const baseline: StepId = `${id}.take-baseline`;
  const old = describeState(from);
  return [
    {
      id: baseline,
      type: 'take-baseline',
      title: `Write canaries under ${old} and note the resource version R0`,
      reason: 'Only an object that was surely written before the switch can show that an API server has switched.',
    },
    { id: `${id}.set-kms`, type: 'set-kms', expect: from, to, ...wordsOfChange(from, to) },
    ...provingSteps(id, to, baseline, options),
  ];
}

/** The steps that prove every Secret under the state that the cluster is in already. */
export function rewriteInPlace(
  id: string,
  state: EncryptionState,
  reason: string,
  { perSecond }: Pick<TransitionOptions, 'perSecond'>,
): PlanStep[] {
  const [converge, , prove, record] = provingSteps(id, state, null, { perSecond, acceptable: false });
  // No rewrite apart from the proof: no switch was made, so that nearly all Secrets would answer "not stale" twice.
  return [
    { ...converge, reason },
    { ...prove, title: `Rewrite what is stale, and prove every Secret under ${describeState(state)}` },
    record,
  ];
}

function provingSteps(
  id: string,
  to: EncryptionState,
  baseline: StepId | null,
  { perSecond, acceptable }: TransitionOptions,
): [PlanStep, PlanStep, PlanStep, PlanStep] {
  const target = describeState(to);
  const since: StepId = `${id}.converge`;
  const proof: StepId = `${id}.prove`;
  const pace = perSecond === null ? '' : ` At most ${perSecond} Secrets a second.`;
  const forced = to.mode === 'on' && to.scheme === 'kms-v1';
  return [
    {
      id: since,
      type: 'converge',
      to,
      baseline,
      title: `Wait until every API server writes with ${target}, and note the resource version Rc`,
      reason:
        'A rewrite through an API server that has not switched does nothing, or undoes what another API server did.',
    },
    {
      id: `${id}.rewrite`,
      type: 'rewrite',
      to,
      since,
      perSecond,
      acceptable,
      title: forced
        ? 'Rewrite every Secret with a fenced patch, by an annotation where a no-op would do nothing'
        : 'Rewrite every Secret with a fenced no-op patch',
      reason: `The API server stores a stale record again under ${target}. No Secret value leaves the API server.${pace}`,
    },
    {
      id: proof,
      type: 'prove',
      to,
      since,
      perSecond,
      acceptable,
      title: `Prove from a fresh list that every Secret is under ${target}`,
      reason:
        'The end of a loop is not proof: a fresh list must show no unproven Secret, with convergence still holding.',
    },
    {
      id: `${id}.record-proof`,
      type: 'record-proof',
      to,
      proof,
      title: 'Compare what Azure reports, and record the proof in the ledger',
      reason: 'Azure reports the current key only. The ledger keeps what the next operation needs to know.',
    },
  ];
}

function wordsOfChange(
  from: EncryptionState,
  to: EncryptionState,
): { readonly title: string; readonly reason: string } {
  if (to.mode === 'off') {
    return {
      title: 'Disable KMS on the cluster',
      reason: `AKS goes on reading with ${describeState(from)}. The key must stay enabled and unexpired: AKS names no time after which it may go (K3).`,
    };
  }
  if (from.mode === 'off') {
    return {
      title: `Enable KMS on the cluster with ${describeState(to)}`,
      reason:
        'New Secrets are encrypted from then on; existing Secrets stay plaintext until the API server stores them again.',
    };
  }
  return {
    title: `Set ${describeState(to)} as the cluster's KMS key`,
    reason: `AKS keeps ${describeState(from)} in the second slot for reading. Both keys must stay enabled and unexpired until a later rotation is proven.`,
  };
}
