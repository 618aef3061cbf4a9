/** What the plan of an upgrade tells of what may not survive it. */
import { describe, expect, it } from '@jest/globals';
import { matchesLabels } from '../../domain/label-selector';
import { upgradeRiskWarnings } from '../../domain/upgrade-risks';

describe('the risks of an upgrade', () => {
  it('are told for the version that is upgraded to, and are not under the digest', () => {
    const risks = {
      deprecatedApis: [
        { api: 'storage.k8s.io/v1beta1 csistoragecapacities', removedIn: '1.27' },
        { api: 'flowcontrol.apiserver.k8s.io/v1beta2 flowschemas', removedIn: '1.29' },
      ],
      podsWithoutBudget: { web: 2, api: 1 },
    };
    const warnings = upgradeRiskWarnings(risks, '1.27.3');
    expect(warnings.map(({ code }) => code)).toEqual(['RemovedApisInUse', 'PodsWithoutDisruptionBudget']);
    expect(warnings[0]?.detail).toContain('csistoragecapacities (removed in 1.27)');
    expect(warnings[0]?.detail).not.toContain('flowschemas');
    expect(warnings[1]?.detail).toMatch(/^3 pod\(s\).*api \(1\), web \(2\)\.$/);
    expect(warnings.every(({ volatile }) => volatile)).toBe(true);
    expect(upgradeRiskWarnings(risks, '1.29.0')[0]?.detail).toContain('flowschemas');
  });

  it('are silent where there are none, and say what Keyturn may not read', () => {
    expect(upgradeRiskWarnings({ deprecatedApis: [], podsWithoutBudget: {} }, '1.27.3')).toEqual([]);
    const [unknown] = upgradeRiskWarnings({ deprecatedApis: null, podsWithoutBudget: null }, '1.27.3');
    expect(unknown).toMatchObject({
      code: 'UpgradeRisksUnknown',
      detail: expect.stringContaining('/metrics and pods'),
    });
  });

  it('name ten at most', () => {
    const podsWithoutBudget = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`ns${index + 10}`, 1]));
    const [warning] = upgradeRiskWarnings({ deprecatedApis: [], podsWithoutBudget }, '1.27.3');
    expect(warning?.detail).toMatch(/ns19 \(1\) and 2 more\.$/);
  });
});

it.each([
  [{}, true],
  [{ matchLabels: { app: 'a' } }, true],
  [{ matchLabels: { app: 'b' } }, false],
  [{ matchExpressions: [{ key: 'app', operator: 'In' as const, values: ['a', 'b'] }] }, true],
  [{ matchExpressions: [{ key: 'app', operator: 'NotIn' as const, values: ['a'] }] }, false],
  [{ matchExpressions: [{ key: 'tier', operator: 'NotIn' as const, values: ['a'] }] }, true],
  [{ matchExpressions: [{ key: 'app', operator: 'Exists' as const }] }, true],
  [{ matchLabels: { app: 'a' }, matchExpressions: [{ key: 'app', operator: 'DoesNotExist' as const }] }, false],
])('the selector %j matches app=a: %s', (selector, matches) => {
  expect(matchesLabels(selector, { app: 'a' })).toBe(matches);
});
