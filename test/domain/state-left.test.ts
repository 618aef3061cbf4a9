import { describe, expect, it } from '@jest/globals';
import type { StepStatus } from '../../domain/operation';
import type { Outputs } from '../../domain/plan/outputs';
import type { Plan } from '../../domain/plan/plan';
import { stateLeft } from '../../domain/state-left';
import { KEY_2, planned } from './fixtures';

describe('the state that an operation leaves', () => {
  const plan: Plan = planned('rotate-key');
  const begun = (id: string, status: StepStatus['status']): StepStatus => ({ id, status, startedAt: 'then' });
  const done = (...ids: string[]): StepStatus[] => ids.map((id) => begun(id, 'done'));

  it.each([
    ['nothing was started', [{ id: 'rotate.set-kms', status: 'pending' as const }], /was not changed\. Keep every key/],
    [
      'only a key version was created',
      done('approve', 'create-key-version'),
      /was not changed.*made the key version https.*name it as `keyId`/,
    ],
    ['the change was not seen to end', [begun('rotate.set-kms', 'blocked')], /provisioning state/],
    ['the key was set', [...done('rotate.set-kms'), begun('rotate.rewrite', 'running')], /not every Secret is proven/],
    ['the proof was not recorded', done('rotate.set-kms', 'rotate.prove'), /not in the ledger/],
    ['all was done', done('rotate.set-kms', 'rotate.prove', 'rotate.record-proof'), /every Secret is proven/],
  ])('is told when %s', (_what, steps, sentence) => {
    const outputs: Outputs = steps.some(({ id }) => id === 'create-key-version')
      ? { 'create-key-version': { type: 'create-key-version', keyId: KEY_2 } }
      : {};
    expect(stateLeft(plan, steps, { outputs })).toMatch(sentence);
  });

  it('is told when Azure refused the change: the key version that was made by its id, until it is set', () => {
    const outputs: Outputs = { 'create-key-version': { type: 'create-key-version', keyId: KEY_2 } };
    const made = done('approve', 'create-key-version', 'rotate.take-baseline');
    const refused = [...made, begun('rotate.set-kms', 'blocked')];
    const left = stateLeft(plan, refused, { outputs, blockedBy: 'ArmRequestRefused' });
    expect(left).toMatch(/^Azure refused the change .*Keep every key/);
    expect(left).toContain(KEY_2);
    // What blocked it otherwise says nothing of what Azure did.
    expect(stateLeft(plan, refused, { outputs, blockedBy: 'ArmOperationFailed' })).toMatch(/provisioning state/);
    expect(stateLeft(plan, [...made, ...done('rotate.set-kms')], { outputs })).not.toContain(KEY_2);
  });

  it('is told of a connection with a vault: what was made, what may have been, and how to be rid of it', () => {
    const connecting = planned('connect-csi');
    const outputs: Outputs = {};
    expect(stateLeft(connecting, done('approve'), { outputs })).toMatch(/^The cluster was not changed/);
    const half = [...done('approve', 'enable-secrets-provider'), begun('enable-workload-identity', 'blocked')];
    expect(stateLeft(connecting, half, { outputs })).toMatch(
      /^The cluster's key was not changed\..*this was done: enable-secrets-provider\. enable-workload-identity may have been done: look there\. .*disconnect-csi removes/,
    );
  });
});
