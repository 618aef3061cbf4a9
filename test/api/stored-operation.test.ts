import { describe, expect, it } from '@jest/globals';
import { defaultPayloadConverter } from '@temporalio/common';
import { msToTs, type Timestamp } from '@temporalio/common/lib/time';
import { storedOperation, type DescribedWorkflow } from '../../api/stored-operation';
import { newOperation } from '../../domain/new-operation';
import type { Operation } from '../../domain/operation';
import { memoOf } from '../../domain/operation-memo';
import { sealPlan } from '../../domain/plan/plan';
import { OperationRequest } from '../../domain/request';
import { REQUEST } from './support';

const ID = 'op-00000000000000000000000000';
const STEP = { id: 'rewrite', title: 'Rewrite every Secret', reason: 'Because.', changes: 'kubernetes' } as const;
const PLAN = sealPlan({
  kind: 'rotate-key',
  cluster: 'c',
  changeNumber: 'CHG1',
  summary: 'Rotate.',
  from: { mode: 'off' },
  to: { mode: 'off' },
  keysNeeded: [],
  steps: [
    {
      id: STEP.id,
      title: STEP.title,
      reason: STEP.reason,
      type: 'rewrite',
      to: { mode: 'off' },
      since: 'converge',
      perSecond: null,
      acceptable: false,
    },
    {
      id: 'prove',
      title: 'Prove',
      reason: 'Because.',
      type: 'prove',
      to: { mode: 'off' },
      since: 'converge',
      perSecond: null,
      acceptable: false,
    },
  ],
  warnings: [],
});
const NEW = newOperation({
  id: ID,
  request: OperationRequest.parse(REQUEST),
  requestedBy: { tenantId: 't', objectId: 'o', name: 'Olga', type: 'user' },
  requestedAt: '2026-01-01T00:00:00.000Z',
});

function described(operation: Partial<Operation>, change: Partial<DescribedWorkflow> = {}): DescribedWorkflow {
  return {
    workflowId: ID,
    status: { code: 1, name: 'RUNNING' },
    memo: { fingerprint: 'sha256:f', ...memoOf({ ...NEW, ...operation, plan: PLAN }) },
    raw: {},
    ...change,
  };
}

describe('a workflow in Temporal', () => {
  it('is the operation that it wrote into its memo', () => {
    expect(storedOperation(described({ status: 'AwaitingApproval' }))).toEqual({
      closed: false,
      fingerprint: 'sha256:f',
      operation: {
        ...NEW,
        status: 'AwaitingApproval',
        plan: PLAN,
        steps: [{ ...STEP, status: 'pending' }, expect.objectContaining({ id: 'prove' })],
      },
    });
  });

  it('shows how far its running step is, from the heartbeat of its activity', () => {
    const heartbeat = (details: unknown) => ({
      heartbeatDetails: { payloads: [defaultPayloadConverter.toPayload(details)] },
    });
    const raw = { pendingActivities: [{}, heartbeat('polled'), heartbeat({ done: 5, total: 9, perSecond: 2.5 })] };
    const running = described({ status: 'Running', steps: [{ ...STEP, status: 'running' }] }, { raw });
    expect(storedOperation(running).operation.progress).toEqual({ step: 'rewrite', done: 5, total: 9, perSecond: 2.5 });
    const between = described({ status: 'Running', steps: [{ ...STEP, status: 'done' }] }, { raw });
    expect(storedOperation(between).operation.progress).toBeNull();
  });

  it('says why an activity is tried again, and no more once the new try runs well', () => {
    const at = (seconds: number): Timestamp => msToTs(seconds * 1000);
    const activity = {
      attempt: 2,
      lastFailure: { message: 'Azure does not answer.' },
      state: 2,
      lastStartedTime: at(100),
    };
    const waitingFor = (lastHeartbeatTime: Timestamp, state = 2): string | null => {
      const raw = {
        pendingActivities: [{ ...activity, state, lastHeartbeatTime }],
      } as unknown as DescribedWorkflow['raw'];
      return storedOperation(described({ status: 'Running' }, { raw })).operation.waitingFor;
    };
    expect(waitingFor(at(90))).toContain('Azure does not answer.');
    expect(waitingFor(at(101))).toContain('Azure does not answer.');
    expect(waitingFor(at(120))).toBe(NEW.waitingFor);
    expect(waitingFor(at(120), 1)).toContain('Azure does not answer.');
  });

  it.each([
    ['TERMINATED', 'was terminated in Temporal'],
    ['TIMED_OUT', 'ran into a time limit'],
    ['FAILED', 'failed in Temporal'],
    ['CANCELLED', 'was canceled in Temporal'],
    ['COMPLETED', 'was completed in Temporal'],
  ] as const)('that ended %s without a last word is an operation that failed, and says so', (name, sentence) => {
    const closed = described(
      {
        status: 'Running',
        steps: [
          { ...STEP, status: 'running', startedAt: '2026-01-01T00:00:00.000Z' },
          { ...STEP, id: 'prove', status: 'pending' },
        ],
        keysNeeded: ['k'],
        offers: ['cancel'],
        waitingFor: 'Godot',
      },
      { status: { code: 5, name }, closeTime: new Date(0) },
    );
    expect(storedOperation(closed).operation).toMatchObject({
      status: 'Failed',
      reason: { code: 'InternalError', detail: expect.stringMatching(`${sentence}.*Rewrite every Secret`) },
      endedAt: '1970-01-01T00:00:00.000Z',
      keysNeeded: ['k'],
      offers: [],
      waitingFor: null,
      steps: [{ status: 'interrupted' }, { status: 'skipped' }],
    });
  });

  it('that ended with its last word is left as it is', () => {
    const closed = described({ status: 'Failed' }, { status: { code: 3, name: 'FAILED' } });
    expect(storedOperation(closed).operation).toMatchObject({ id: ID, status: 'Failed', reason: null });
  });

  it('whose memo cannot be read is a fault, not a missing operation', () => {
    expect(() => storedOperation(described({}, { memo: { fingerprint: 'x' } }))).toThrow(
      expect.objectContaining({ code: 'InternalError' }),
    );
  });
});
