import { describe, expect, it } from '@jest/globals';
import type { Generation, Ledger } from '../../domain/ledger';
import { plan } from '../../domain/planner';
import type { Observation } from '../../domain/observed';
import type { Plan } from '../../domain/plan';
import type { RefusalReason } from '../../domain/refusal';
import { CEILING_TAG } from '../../domain/rewrite-pace';
import { minutesAfter } from '../../domain/times';
import { azure, goodKey, KEY_1, KEY_2, KEY_3, NOW, observation, provenLedger, request } from './fixtures';

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

  it('has a ceiling when the owners have set one by a tag, and says so where it is felt', () => {
    const facts = observation(azure({ cluster: { tags: { [CEILING_TAG]: '25' } } }), provenLedger(KEY_1));
    const tagged = planned(request(), facts, policy);
    expect(tagged).toMatchObject({ scheme: 'kms-v2', ceilingPerSecond: 25 });
    expect(tagged.steps.find(({ id }) => id === 'rewrite')?.reason).toMatch(/At most 25 Secrets a second\.$/);
    expect(planned(request(), proven, policy).ceilingPerSecond).toBeNull();
  });

  it('warns of a ceiling that is not understood', () => {
    const facts = observation(azure({ cluster: { tags: { [CEILING_TAG]: 'slow' } } }), provenLedger(KEY_1));
    expect(planned(request(), facts, policy)).toMatchObject({
      ceilingPerSecond: null,
      warnings: [{ code: 'CeilingNotUnderstood' }],
    });
  });

  it('for KMS v1 spares the vault, tells of the annotation, and says that the proof is weaker', () => {
    const v1 = (tags: Record<string, string>): Plan =>
      planned(
        request(),
        observation(azure({ cluster: { kubernetesVersion: '1.26.15', tags } }), provenLedger(KEY_1)),
        policy,
      );
    expect(v1({})).toMatchObject({ scheme: 'kms-v1', ceilingPerSecond: 66, warnings: [{ code: 'KmsV1' }] });
    expect(v1({}).steps.find(({ id }) => id === 'rewrite')?.title).toMatch(/annotation/);
    expect(v1({ [CEILING_TAG]: '5' }).ceilingPerSecond).toBe(5);
    expect(v1({ [CEILING_TAG]: '500' }).ceilingPerSecond).toBe(66);
  });

  it('for KMS v1 goes by the slower of the two keys', () => {
    const cluster = { kubernetesVersion: '1.26.15' };
    const requestedKey = goodKey(KEY_2, { keySizeInBits: 4096 });
    const facts = observation(azure({ cluster, requestedKey }), provenLedger(KEY_1));
    expect(planned(request({ keyId: KEY_2 }), facts, policy).ceilingPerSecond).toBe(8);
  });

  it('for KMS v1 does not turn a key that was set within the last hour and is not proven', () => {
    const turned = (minutesAgo: number, change: Partial<Generation> = {}): Observation => {
      const since = minutesAfter(NOW, -minutesAgo);
      const generation: Generation = { keyId: KEY_1, state: 'activated', origin: 'operation', since, ...change };
      const ledger: Ledger = { version: 1, generations: [generation] };
      return observation(azure({ cluster: { kubernetesVersion: '1.26.15' } }), ledger);
    };
    expect(plan(request(), turned(59), policy)).toMatchObject({
      plan: null,
      faults: [
        { code: 'KeyTurnedRecently', detail: expect.stringContaining('Ask again after 2026-11-22T12:01:00.000Z') },
      ],
    });
    expect(stepsOf(planned(request(), turned(60), policy))).toContain('prove-current-key');
    expect(stepsOf(planned(request(), turned(5, { state: 'proven' }), policy))).not.toContain('prove-current-key');
    // Nobody knows when it was set.
    expect(stepsOf(planned(request(), turned(0, { origin: 'adopted' }), policy))).toContain('prove-current-key');
    // With KMS v2 every server says what it writes with.
    const v2 = { ...turned(5), azure: azure() };
    expect(stepsOf(planned(request(), v2, policy))).toContain('prove-current-key');
  });

  it('carries what the census found: faults stop it, warnings are shown', () => {
    const problem = (reason: RefusalReason): Observation => ({
      ...proven,
      census: {
        secrets: 3,
        problems: [{ reason, count: 1, secrets: ['n/x'], message: 'No.' }],
        finalizing: { count: 0, secrets: [] },
      },
    });
    expect(plan(request(), problem('Unreadable'), policy)).toMatchObject({
      plan: null,
      faults: [{ code: 'SecretsUnreadable' }],
    });
    expect(planned(request(), problem('AdmissionDenied'), policy).warnings).toContainEqual(
      expect.objectContaining({ code: 'SecretsRefuseRewrite' }),
    );
  });

  it('has a digest that the same facts give again and any other plan changes (O3)', () => {
    const { digest } = planned(request(), proven, policy);
    expect(
      planned(request(), { ...proven, azure: { ...proven.azure, at: '2027-01-01T00:00:00.000Z' } }, policy).digest,
    ).toBe(digest);
    expect(planned({ ...request(), change: { number: 'CHG2' } }, proven, policy).digest).not.toBe(digest);
    expect(planned(request(), observation(azure()), policy).digest).not.toBe(digest);
    expect(planned(request(), proven, { approvalsRequired: 2 }).digest).not.toBe(digest);
  });
});
