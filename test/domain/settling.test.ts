import { describe, expect, it } from '@jest/globals';
import type { ProofBounds } from '../../domain/proof';
import { settling, type Answer, type ObjectState, type Question, type Settlement } from '../../domain/settling';

const bounds: ProofBounds = { baselineRv: '100', convergedRv: '200', method: 'no-op' };
const at = (resourceVersion: string, uid = 'a'): ObjectState => ({ uid, resourceVersion });
const state = (resourceVersion: string, uid = 'a'): Answer => ({ type: 'state', state: at(resourceVersion, uid) });
const UNKNOWN: Answer = { type: 'unknown' };
const MISSING = { reason: 'NamespaceMissing', message: 'namespaces "n" not found' } as const;
const NOT_FOUND: Answer = { type: 'notFound', refusal: MISSING };

/** Settles with these answers. @returns what was asked, and what came out */
function settle(
  listed: ObjectState,
  answers: readonly Answer[],
  change: Partial<ProofBounds> = {},
): [Question[], Settlement] {
  const questions: Question[] = [];
  const steps = settling(listed, { ...bounds, ...change });
  let step = steps.next();
  for (const answer of answers) {
    if (step.done) throw new Error('More answers than questions.');
    questions.push(step.value);
    step = steps.next(answer);
  }
  if (!step.done) throw new Error(`Another question: ${step.value.type}`);
  return [questions, step.value];
}

const patch = (fence: ObjectState, forced = false): Question => ({ type: 'patch', fence, forced });

describe('a Secret is settled', () => {
  it('without a request when it was written after convergence', () => {
    expect(settle(at('201'), [])).toEqual([[], { type: 'alreadyProven' }]);
  });

  it('by one fenced patch that stores it anew, forced where nothing looks stale', () => {
    expect(settle(at('50'), [state('300')])).toEqual([[patch(at('50'))], { type: 'rewritten' }]);
    expect(settle(at('50'), [state('300')], { method: 'forced' })).toEqual([
      [patch(at('50'), true)],
      { type: 'rewritten' },
    ]);
  });

  it('by the answer that it is not stale, unless it is from before the switch', () => {
    expect(settle(at('150'), [state('150')])[1]).toEqual({ type: 'unchanged' });
    expect(settle(at('50'), [state('50')])[1]).toEqual({ type: 'contradiction', resourceVersion: '50' });
    expect(settle(at('50'), [state('50')], { baselineRv: null })[1]).toEqual({ type: 'unchanged' });
  });

  it('by what is there now when somebody else wrote it or the answer was lost', () => {
    expect(settle(at('50'), [UNKNOWN, state('201')])[1]).toEqual({ type: 'alreadyProven' });
    expect(settle(at('50'), [UNKNOWN, state('150', 'b'), state('300', 'b')])).toEqual([
      [patch(at('50')), { type: 'read' }, patch(at('150', 'b'))],
      { type: 'rewritten' },
    ]);
  });

  it('by asking again when the answer to the read is lost too', () => {
    expect(settle(at('50'), [UNKNOWN, UNKNOWN, state('300')])).toEqual([
      [patch(at('50')), { type: 'read' }, patch(at('50'))],
      { type: 'rewritten' },
    ]);
  });

  it('when it is deleted', () => {
    expect(settle(at('50'), [NOT_FOUND, NOT_FOUND])).toEqual([[patch(at('50')), { type: 'read' }], { type: 'gone' }]);
    expect(settle(at('50'), [UNKNOWN, NOT_FOUND])[1]).toEqual({ type: 'gone' });
  });

  it('as refused when a patch does not find it and a read does: a live Secret never leaves the count', () => {
    expect(settle(at('50'), [NOT_FOUND, state('50')])[1]).toEqual({ type: 'refused', ...MISSING });
    expect(settle(at('50'), [NOT_FOUND, state('150')])[1]).toEqual({ type: 'refused', ...MISSING });
  });

  it('anew when it was deleted and made again', () => {
    expect(settle(at('50'), [NOT_FOUND, state('150', 'b'), state('300', 'b')])).toEqual([
      [patch(at('50')), { type: 'read' }, patch(at('150', 'b'))],
      { type: 'rewritten' },
    ]);
  });
});
