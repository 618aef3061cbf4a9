import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Approval } from '../../domain/approval';
import { sameActor } from '../../domain/people';
import { approvalsOf, gatesBefore, quorumFault } from '../../domain/trust/quorum';
import { NOW, person, planned, SIGNED } from './fixtures';

const plan = planned('rotate-key');
const first = plan.steps.find(({ type }) => type !== 'gate')?.id ?? '';
const approval = (change: Partial<Approval> = {}): Approval => ({
  ...SIGNED,
  by: person('bob'),
  planDigest: plan.digest,
  gate: 'approve',
  ...change,
});
const rules = { requestedBy: person('ada'), minimumApprovals: 1, maxAgeInSeconds: 3600, now: NOW };

describe('the quorum of a step', () => {
  it('is there when a person other than the requester approved this plan at each gate before it', () => {
    expect(gatesBefore(plan, first).map(({ id }) => id)).toEqual(['approve']);
    expect(quorumFault(plan, first, [approval()], rules)).toBeUndefined();
  });

  it.each<[string, Partial<Approval>]>([
    ['of another plan', { planDigest: 'sha256:0' }],
    ['of another gate', { gate: 'approve-plaintext' }],
    ['of the requester', { by: { ...person('ada'), name: 'Bob' } }],
    ['of a program', { by: { ...person('bob'), type: 'app' } }],
    ['without the role', { roles: ['Kms.Operator'] }],
    ['that is too old', { at: '2026-11-22T10:59:59.000Z' }],
    ['of no time', { at: 'now' }],
  ])('is not there with an approval %s', (_what, change) => {
    expect(quorumFault(plan, first, [approval(change)], rules)?.code).toBe('NotApproved');
  });

  it('needs as many people as the worker insists on, whatever the plan says', () => {
    const two = { ...rules, minimumApprovals: 2 };
    expect(quorumFault(plan, first, [approval()], two)?.code).toBe('NotApproved');
    expect(quorumFault(plan, first, [approval(), approval({ by: person('eve') })], two)).toBeUndefined();
  });

  it('is not there for what has no gate before it', () => {
    expect(quorumFault(plan, 'approve', [approval()], rules)?.code).toBe('NotApproved');
    expect(quorumFault(plan, 'no-such-step', [], rules)?.code).toBe('NotApproved');
  });

  it('counts each person once, and nobody who may not, whatever is thrown at it', () => {
    const approvals = fc.array(
      fc.record({
        who: fc.constantFrom('ada', 'bob', 'BOB', 'eve'),
        type: fc.constantFrom('user' as const, 'app' as const),
        roles: fc.constantFrom<string[]>(['Kms.Approver'], ['Kms.Operator'], []),
        gate: fc.constantFrom('approve', 'other'),
        planDigest: fc.constantFrom(plan.digest, 'sha256:1'),
      }),
    );
    fc.assert(
      fc.property(approvals, (given) => {
        const all = given.map(({ who, type, ...rest }) => approval({ by: { ...person(who), type }, ...rest }));
        const counted = approvalsOf(plan, 'approve', all, rules);
        expect(counted.filter((one, at) => counted.findIndex(({ by }) => sameActor(by, one.by)) !== at)).toEqual([]);
        for (const { by, roles, gate, planDigest } of counted) {
          expect([by.type, roles, gate, planDigest]).toEqual(['user', ['Kms.Approver'], 'approve', plan.digest]);
          expect(sameActor(by, person('ada'))).toBe(false);
        }
      }),
    );
  });
});
