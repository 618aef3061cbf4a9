import { describe, expect, it } from '@jest/globals';
import {
  approvedBy,
  decisionFault,
  opensGate,
  standing,
  type Approval,
  type Decision,
  type GateState,
} from '../../domain/approval';
import { newOperation } from '../../domain/new-operation';
import { renderProgress } from '../../domain/progress';
import { isBehind, sameActor, type Actor } from '../../domain/people';
import { person, SIGNED } from './fixtures';

const gate = (change: Partial<GateState> = {}): GateState => ({
  requestedBy: person('ada'),
  planDigest: 'sha256:1',
  open: true,
  gate: 'approve',
  approvals: [],
  at: '2026-01-01T00:00:00.000Z',
  ...change,
});
const decision = (change: Partial<Decision> = {}): Decision => ({
  ...SIGNED,
  by: person('bob'),
  planDigest: 'sha256:1',
  gate: 'approve',
  ...change,
});

describe('an approval', () => {
  it('counts when another person with the role approves the current plan', () => {
    expect(decisionFault(decision(), gate(), 'approve')).toBeUndefined();
  });

  it('by the requester is refused, whatever roles they hold and whatever they are called (O4)', () => {
    const by = { ...person('ada'), name: 'somebody else' };
    expect(decisionFault(decision({ by }), gate(), 'approve')?.code).toBe('RequesterCannotApprove');
  });

  it.each([
    ['without the role', { roles: ['Kms.Operator'] }, 'RoleMissing'],
    ['by a program', { by: { ...person('bot'), type: 'app' as const } }, 'ProgramCannotApprove'],
    ['of another plan', { planDigest: 'sha256:2' }, 'PlanDigestMismatch'],
  ])('%s is refused', (_what, change, code) => {
    expect(decisionFault(decision(change), gate(), 'approve')?.code).toBe(code);
  });

  it('is refused while no approval is asked for', () => {
    expect(decisionFault(decision(), gate({ open: false, gate: null }), 'approve')?.code).toBe('NotAwaitingApproval');
  });

  it('opens the gate that it names only: one that is sent again does not open the next gate', () => {
    const approvals = [decision()];
    const second = gate({ gate: 'approve-plaintext', approvals });
    expect(decisionFault(decision({ by: person('eve') }), second, 'approve')?.code).toBe('NotAwaitingApproval');
    expect(approvedBy(decision(), approvals, '')).toBe(true);
    expect(approvedBy(decision({ gate: 'approve-plaintext' }), approvals, '')).toBe(false);
    expect(decisionFault(decision({ gate: 'approve-plaintext' }), second, 'approve')).toBeUndefined();
  });

  it('by the same person a second time is no fault, also after the gate has closed', () => {
    const approvals = [decision()];
    expect(decisionFault(decision(), gate({ approvals }), 'approve')).toBeUndefined();
    expect(decisionFault(decision(), gate({ approvals, open: false, gate: null }), 'approve')).toBeUndefined();
    expect(decisionFault(decision({ planDigest: 'sha256:0' }), gate({ approvals }), 'approve')?.code).toBe(
      'PlanDigestMismatch',
    );
  });
});

it('the requester may deny their own request', () => {
  expect(decisionFault(decision({ by: person('ada') }), gate(), 'deny')).toBeUndefined();
});

const approval = (by: Actor, change: Partial<Approval> = {}): Approval => ({
  ...SIGNED,
  by,
  at: '',
  planDigest: 'sha256:1',
  gate: 'approve',
  ...change,
});

