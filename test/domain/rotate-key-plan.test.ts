import { describe, expect, it } from '@jest/globals';
import { plan } from '../../domain/planner';
import type { Plan } from '../../domain/plan';
import { azure, goodKey, KEY_1, KEY_2, KEY_3, observation, provenLedger, request } from './fixtures';

const policy = { approvalsRequired: 1 };

function planned(...args: Parameters<typeof plan>): Plan {
  const result = plan(...args);
  if (!result.plan) throw new Error(JSON.stringify(result.faults));
  return result.plan;
}

const stepsOf = (p: Plan): string[] => p.steps.map(({ id }) => id);
const proven = observation(azure(), provenLedger(KEY_3, KEY_1));

describe('the plan of rotate-key', () => {
  it('approves, makes the key, notes R0, turns, converges, rewrites, proves and verifies, in this order', () => {
    expect(stepsOf(planned(request(), proven, policy))).toEqual([
      'approve',
      'create-key-version',
      'take-baseline',
      'set-key',
      'converge',
      'rewrite',
      'prove',
      'verify-key',
    ]);
  });

  it('makes no key when the request names one', () => {
    const facts = observation(azure({ requestedKey: goodKey(KEY_2) }), provenLedger(KEY_1));
    const p = planned(request({ keyId: KEY_2 }), facts, policy);
    expect(stepsOf(p)).not.toContain('create-key-version');
    expect(p.targetKeyId).toBe(KEY_2);
  });

  it.each([
    ['no ledger', null],
    [
      'an unproven current key',
      {
        ...provenLedger(KEY_1),
        generations: provenLedger(KEY_1).generations.map((g) => ({ ...g, state: 'activated' as const })),
      },
    ],
    ['a key that somebody else set', provenLedger(KEY_3)],
  ])('proves the current key before it turns anything when there is %s (K2)', (_what, ledger) => {
    const steps = stepsOf(planned(request(), observation(azure(), ledger), policy));
    expect(steps.indexOf('prove-current-key')).toBe(1);
    expect(steps.indexOf('prove-current-key')).toBeLessThan(steps.indexOf('set-key'));
  });

  it('warns of the previous key, or of not knowing it', () => {
    expect(planned(request(), proven, policy).warnings).toMatchObject([{ code: 'PreviousKeyLeavesItsSlot' }]);
    expect(planned(request(), observation(azure()), policy).warnings).toMatchObject([{ code: 'PreviousSlotUnknown' }]);
  });

  it('never disables or deletes a key (K1)', () => {
    for (const { title } of planned(request(), observation(azure()), policy).steps)
      expect(title).not.toMatch(/disable|delete|purge/i);
  });

  it('has a digest that the same facts give again and any other plan changes (O3)', () => {
    const { digest } = planned(request(), proven, policy);
    expect(
      planned(request(), { ...proven, secrets: 7, azure: { ...proven.azure, at: '2027-01-01T00:00:00.000Z' } }, policy)
        .digest,
    ).toBe(digest);
    expect(planned({ ...request(), change: { number: 'CHG2' } }, proven, policy).digest).not.toBe(digest);
    expect(planned(request(), observation(azure()), policy).digest).not.toBe(digest);
    expect(planned(request(), proven, { approvalsRequired: 2 }).digest).not.toBe(digest);
  });
});
