/**
 * Somebody who may write to the Temporal namespace tries to change a cluster: by starting, approving, signalling, setting back, and
 * asking for activities from a queue of their own. On a real Temporal, worker and cluster.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { WorkflowUpdateFailedError, type Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { OperationAnswer } from '../../cli/api-client';
import { digestOf } from '../../domain/canonical';
import { memoOf } from '../../domain/operation-memo';
import type { Operation } from '../../domain/operation';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import type { Service } from '../../launch/service';
import { createStatementSigner } from '../../trust/sign';
import type { OperationInput } from '../../workflows/messages';
import { rogueActivity } from '../support/rogue-workflow';
import { askForRotation, ended, makeCluster, openTemporal, people, startOwnService, testStack } from '../support/stack';
import { writtenTo, type Written } from '../support/written';

const QUEUE = 'forged';
/** The attacker's own key: it makes perfect signatures that nobody believes. */
const attacker = createStatementSigner({
  privateKey: generateKeyPairSync('ed25519').privateKey,
  keyId: `sha256:${'a'.repeat(64)}`,
});

describe('who writes to Temporal past the API', () => {
  let service: Service;
  let client: Client;
  let cluster: SandboxClusterFacts;
  let waiting: OperationAnswer;
  let input: OperationInput;
  let memo: Record<string, unknown>;
  let before: Written;

  beforeAll(async () => {
    service = await startOwnService(QUEUE);
    client = await openTemporal();
    cluster = await makeCluster('forged', { count: 5 });
    waiting = await askForRotation(people(service.apiUrl).requester, cluster.resourceId);
    const handle = client.workflow.getHandle(waiting.id);
    memo = (await handle.describe()).memo ?? {};
    const { events } = await handle.fetchHistory();
    const [payload] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    input = JSON.parse(Buffer.from(payload?.data ?? []).toString()) as OperationInput;
    before = await writtenTo(cluster).catch(() => NOTHING);
  });
  afterAll(async () => {
    await client.connection.close();
    await service.stop();
  });

  /** What may never be there after any attack. */
  const nothingWritten = async (...ids: string[]): Promise<void> => {
    expect(await writtenTo(cluster).catch(() => NOTHING)).toEqual(before);
    for (const id of ids) expect(existsSync(path.join(testStack().directory, 'evidence', `${id}.json`))).toBe(false);
  };
  const person = () => {
    const { sandbox } = testStack();
    const { objectId, name } = sandbox.people.approver1;
    return { tenantId: sandbox.tenantId, objectId, name, type: 'user' as const };
  };
  const forgedApproval = (id: string) =>
    attacker.signDecision(id, 'approve', {
      by: person(),
      roles: ['Kms.Approver'],
      planDigest: waiting.plan?.digest ?? '',
      gate: 'approve',
    });

  it.each<[string, (genuine: OperationInput, id: string) => object]>([
    ['without a signature', ({ signature: _none, ...rest }) => rest],
    ['with the signature of another operation', (genuine) => genuine],
    ['that needs no approval', (genuine) => ({ ...genuine, policy: { approvalsRequired: 0 } })],
    [
      'of another cluster',
      (genuine) => ({ ...genuine, request: { ...genuine.request, cluster: `${genuine.request.cluster}x` } }),
    ],
    ['in the name of another person', (genuine) => ({ ...genuine, requestedBy: person() })],
    [
      "with a signature by a key of the attacker's",
      (genuine, id) => {
        const { request, requestedBy, requestedAt, policy, approvalTimeoutInMs } = genuine;
        const facts = { operationId: id, fingerprint: digestOf(request), kind: request.kind, cluster: request.cluster };
        const signature = attacker.signRequest({ ...facts, requestedBy, requestedAt, policy, approvalTimeoutInMs });
        return { ...genuine, signature };
      },
    ],
    ['as if an earlier run had planned and approved it', (genuine) => ({ ...genuine, continued: continuedRun() })],
  ])('cannot start an operation %s', async (_what, forge) => {
    const id = `op-${randomUUID()}`;
    const handle = await client.workflow.start('rotateKey', {
      workflowId: id,
      taskQueue: QUEUE,
      args: [forge(input, id)],
      memo,
    });
    await expect(handle.result()).rejects.toThrow();
    await nothingWritten(id);
  });

  const continuedRun = (): object => ({
    operation: { ...waiting, status: 'Running', approvals: [forgedApproval(waiting.id)] },
    outputs: {},
  });

  it("cannot approve: no signature, a stranger's, one of another operation or gate, changed words", async () => {
    const { requester, approver1 } = people(service.apiUrl);
    const other = await askForRotation(requester, cluster.resourceId);
    const { approvals } = await approver1
      .deny(other.id, other.plan?.digest ?? '')
      .then(() => ended(requester, other.id));
    const { denial } = await requester.get(other.id);
    expect(approvals).toEqual([]);
    const good = forgedApproval(waiting.id);
    const handle = client.workflow.getHandle(waiting.id);
    const refusals = [
      [{ ...good, signature: undefined }, 'InvalidRequest'],
      [good, 'NotSigned'],
      [{ ...good, signature: { ...good.signature, keyId: denial?.signature.keyId } }, 'NotSigned'],
      // Signed by the API, and for another operation, or to deny.
      [{ ...denial, planDigest: good.planDigest }, 'NotSigned'],
      [{ ...good, by: { ...good.by, type: 'app' } }, 'ProgramCannotApprove'],
      [{ ...good, roles: ['Kms.Operator'] }, 'RoleMissing'],
      [{ ...good, by: input.requestedBy }, 'RequesterCannotApprove'],
    ] as const;
    for (const [decision, code] of refusals) {
      const told = handle.executeUpdate('approve', { args: [decision] }).then(
        () => 'taken',
        (error: unknown) =>
          error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure && error.cause.type,
      );
      expect([decision, await told]).toEqual([decision, code]);
    }
    await handle.signal('approve-signal', good);
    expect(await requester.get(waiting.id)).toMatchObject({ status: 'AwaitingApproval', approvals: [] });
    await nothingWritten(waiting.id);
  });

  it.each<[string, () => Record<string, unknown>, string]>([
    ['no memo', () => ({}), 'PlanNotAsApproved'],
    ['the memo of an operation of another id', () => memo, 'NotSigned'],
    ['a plan of its own under no signature', () => ({ ...memo, seal: undefined }), 'PlanNotAsApproved'],
  ])('cannot have activities run from a queue of its own with %s', async (_what, shown, code) => {
    const reference = { planDigest: waiting.plan?.digest, step: 'rotate.set-kms', made: {} };
    const asked = [
      [
        'createKeyVersion',
        { ...reference, step: 'rotate.create-key-version', nonce: randomUUID(), since: waiting.requestedAt },
      ],
      ['submitClusterChange', reference],
      ['noteSwitch', { ...reference, happened: true }],
      [
        'recordProof',
        { ...reference, step: 'rotate.record-proof', proof: null, validUntil: '2099-01-01T00:00:00.000Z' },
      ],
      ['removeCanaries', reference],
    ] as const;
    for (const [activity, given] of asked) {
      const { failure } = await rogueActivity(client, { activity, input: given, memo: shown(), taskQueue: QUEUE });
      expect([activity, failure]).toEqual([activity, code]);
    }
    await nothingWritten();
  });

  it('cannot have evidence signed', async () => {
    const operation = { ...waiting, status: 'Succeeded', evidence: null } as unknown as Operation;
    const record = { operation, outputs: {}, seal: memo.seal };
    for (const [id, shown] of [
      [undefined, waiting.id],
      ['rogue', undefined],
    ] as const) {
      const workflowId = id === undefined ? undefined : `${id}-${randomUUID()}`;
      const forged = { record: { ...record, operation: { ...operation, id: workflowId ?? shown } } };
      const { failure } = await rogueActivity(client, {
        activity: 'sealEvidence',
        input: forged,
        memo,
        taskQueue: QUEUE,
        workflowId,
      });
      expect(failure).toBe('NotSigned');
    }
    await nothingWritten(waiting.id);
  });

  it('cannot carry out a plan that nobody approved by taking the place of its operation', async () => {
    const own = await askForRotation(people(service.apiUrl).requester, cluster.resourceId);
    const handle = client.workflow.getHandle(own.id);
    const { memo: genuine = {} } = await handle.describe();
    await handle.terminate('Out of the way.');
    const { operation } = { operation: { ...own, approvals: [forgedApproval(own.id)] } };
    for (const shown of [genuine, { ...genuine, ...memoOf(operation) }]) {
      const { failure } = await rogueActivity(client, {
        activity: 'submitClusterChange',
        input: { planDigest: own.plan?.digest, step: 'rotate.set-kms', made: {} },
        memo: shown,
        taskQueue: QUEUE,
        workflowId: own.id,
      });
      expect(failure).toBe('NotApproved');
    }
    // Only the sweeper may say that what the steps gave is lost.
    const claimed = { ...own, approvals: [], status: 'Succeeded', evidence: null } as unknown as Operation;
    const record = { operation: claimed, outputs: {}, seal: genuine.seal, swept: true };
    const sealing = {
      activity: 'sealEvidence',
      input: { record },
      memo: genuine,
      taskQueue: QUEUE,
      workflowId: own.id,
    };
    expect((await rogueActivity(client, sealing)).failure).toBe('NotSigned');
    await nothingWritten(own.id);
  });

  it('cannot set an operation back to before its denial', async () => {
    const { requester, approver1 } = people(service.apiUrl);
    const own = await askForRotation(requester, cluster.resourceId);
    await approver1.deny(own.id, own.plan?.digest ?? '');
    await ended(requester, own.id);
    const { runId } = await client.workflow.getHandle(own.id).describe();
    await client.workflowService.resetWorkflowExecution({
      namespace: client.options.namespace,
      workflowExecution: { workflowId: own.id, runId },
      reason: 'attack',
      requestId: randomUUID(),
      workflowTaskFinishEventId: 4 as never,
    });
    // The operation looks for evidence of its id before all else, and finds it.
    await expect(client.workflow.getHandle(own.id).result()).rejects.toThrow();
    expect(await requester.get(own.id)).toMatchObject({ status: 'Failed', reason: { code: 'EvidenceExists' } });
    await nothingWritten();
  });

  it('may end an operation, and the record says that the message is not signed', async () => {
    const { requester } = people(service.apiUrl);
    await client.workflow.getHandle(waiting.id).signal('cancel-signal', { by: person(), comment: 'Stop.' });
    const over = await ended(requester, waiting.id);
    expect(over.reason?.detail).toContain('is not signed canceled the operation: Stop.');
  });
});

/** Of a cluster that nothing was written to: it has no ledger. */
const NOTHING = null as unknown as Written;
