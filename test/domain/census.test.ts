import { describe, expect, it } from '@jest/globals';
import {
  censusFaults,
  censusWarnings,
  forcedRewriteWarnings,
  leavesRoom,
  mayBuildOn,
  type Census,
  type CensusProblem,
} from '../../domain/census';
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
    expect(censusWarnings(all)).toHaveLength(10);
    expect(censusWarnings(all).at(-1)).toEqual({
      code: 'SecretsFinalizing',
      detail: '2 Secrets: n/a, n/b are being deleted and wait for a finalizer. They are rewritten like any other.',
    });
  });

  it('warns of what admission changes, and names what matches, never its words', () => {
    const admission = { changing: ['webhook w (MutatingWebhookConfiguration m)'], denying: ['P p'], unread: [] };
    const warnings = censusWarnings(census({ admission, changed: { count: 1, secrets: ['n/x'] } }));
    expect(warnings.map(({ code }) => code)).toEqual(['SecretsChangedByAdmission', 'AdmissionAppliesToSecrets']);
    expect(warnings[0]?.detail).toMatch(/1 Secret: n\/x.*webhook w \(Mutating/);
    expect(warnings[1]?.detail).toContain('P p');
    const unread = { changing: [], denying: [], unread: ['mutatingadmissionpolicies'] };
    expect(censusWarnings(census({ admission: unread }))[0]?.detail).toContain(
      'may not read mutatingadmissionpolicies',
    );
    expect(censusWarnings(census({ admission: { changing: [], denying: [], unread: [] } }))).toEqual([]);
  });

  it('refuses what the API server would not store, and Secrets that never keep still', () => {
    const object = 'Secret kube-system/c';
    const refused = census({ refusedObjects: [{ object, reason: 'AdmissionDenied', message: 'quota.' }] });
    expect(censusFaults(refused)).toMatchObject([
      { code: 'ClusterAccessRefused', detail: expect.stringContaining(object) },
    ]);
    const unknown = census({ refusedObjects: [{ object, reason: 'DryRunUnsupported', message: 'no.' }] });
    expect(censusFaults(unknown)).toEqual([]);
    const admission = { changing: ['webhook w'], denying: [], unread: [] };
    expect(censusFaults(census({ keepsChanging: true, admission }))).toMatchObject([
      { code: 'CanariesNotStill', detail: expect.stringContaining('webhook w') },
    ]);
  });

  it('foretells annotations that leave no room for one more', () => {
    expect([262_000, 262_110, 262_144].map(leavesRoom)).toEqual([true, false, false]);
    expect(forcedRewriteWarnings(census({ annotated: { count: 1, secrets: ['n/x'] } }))).toMatchObject([
      { code: 'SecretsRefuseRewrite', detail: expect.stringMatching(/n\/x.*256 KiB/) },
    ]);
    expect(forcedRewriteWarnings(census())).toEqual([]);
  });

  it('builds on an earlier one only where that found nothing and the same webhooks apply', () => {
    const none = { changing: [], denying: [], unread: [] };
    const clean = census({ listRv: '7', admission: none });
    expect(mayBuildOn(clean, none)).toBe(true);
    expect(mayBuildOn(undefined, none)).toBe(false);
    expect(mayBuildOn(census({ admission: none }), none)).toBe(false);
    expect(mayBuildOn(clean, { ...none, denying: ['P p'] })).toBe(false);
    expect(mayBuildOn({ ...found('TooLarge'), listRv: '7', admission: none }, none)).toBe(false);
    expect(mayBuildOn({ ...clean, changed: { count: 1, secrets: ['n/x'] } }, none)).toBe(false);
  });
});
