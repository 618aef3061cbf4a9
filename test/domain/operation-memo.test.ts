import { describe, expect, it } from '@jest/globals';
import { memoChanges, memoOf, operationInMemo, type MemoFields } from '../../domain/operation-memo';
import { newOperation } from '../../domain/new-operation';
import { OperationStatus, stepStates, type Operation } from '../../domain/operation';
import { planned as planOf, request } from './fixtures';

const NEW = newOperation({
  id: 'op-1',
  request: request(),
  requestedBy: { tenantId: 't', objectId: 'o', name: 'Olga', type: 'user' },
  requestedAt: '2026-01-01T00:00:00.000Z',
});

/** As Temporal keeps a memo: JSON, merged by key; null and the empty list remove a key. */
function merged(memo: MemoFields, changes: MemoFields): MemoFields {
  const all = JSON.parse(JSON.stringify({ ...memo, ...changes })) as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(all).filter(([, value]) => JSON.stringify(value) !== '[]' && value !== null),
  );
}

describe('the memo of an operation', () => {
  const plan = planOf('rotate-key');
  const planned: Operation = {
    ...NEW,
    status: OperationStatus.AwaitingApproval,
    plan,
    planRevision: 1,
    steps: stepStates(plan, [{ id: 'approve', status: 'running', startedAt: '2026-01-01T00:00:01.000Z' }]),
    offers: ['approve', 'deny', 'cancel'],
    keysNeeded: ['k'],
  };
  const ended: Operation = {
    ...planned,
    status: OperationStatus.Canceled,
    offers: [],
    steps: planned.steps,
    keysNeeded: [],
  };
  const replanned: Operation = { ...planned, steps: stepStates(plan, []), planRevision: 2 };

  it('tells the operation again, through every change', () => {
    let memo = merged({}, memoOf(NEW));
    let shown = memoOf(NEW);
    expect(operationInMemo(memo)).toEqual(NEW);
    for (const next of [planned, ended, replanned, NEW]) {
      memo = merged(memo, memoChanges(shown, memoOf(next)));
      shown = memoOf(next);
      expect(operationInMemo(memo)).toEqual(next);
    }
  });

  it('is written only where it changed', () => {
    const begun = { ...planned, steps: stepStates(plan, [{ id: 'approve', status: 'done' }]) };
    expect(Object.keys(memoChanges(memoOf(planned), memoOf(begun)))).toEqual(['step:approve']);
    expect(memoChanges(memoOf(planned), memoOf({ ...planned }))).toEqual({});
  });

  it('of something else is no operation', () => {
    expect(() => operationInMemo({ fingerprint: 'x' })).toThrow();
    expect(() => operationInMemo(undefined)).toThrow();
  });
});
