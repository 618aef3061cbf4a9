import { describe, expect, it } from '@jest/globals';
import { approvedBy, decisionFault, type Decision, type GateState } from '../../domain/approval';
import { person } from './fixtures';

const gate = (change: Partial<GateState> = {}): GateState => ({
  requestedBy: person('ada'),
  planDigest: 'sha256:1',
  open: true,
  gate: 'approve',
  approvals: [],
  ...change,
});
const decision = (change: Partial<Decision> = {}): Decision => ({
  by: person('bob'),
  roles: ['Kms.Approver'],
  planDigest: 'sha256:1',
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
    const approvals = [{ by: person('bob'), at: '', planDigest: 'sha256:1', gate: 'approve' }];
    const second = gate({ gate: 'approve-plaintext', approvals });
    expect(decisionFault(decision({ by: person('eve') }), second, 'approve')?.code).toBe('NotAwaitingApproval');
    expect(approvedBy(decision(), approvals)).toBe(true);
    expect(approvedBy(decision({ gate: 'approve-plaintext' }), approvals)).toBe(false);
    expect(decisionFault(decision({ gate: 'approve-plaintext' }), second, 'approve')).toBeUndefined();
  });

  it('by the same person a second time is no fault, also after the gate has closed', () => {
    const approvals = [{ by: person('bob'), at: '', planDigest: 'sha256:1', gate: 'approve' }];
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
