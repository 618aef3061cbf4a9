import { describe, expect, it } from '@jest/globals';
import { censusFaults, censusWarnings, type Census, type CensusProblem } from '../../domain/census';
import { RefusalReason, suggestionFor } from '../../domain/refusal';

const census = (change: Partial<Census> = {}): Census => ({
  secrets: 10,
  problems: [],
  finalizing: { count: 0, secrets: [] },
  ...change,
});
const found = (reason: RefusalReason, change: Partial<CensusProblem> = {}): Census =>
  census({ problems: [{ reason, count: 1, secrets: ['n/x'], message: 'The server said so.', ...change }] });

describe('the census', () => {
  it('finds nothing where nothing is', () => {
    expect(censusFaults(census())).toEqual([]);
    expect(censusWarnings(census())).toEqual([]);
  });

  it.each([
    ['Unreadable', 'SecretsUnreadable'],
    ['NotPermitted', 'RewriteNotPermitted'],
  ] as const)('makes a fault of %s, and no warning', (reason, code) => {
    expect(censusFaults(found(reason))).toMatchObject([{ code, pointer: '/cluster' }]);
    expect(censusWarnings(found(reason))).toEqual([]);
  });

  it.each([
    ['AdmissionDenied', 'SecretsRefuseRewrite'],
    ['WebhookUnavailable', 'SecretsRefuseRewrite'],
    ['TooLarge', 'SecretsRefuseRewrite'],
    ['Invalid', 'SecretsRefuseRewrite'],
    ['ServerError', 'SecretsRefuseRewrite'],
    ['EncryptionFailed', 'SecretsRefuseRewrite'],
    ['DryRunUnsupported', 'SecretsNotForetold'],
  ] as const)('warns of %s, and does not stop the plan', (reason, code) => {
    expect(censusFaults(found(reason))).toEqual([]);
    expect(censusWarnings(found(reason))).toMatchObject([{ code }]);
  });

  it.each(['KeptChanging', 'Contradiction'] as const)(
    'does not speak of %s, which says something of the moment',
    (reason) => {
      expect([...censusFaults(found(reason)), ...censusWarnings(found(reason))]).toEqual([]);
    },
  );

  it('names the first Secrets, counts all, and says what the server said and what helps', () => {
    const [fault] = censusFaults(found('NotPermitted', { count: 7, secrets: ['n/x', 'n/y'] }));
    expect(fault?.detail).toBe(
      `Keyturn may not rewrite 7 Secrets: n/x, n/y and 5 more. The server said so. ${suggestionFor('NotPermitted')}`,
    );
    expect(censusFaults(found('NotPermitted'))[0]?.detail).toMatch(/^Keyturn may not rewrite 1 Secret: n\/x\. The/);
  });

  it('tells every problem, and of Secrets that wait for a finalizer', () => {
    const all = census({
      problems: RefusalReason.options.map((reason) => ({ reason, count: 1, secrets: ['n/x'], message: 'No.' })),
      finalizing: { count: 2, secrets: ['n/a', 'n/b'] },
    });
    expect(censusFaults(all)).toHaveLength(2);
    expect(censusWarnings(all)).toHaveLength(9);
    expect(censusWarnings(all).at(-1)).toEqual({
      code: 'SecretsFinalizing',
      detail: '2 Secrets: n/a, n/b wait for a finalizer to be deleted, and are rewritten like any other.',
    });
  });
});
