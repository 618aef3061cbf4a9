/** The sweeper, against a real Temporal: operations without a worker, ended from outside. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Client } from '@temporalio/client';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sweepOperations } from '../../activities/sweep';
import { createTemporalGateway } from '../../api/temporal-gateway';
import { newOperation } from '../../domain/new-operation';
import { OperationRequest } from '../../domain/request';
import { AuditLog } from '../../evidence/audit-log';
import { folderStore } from '../../evidence/folder-store';
import { Receipts } from '../../activities/receipts';
import { openSigningKey } from '../../evidence/key';
import { verifyAudit } from '../../evidence/verify-audit';
import { verifyEvidence } from '../../evidence/verify';
import { digestOf } from '../../domain/canonical';
import { createStatementSigner } from '../../trust/sign';
import { createStatementVerifier } from '../../trust/verify';
import { sweeperId } from '../../worker/sweeper';
import { SWEEPER_WORKFLOW } from '../../workflows/messages';
import { openTemporal } from '../support/stack';

const TASK_QUEUE = 'sweep-test';
const pair = generateKeyPairSync('ed25519');
const signer = createStatementSigner({ privateKey: pair.privateKey, keyId: 'k' });
const trust = { statements: createStatementVerifier(new Map([['k', pair.publicKey]])), minimumApprovals: 1 };

describe('the sweeper', () => {
  let client: Client;
  let directory: string;
  beforeAll(async () => {
    client = await openTemporal();
    directory = await mkdtemp(join(tmpdir(), 'kt-sweep-'));
  });
  afterAll(async () => {
    await client.connection.close();
    await rm(directory, { recursive: true, force: true });
  });

  async function start(id: string): Promise<void> {
    const request = OperationRequest.parse({
      kind: 'rotate-key',
      cluster:
        '/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/swept',
      change: { number: 'CHG-SWEEP' },
    });
    const requestedBy = { tenantId: 't', objectId: 'o', name: 'Olga', type: 'user' as const };
    const asked = { request, requestedBy, requestedAt: new Date().toISOString() };
    const granted = { policy: { approvalsRequired: 1 }, approvalTimeoutInMs: 60_000 };
    const fingerprint = digestOf(request);
    const facts = {
      operationId: id,
      fingerprint,
      kind: request.kind,
      cluster: request.cluster,
      requestedBy,
      requestedAt: asked.requestedAt,
      ...granted,
    };
    const gateway = createTemporalGateway({ client, taskQueue: TASK_QUEUE, clock: () => new Date() });
    await gateway.start({
      operation: newOperation({ id, ...asked }),
      fingerprint,
      input: { ...asked, ...granted, signature: signer.signRequest(facts) },
    });
  }

  it('seals what was ended from outside, once, and leaves alone what runs', async () => {
    await start('op-sweep-terminated');
    await start('op-sweep-running');
    await client.workflow.getHandle('op-sweep-terminated').terminate('by a test');
    const store = folderStore(directory);
    const key = await openSigningKey(join(directory, 'key.pem'), { create: true });
    const evidence = { store, key, audit: new AuditLog(store, 'worker') };
    const checks = { ...trust, receipts: new Receipts(evidence).verifier };
    const sweep = () =>
      sweepOperations({ client, evidence, trust: checks, taskQueue: TASK_QUEUE }, new AbortController().signal);
    // Temporal's lists lag behind by a moment.
    let sealed: readonly string[] = [];
    while (sealed.length === 0) ({ sealed } = await sweep());
    expect(sealed).toEqual(['op-sweep-terminated']);
    expect(await sweep()).toEqual({ sealed: [] });

    const bytes = await store.read('op-sweep-terminated.json');
    expect(bytes && verifyEvidence(bytes, { publicKeyPem: key.publicKeyPem })).toMatchObject({
      ok: true,
      record: {
        operation: {
          status: 'Failed',
          reason: { detail: expect.stringContaining('was terminated in Temporal while it was Planning') as unknown },
          endedAt: expect.any(String),
        },
      },
    });
    const [file = ''] = await store.list('audit/');
    expect((await store.read(file))?.toString()).toMatch(
      /"event":"outcome","operation":"op-sweep-terminated".*"swept":true/,
    );
    expect(await verifyAudit(store)).toMatchObject({ lines: 2, faults: [] });
    await client.workflow.getHandle('op-sweep-running').terminate('the end of the test');
  });

  it('has a schedule, and its workflow runs on the worker', async () => {
    const described = await client.schedule.getHandle(sweeperId('keyturn')).describe();
    expect(described.action).toMatchObject({ workflowType: SWEEPER_WORKFLOW, taskQueue: 'keyturn' });
    const swept: unknown = await client.workflow.execute(SWEEPER_WORKFLOW, {
      taskQueue: 'keyturn',
      workflowId: 'sweep-now',
    });
    expect(swept).toEqual({ sealed: expect.any(Array) as unknown });
  });
});
