/**
 * One Secret, by the proof rule: is it under the target key? If that is not known, a fenced patch asks the API server.
 *
 * Does: sends the questions of domain/settling.ts to the API server; asks again after a conflict (another client wrote it), after
 *       a short fault and when the server is busy; a bounded number of times.
 * Never does: read a value, change content (except for one annotation where only a change has an effect), or let one Secret
 *             that is refused stop the others.
 */
import type { ProofBounds } from '../../domain/proof';
import { settling, type Answer, type Question, type Settlement } from '../../domain/settling';
import type { KubeConnection } from '../kubernetes/connection';
import { KubeError } from '../kubernetes/errors';
import { patchFenced, readSecret, type SecretMetadata } from '../kubernetes/metadata';
import type { Pacer } from './pacer';
import { RetryBudget, refusalOf } from './retry-budget';

/** The annotation that a forced rewrite changes. Its value is new for each operation and each Rc, so it always is a change. */
export const REWRITTEN_ANNOTATION = 'keyturn.dev/rewritten';

/** What came out for one Secret. */
export type Outcome = Settlement;

/** What settling needs. */
export interface SettleContext {
  readonly connection: KubeConnection;
  readonly operationId: string;
  readonly bounds: ProofBounds;
  readonly pacer: Pacer;
  readonly signal: AbortSignal;
}

/**
 * Settles one Secret.
 * @param listed as a list showed it
 * @throws KubeError when the API server is away, or accepts no requests of ours at all; the signal's reason
 */
export async function settleSecret(listed: SecretMetadata, context: SettleContext): Promise<Outcome> {
  const budget = new RetryBudget(context.pacer, context.signal);
  const steps = settling(listed, context.bounds);
  let step = steps.next();
  while (!step.done) {
    const answer = await ask(listed, step.value, context, budget);
    if (answer.type === 'refused') return answer;
    step = steps.next(answer);
  }
  return step.value;
}

async function ask(
  secret: SecretMetadata,
  question: Question,
  context: SettleContext,
  budget: RetryBudget,
): Promise<Answer | Extract<Outcome, { type: 'refused' }>> {
  const { connection, pacer, signal } = context;
  try {
    const state = await pacer.run(
      () =>
        question.type === 'read'
          ? readSecret(connection, secret, { signal })
          : patchFenced(
              connection,
              { ...secret, ...question.fence },
              { signal, ...(question.forced ? { annotations: forcedAnnotation(context) } : {}) },
            ),
      signal,
    );
    return { type: 'state', state };
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    if (error.status === 404) return { type: 'notFound', refusal: refusalOf(error) };
    const refusal = await budget.next(error);
    return refusal ? { type: 'refused', ...refusal } : { type: 'unknown' };
  }
}

function forcedAnnotation({ operationId, bounds }: SettleContext): Readonly<Record<string, string>> {
  return { [REWRITTEN_ANNOTATION]: `${operationId}.${bounds.convergedRv}` };
}
