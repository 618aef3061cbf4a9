import { describe, expect, it } from '@jest/globals';
import type { StepStatus } from '../../domain/operation';
import type { Plan } from '../../domain/plan/plan';
import { stateLeft } from '../../domain/state-left';
import { planned } from './fixtures';

describe('the state that an operation leaves', () => {
  const plan: Plan = planned('rotate-key');
  const begun = (id: string, status: StepStatus['status']): StepStatus => ({ id, status, startedAt: 'then' });
  const done = (...ids: string[]): StepStatus[] => ids.map((id) => begun(id, 'done'));

  it.each([
    ['nothing was started', [{ id: 'rotate.set-kms', status: 'pending' as const }], /was not changed\. Keep every key/],
    ['only a key version was created', done('approve', 'create-key-version'), /not in use/],
    ['the change was not seen to end', [begun('rotate.set-kms', 'blocked')], /provisioning state/],
    ['the key was set', [...done('rotate.set-kms'), begun('rotate.rewrite', 'running')], /not every Secret is proven/],
    ['the proof was not recorded', done('rotate.set-kms', 'rotate.prove'), /not in the ledger/],
    ['all was done', done('rotate.set-kms', 'rotate.prove', 'rotate.record-proof'), /every Secret is proven/],
  ])('is told when %s', (_what, steps, sentence) => {
    expect(stateLeft(plan, steps)).toMatch(sentence);
  });
});
