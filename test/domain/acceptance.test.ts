import { describe, expect, it } from '@jest/globals';
import {
  acceptanceFault,
  acceptanceFor,
  blockedSecrets,
  isAccepted,
  AcceptanceDecision,
  type Acceptance,
  type BlockedSecrets,
} from '../../domain/acceptance';
import type { RefusalReason, RefusedSecret } from '../../domain/refusal';
import { refusedSecret } from '../../domain/refusal';
import { person, SIGNED } from './fixtures';

const refused = (name: string, reason: RefusalReason = 'AdmissionDenied', message = 'No.'): RefusedSecret =>
  refusedSecret({ namespace: 'n', name }, reason, message);
const acceptable = { acceptable: true };
const blocked = blockedSecrets(2, [refused('x'), refused('y')], acceptable);
const accepted = (secrets: RefusedSecret[]): Acceptance => ({
  step: 'rotate.prove',
  ...SIGNED,
  by: person('bob'),
  reason: 'They go next week.',
  digest: blocked.digest,
  secrets,
});

describe('the list of blocked Secrets', () => {
  it('has a digest of names and reasons, not of what servers say of them', () => {
    const digestOf = (...secrets: RefusedSecret[]): string =>
      blockedSecrets(secrets.length, secrets, acceptable).digest;
    expect(digestOf(refused('x'))).toBe(digestOf(refused('x', 'AdmissionDenied', 'Not today.')));
    expect(digestOf(refused('x'))).not.toBe(digestOf(refused('y')));
    expect(digestOf(refused('x'))).not.toBe(digestOf(refused('x', 'TooLarge')));
    expect(blockedSecrets(3, [refused('x')], acceptable).digest).not.toBe(digestOf(refused('x')));
  });

  it('can be accepted only where the step allows it and every Secret is named', () => {
    expect(blocked.acceptable).toBe(true);
    expect(blockedSecrets(2, [refused('x'), refused('y')], { acceptable: false }).acceptable).toBe(false);
    expect(blockedSecrets(101, [refused('x')], acceptable).acceptable).toBe(false);
  });
});

describe('an acceptance', () => {
  it('counts for the transition that it was given in, and for no other', () => {
    const given = { ...accepted([refused('x')]), step: 'rotate.rewrite' };
    expect(acceptanceFor(given, 'rotate.prove')).toBe(given);
    expect(acceptanceFor(given, 'off.prove')).toBeNull();
    expect(acceptanceFor(null, 'rotate.prove')).toBeNull();
  });
});

describe('what is refused now', () => {
  it('is accepted when it was on the list, for the same reason', () => {
    expect(isAccepted(accepted([refused('x'), refused('y')]), 2, [refused('y'), refused('x')])).toBe(true);
    expect(isAccepted(accepted([refused('x'), refused('y')]), 1, [refused('y')])).toBe(true);
  });

  it.each([
    ['another Secret', [refused('z')]],
    ['another reason', [refused('x', 'Unreadable')]],
    ['the same name in another namespace', [{ ...refused('x'), namespace: 'm' }]],
    ['one more', [refused('x'), refused('y'), refused('z')]],
  ])('is not accepted when it is %s', (_what, secrets) => {
    expect(isAccepted(accepted([refused('x'), refused('y')]), secrets.length, secrets)).toBe(false);
  });

  it('is not accepted when no person accepted, or more is refused than is named; with nothing refused no acceptance is needed', () => {
    expect(isAccepted(null, 1, [refused('x')])).toBe(false);
    expect(isAccepted(accepted([refused('x')]), 2, [refused('x')])).toBe(false);
    expect(isAccepted(null, 0, [])).toBe(true);
  });
});

describe('a wish to accept', () => {
  const wish = (change: Partial<AcceptanceDecision> = {}): AcceptanceDecision => ({
    ...SIGNED,
    by: person('bob'),
    digest: blocked.digest,
    reason: 'They go next week.',
    ...change,
  });
  const state = (change: Partial<BlockedSecrets> = {}): Parameters<typeof acceptanceFault>[1] => ({
    requestedBy: person('ada'),
    blocked: { ...blocked, ...change },
  });

  it('counts when another person with the role accepts the current list', () => {
    expect(acceptanceFault(wish(), state())).toBeUndefined();
  });

  it.each<[string, Partial<AcceptanceDecision>, string]>([
    ['by the requester (O4)', { by: { ...person('ada'), name: 'somebody else' } }, 'RequesterCannotApprove'],
    ['without the role', { roles: ['Kms.Operator'] }, 'RoleMissing'],
    ['by a program', { by: { ...person('bot'), type: 'app' } }, 'ProgramCannotApprove'],
    ['of another list', { digest: 'sha256:0' }, 'BlockedListChanged'],
  ])('%s does not', (_what, change, code) => {
    expect(acceptanceFault(wish(change), state())?.code).toBe(code);
  });

  it('does not count when nothing is blocked, or what is may not be accepted', () => {
    expect(acceptanceFault(wish(), { ...state(), blocked: null })?.code).toBe('NothingToAccept');
    expect(acceptanceFault(wish(), state({ acceptable: false }))?.code).toBe('NothingToAccept');
  });

  it('needs a reason in words', () => {
    expect(AcceptanceDecision.safeParse(wish()).success).toBe(true);
    expect(AcceptanceDecision.safeParse(wish({ reason: '  ' })).success).toBe(false);
    expect(AcceptanceDecision.safeParse(wish({ reason: 'x'.repeat(501) })).success).toBe(false);
  });
});
