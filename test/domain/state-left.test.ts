import { describe, expect, it } from '@jest/globals';
import type { StepState } from '../../domain/operation';
import { stateLeft } from '../../domain/state-left';

const step = (id: StepState['id'], status: StepState['status']): StepState => ({
  id,
  status,
  title: '',
  reason: '',
  changes: 'nothing',
  ...(status === 'pending' ? {} : { startedAt: '2026-11-22T12:00:00.000Z' }),
});

describe('the state that an operation leaves', () => {
  it.each([
    ['nothing was started', [step('set-key', 'pending')], /^Nothing was changed\.$/],
    ['only a key version was made', [step('create-key-version', 'done'), step('set-key', 'pending')], /not in use/],
    ['the change was not seen to end', [step('set-key', 'blocked')], /provisioning state/],
    [
      'the key was set',
      [step('set-key', 'done'), step('rewrite', 'running')],
      /Keep both keys; the next rotation proves/,
    ],
  ])('is told when %s', (_what, steps, sentence) => {
    expect(stateLeft({ steps })).toMatch(sentence);
  });
});
