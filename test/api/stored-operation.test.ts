import { describe, expect, it } from '@jest/globals';
import { defaultPayloadConverter } from '@temporalio/common';
import { storedOperation, type DescribedWorkflow } from '../../api/stored-operation';
import { newOperation } from '../../domain/new-operation';
import type { Operation } from '../../domain/operation';
import { OperationRequest } from '../../domain/request';
import { REQUEST } from './support';

const ID = 'op-00000000000000000000000000';
const STEP = { id: 'rewrite', title: 'Rewrite every Secret', reason: 'Because.', changes: 'kubernetes' } as const;
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
    memo: { fingerprint: 'sha256:f', operation: { ...NEW, ...operation } },
    raw: {},
    ...change,
  };
}

describe('a workflow in Temporal', () => {
  it('is the operation that it wrote into its memo', () => {
    expect(storedOperation(described({ status: 'AwaitingApproval' }))).toEqual({
      fingerprint: 'sha256:f',
      operation: { ...NEW, status: 'AwaitingApproval' },
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
        steps: [{ ...STEP, status: 'running' }],
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
    });
  });

  it('that ended with its last word is left as it is', () => {
    const closed = described({ status: 'Failed' }, { status: { code: 3, name: 'FAILED' } });
    expect(storedOperation(closed).operation).toEqual({ ...NEW, status: 'Failed' });
  });

  it('whose memo cannot be read is a fault, not a missing operation', () => {
    expect(() => storedOperation(described({}, { memo: { fingerprint: 'x' } }))).toThrow(
      expect.objectContaining({ code: 'InternalError' }),
    );
  });
});