describe('one person with two accounts', () => {
  const admin: Actor = { ...person('adm-ada'), person: 'OID-ada' };

  it('is one actor, whichever account asks and whichever approves', () => {
    expect(sameActor(admin, person('ada'))).toBe(true);
    expect(sameActor(admin, { ...person('third'), person: 'oid-ada' })).toBe(true);
    expect(sameActor(admin, { ...person('ada'), tenantId: 'other' })).toBe(false);
    expect(decisionFault(decision({ by: admin }), gate(), 'approve')).toMatchObject({
      code: 'RequesterCannotApprove',
      detail: expect.stringContaining('with the account ada'),
    });
    const askedByAdmin = gate({ requestedBy: admin });
    expect(decisionFault(decision({ by: person('ada') }), askedByAdmin, 'approve')?.code).toBe(
      'RequesterCannotApprove',
    );
  });

  it('counts once', () => {
    expect(opensGate([approval(person('ada')), approval(admin)], 2)).toBe(false);
    expect(opensGate([approval(person('ada')), approval(person('bob'))], 2)).toBe(true);
    expect(approvedBy(decision({ by: admin }), [approval(person('ada'))], '')).toBe(true);
  });
});

describe('a request of a program', () => {
  const program: Actor = { ...person('bot'), type: 'app', onBehalfOf: person('ada') };

  it('cannot be approved by the person who had it ask', () => {
    expect(isBehind(person('ada'), program)).toBe(true);
    expect(decisionFault(decision({ by: person('ada') }), gate({ requestedBy: program }), 'approve')).toMatchObject({
      code: 'RequesterCannotApprove',
      detail: expect.stringContaining('through bot'),
    });
    expect(decisionFault(decision(), gate({ requestedBy: program }), 'approve')).toBeUndefined();
  });
});

describe('an approval with an end', () => {
  const at = '2026-01-01T00:00:00.000Z';
  const late = approval(person('bob'), { validUntil: at });

  it('counts before it and not from then on; the same person may approve again', () => {
    expect(standing([late], { gate: 'approve', at: '2025-12-31T23:59:59.999Z' })).toEqual([late]);
    expect(standing([late], { gate: 'approve', at })).toEqual([]);
    expect(approvedBy(decision(), [late], at)).toBe(false);
    expect(approvedBy(decision(), [late], '2025-12-31T00:00:00.000Z')).toBe(true);
  });
});

describe('break-glass', () => {
  const breakGlass = { reason: 'The cluster is down.' };
  const alone = decision({ by: person('ada'), roles: ['Kms.BreakGlass'], breakGlass });

  it('lets the requester pass the gate alone, with the role for it', () => {
    expect(decisionFault(alone, gate(), 'approve')).toBeUndefined();
    expect(opensGate([approval(person('ada'), { breakGlass })], 3)).toBe(true);
  });

  it.each([
    ['without the role for it', { roles: ['Kms.Approver', 'Kms.Operator'] }, 'RoleMissing'],
    ['by a program', { by: { ...person('ada'), type: 'app' as const } }, 'ProgramCannotApprove'],
    ['of another plan', { planDigest: 'sha256:2' }, 'PlanDigestMismatch'],
    ['of a gate that is not open', { gate: 'approve-plaintext' }, 'NotAwaitingApproval'],
  ])('%s is refused', (_what, change, code) => {
    expect(decisionFault({ ...alone, ...change }, gate(), 'approve')?.code).toBe(code);
  });

  it('is no ordinary approval: the role does not approve, and an ordinary approval does not stand for it', () => {
    expect(decisionFault(decision({ roles: ['Kms.BreakGlass'] }), gate(), 'approve')?.code).toBe('RoleMissing');
    expect(approvedBy(alone, [approval(person('ada'))], '')).toBe(false);
    expect(approvedBy(alone, [approval(person('ada'), { breakGlass })], '')).toBe(true);
  });

  it('is seen by everybody who reads the progress', () => {
    const request = {
      kind: 'rotate-key',
      cluster: 'c',
      parameters: {},
      change: { number: 'C1' },
      whenBusy: 'refuse',
    } as const;
    const operation = newOperation({ id: 'op-1', request, requestedBy: person('ada'), requestedAt: '' });
    expect(renderProgress(operation)).not.toMatch(/break-glass/);
    expect(renderProgress({ ...operation, approvals: [approval(person('ada'), { breakGlass })] })).toMatch(
      /Warning: break-glass.*ada passed the gate approve alone.*The cluster is down\./,
    );
  });
});
