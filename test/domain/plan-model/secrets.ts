/** A pass over all Secrets in the machine: each is settled by the product's own code, domain/settling.ts. */
import { wentBackwards, type ProofBounds, type RewriteReport } from '../../../domain/proof';
import { refusedSecret, type RefusedSecret } from '../../../domain/refusal';
import { settling, type Answer, type Question, type Settlement } from '../../../domain/settling';
import { canariesOf } from './canaries';
import type { Machine } from './machine';
import { Blocked, type Execution } from './running';

/** What a pass came to. */
export interface Pass {
  readonly report: RewriteReport;
  readonly finalRv: string;
  /** What is not proven after it. */
  readonly unproven: readonly RefusedSecret[];
}

/** Settles every Secret but the operation's own canaries; others may act between two of them. */
export function* pass({ machine, run }: Execution, bounds: ProofBounds): Generator<void, Pass, void> {
  const { resourceVersion, items } = machine.cluster.list();
  // One record that cannot be decrypted fails the whole list.
  if (machine.unreadable().length > 0) throw new Blocked('SecretsUnreadable');
  for (const earlier of [bounds.baselineRv, bounds.convergedRv])
    if (earlier !== null && wentBackwards(earlier, resourceVersion)) throw new Blocked('ResourceVersionWentBackwards');
  const own = canariesOf(run.id);
  const counts = { rewritten: 0, alreadyProven: 0, unchanged: 0, gone: 0, contradiction: 0, refused: 0 };
  const unproven: RefusedSecret[] = [];
  for (const item of items.filter(({ name }) => !own.includes(name))) {
    const settlement = settle(machine, item.name, settling(item, bounds));
    counts[settlement.type]++;
    if (settlement.type === 'refused') unproven.push(refusedSecret(secret(item.name), settlement.reason, ''));
    if (settlement.type === 'contradiction') unproven.push(refusedSecret(secret(item.name), 'Contradiction', ''));
    yield;
  }
  const { contradiction: contradictions, ...rest } = counts;
  const secrets = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const refusedSecrets = unproven.filter(({ reason }) => reason !== 'Contradiction');
  return {
    report: { bounds, secrets, ...rest, contradictions, refusedSecrets },
    finalRv: resourceVersion,
    unproven,
  };
}

function settle(machine: Machine, name: string, steps: Generator<Question, Settlement, Answer>): Settlement {
  let step = steps.next();
  while (!step.done) step = steps.next(answer(machine, name, step.value));
  return step.value;
}

function answer(machine: Machine, name: string, question: Question): Answer {
  const { cluster } = machine;
  const notFound: Answer = { type: 'notFound', refusal: { reason: 'AdmissionDenied', message: '' } };
  if (question.type === 'read') {
    const state = cluster.read(name);
    return state ? { type: 'state', state } : notFound;
  }
  // Whoever has no namespace any more is not asked by webhooks either.
  const changes = !cluster.orphans.has(name) && machine.webhookChanges(name);
  const reply = cluster.patch(name, question.fence, question.forced || changes, machine.anyServer());
  if (machine.pick(8) === 0) return { type: 'unknown' };
  if (reply.type === 'state') return { type: 'state', state: reply.state };
  return reply.type === 'notFound' ? notFound : { type: 'unknown' };
}

function secret(name: string): { namespace: string; name: string } {
  return { namespace: 'default', name };
}
