/** A record to seal. */
import type { UnsealedRecord } from '../../domain/evidence';
import { SIGNED } from '../domain/fixtures';

const requestedBy = { tenantId: 't', objectId: 'o', name: 'Åsa', type: 'user' as const };

/** A refused operation: small, and everything that evidence has. */
export function refusedRecord(id = 'op-1a2b3c'): UnsealedRecord {
  return {
    operation: {
      id,
      kind: 'rotate-key',
      status: 'Failed',
      reason: { code: 'KmsNotEnabled', detail: 'KMS is off.' },
      faults: [{ code: 'KmsNotEnabled', detail: 'KMS is off.', pointer: '/cluster' }],
      request: {
        kind: 'rotate-key',
        cluster:
          '/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/aks1',
        parameters: {},
        change: { number: 'CHG1', reason: 'fällig' },
        whenBusy: 'refuse',
      },
      requestedBy,
      requestedAt: '2026-01-01T00:00:00.000Z',
      endedAt: '2026-01-01T00:00:01.000Z',
      plan: null,
      planRevision: 0,
      approvals: [
        {
          ...SIGNED,
          by: requestedBy,
          at: '2026-01-01T00:00:00.500Z',
          planDigest: 'sha256:00',
          gate: 'approve',
        },
      ],
      denial: null,
      cancellation: null,
      approvalDeadline: null,
      steps: [],
      progress: null,
      waitingFor: null,
      keysNeeded: [],
      offers: [],
      blockedSecrets: null,
      acceptance: null,
      paused: null,
      resumed: null,
      result: null,
      evidence: null,
    },
    seal: { policy: { approvalsRequired: 1 }, approvalTimeoutInMs: 1_000, signature: SIGNED.signature },
    outputs: {
      'rotate.take-baseline': {
        type: 'take-baseline' as const,
        baseline: { baselineRv: '100', canaries: [], processes: [] },
      },
    },
  };
}
