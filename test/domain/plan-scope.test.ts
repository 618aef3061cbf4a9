/** A plan keeps to the scopes that were signed with its request: none where it must not, none missing where it may. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { KINDS } from '../../domain/kinds';
import { stepStates } from '../../domain/operation';
import { resourcesChanged } from '../../domain/plan/changed-resources';
import { plan } from '../../domain/planner';
import { covers, fittingScopes, MOST_SCOPE_BYTES, widest } from '../../domain/scope';
import { jsonBytes } from '../../domain/text-budget';
import { scopeFaults } from '../../domain/trust/plan-scope';
import { recordFaults } from '../../domain/trust/record-check';
import { refusedRecord } from '../support/evidence-record';
import {
  azureFor,
  CLUSTER,
  insideFor,
  ledgerFor,
  NOW,
  observation,
  person,
  planned,
  READ_VAULT_ID,
  requestOf,
  SIGNED,
} from './fixtures';

const PLANS = KINDS.map(({ name }) => planned(name));
const RESOURCES = [
  ...new Set(PLANS.flatMap((one) => resourcesChanged(one).flatMap(({ id }) => (id === null ? [] : [id])))),
];
/** The ids of plans, and all that is above them. */
const SCOPES = [
  ...new Set(
    RESOURCES.flatMap((id) => [3, 5, id.split('/').length].map((parts) => id.split('/').slice(0, parts).join('/'))),
  ),
  CLUSTER,
];
const aPlan = fc.constantFrom(...PLANS);
const someScopes = fc.subarray(SCOPES);

describe('the scopes of a request', () => {
  it('refuse exactly what no scope covers, one sentence for each resource', () => {
    fc.assert(
      fc.property(aPlan, someScopes, (of, scopes) => {
        const outside = resourcesChanged(of).filter(
          ({ id }) =>
            id === null ||
            !scopes.some((scope) => id.toLowerCase() === scope.toLowerCase() || id.startsWith(`${scope}/`)),
        );
        const faults = scopeFaults(of, { scopes });
        expect(faults.map(({ code }) => code)).toEqual(outside.map(() => 'ResourceOutOfScope'));
        outside.forEach(({ name, step }, index) => {
          expect(faults[index]?.detail).toContain(name);
          expect(faults[index]?.detail).toContain(`The step ${step} `);
        });
      }),
    );
  });

  it('refuse no more when there are more of them, and nothing when they are everywhere or absent', () => {
    fc.assert(
      fc.property(aPlan, someScopes, someScopes, (of, some, more) => {
        const few = scopeFaults(of, { scopes: some }).map(({ detail }) => detail);
        for (const { detail } of scopeFaults(of, { scopes: [...some, ...more] })) expect(few).toContain(detail);
      }),
    );
    for (const of of PLANS) {
      expect(scopeFaults(of, { scopes: ['*'] })).toEqual([]);
      expect(scopeFaults(of, {})).toEqual([]);
    }
  });

  it('end the planning of what lies outside them, with no plan', () => {
    const facts = {
      ...observation(azureFor('connect-csi'), ledgerFor('connect-csi', { proven: true })),
      csiInside: insideFor('connect-csi'),
    };
    const of = (scopes: string[]) => plan(requestOf('connect-csi'), facts, { approvalsRequired: 1, scopes });
    expect(of([CLUSTER])).toMatchObject({
      plan: null,
      faults: [{ code: 'ResourceOutOfScope' }, { code: 'ResourceOutOfScope' }],
    });
    expect(
      of([CLUSTER])
        .faults.map(({ detail }) => detail)
        .join(),
    ).toContain(READ_VAULT_ID);
    expect(of([READ_VAULT_ID.split('/providers/')[0] ?? '']).faults).toEqual([]);
  });
});

describe('evidence of a plan that began', () => {
  it('does not hold when the plan reaches outside the scopes of its signed request', () => {
    const of = planned('connect-csi');
    const begun = of.steps.find(({ type }) => type !== 'gate')?.id ?? '';
    const faults = (scopes?: string[]): string[] => {
      const { operation, seal } = refusedRecord();
      const approvals = [{ ...SIGNED, by: person('bob'), planDigest: of.digest, gate: 'approve' }];
      const steps = stepStates(of, [{ id: begun, status: 'interrupted', startedAt: NOW, endedAt: NOW, attempt: 1 }]);
      return recordFaults(
        {
          operation: { ...operation, plan: of, steps, approvals },
          seal: { ...seal, policy: { ...seal.policy, ...(scopes === undefined ? {} : { scopes }) } },
          outputs: {},
          swept: true,
        },
        { minimumApprovals: 1, receipts: { fault: () => undefined } },
      );
    };
    const outside = (all: string[]): string[] => all.filter((text) => text.includes('the policy does not give'));
    expect(outside(faults([CLUSTER]))).toHaveLength(resourcesChanged(of).length);
    expect(outside(faults(['*']))).toEqual([]);
    expect(outside(faults())).toEqual([]);
  });
});

describe('the scopes that travel', () => {
  const group = (name: string, subscription = '1'): string =>
    `/subscriptions/${subscription.repeat(8)}-2222-3333-4444-555555555555/resourceGroups/${name}`;

  it('are the widest, each once', () => {
    const [a, b] = [group('a'), group('b')];
    expect(widest([a, `${a}/providers/x/y/z`, a.toUpperCase(), b, `${b}2`])).toEqual(
      [a, b, `${b}2`].map((scope) => scope.toLowerCase()),
    );
    expect(widest([a, '*'])).toEqual(['*']);
  });

  it('are those near the cluster where there are too many, and never more than were given', () => {
    const many = Array.from({ length: 200 }, (_, index) => group(`group-${index}`, index % 2 === 0 ? '2' : '1'));
    const own = CLUSTER.split('/providers/')[0] ?? '';
    const kept = fittingScopes([...many, own, READ_VAULT_ID], CLUSTER);
    expect(kept.slice(0, 2)).toEqual([own, READ_VAULT_ID]);
    expect(kept.slice(2).every((scope) => scope.startsWith(own.split('/resourceGroups/')[0] ?? ''))).toBe(true);
    expect(jsonBytes(kept)).toBeLessThanOrEqual(MOST_SCOPE_BYTES);
    expect(jsonBytes(kept)).toBeGreaterThan(MOST_SCOPE_BYTES / 2);
    fc.assert(
      fc.property(fc.subarray(many), fc.constantFrom(...many), (given, id) => {
        const any = (scopes: readonly string[]): boolean => scopes.some((scope) => covers(scope, id));
        if (any(fittingScopes(widest(given), CLUSTER))) expect(any(given)).toBe(true);
      }),
    );
  });
});
