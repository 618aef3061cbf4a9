/**
 * Somebody who may write to Temporal ends an operation that people approved, takes its place, and says what its steps found. On a real
 * Temporal, worker and cluster.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { OperationAnswer } from '../../cli/api-client';
import type { EvidenceFile, EvidenceRecord } from '../../domain/evidence';
import { mustParseKeyId, clusterLockId } from '../../domain/resource-ids';
import { openSigningKey } from '../../evidence/key';
import { signEvidence } from '../../evidence/sign';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import type { Service } from '../../launch/service';
import type { OperationInput } from '../../workflows/messages';
import { verdictOn } from '../support/evidence';
import { at, enabledNow, replaced } from '../support/retirement';
import { rogueActivity } from '../support/rogue-workflow';
import {
  askForRotation,
  ended,
  makeCluster,
  openTemporal,
  people,
  startOwnService,
  testStack,
  until,
} from '../support/stack';
import { writtenTo } from '../support/written';

const QUEUE = 'forged-findings';
const A_DAY = 86_400;
const RECEIPT = { at: new Date().toISOString(), keyId: `sha256:${'a'.repeat(64)}`, value: 'AAAA' };

describe('who takes the place of an operation that people approved', () => {
  let service: Service;
  let client: Client;

  beforeAll(async () => {
    service = await startOwnService(QUEUE);
    client = await openTemporal();
  });
  afterAll(async () => {
    await client.connection.close();
    await service.stop();
  });

  /** Starts the lock of a cluster in the name of an operation. */
  const holdLock = async (cluster: SandboxClusterFacts, holder: string) =>
    await client.workflow.start('clusterLock', {
      workflowId: clusterLockId(cluster.resourceId),
      taskQueue: QUEUE,
      memo: { holder },
    });
  /** Has activities run as the operation, with what it showed. @returns how each failed */
  const asOperation = async (
    id: string,
    memo: Readonly<Record<string, unknown>>,
    asked: readonly (readonly [string, object, ...unknown[]])[],
  ): Promise<(readonly [string, string | null])[]> => {
    const failures: (readonly [string, string | null])[] = [];
    for (const [activity, input] of asked) {
      const { failure } = await rogueActivity(client, { activity, input, memo, taskQueue: QUEUE, workflowId: id });
      failures.push([activity, failure]);
    }
    return failures;
  };

  it('cannot have a key set, Secrets judged, a proof recorded or evidence sealed on its own word', async () => {
    const { requester, approver1 } = people(service.apiUrl);
    const cluster = await makeCluster('forged-findings', { count: 5 });
    const asked = await askForRotation(requester, cluster.resourceId, { whenBusy: 'wait' });
    const before = await writtenTo(cluster).catch(() => null);
    // It waits for another one when it is approved, so that it has done nothing yet.
    const other = await holdLock(cluster, 'op-another');
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    await until(requester, asked.id, ({ status }) => status === 'AwaitingCluster');
    const operation = client.workflow.getHandle(asked.id);
    const { memo = {} } = await operation.describe();
    await operation.terminate('Out of the way.');
    await other.signal('release');
    await other.result();
    const lock = await holdLock(cluster, asked.id);

    const claims = claimsOf(asked, cluster, memo);
    const failures = await asOperation(asked.id, memo, claims);
    expect(failures).toEqual(claims.map(([activity, , code]) => [activity, code]));
    expect(await writtenTo(cluster).catch(() => null)).toEqual(before);
    await lock.terminate('The attack was tried.');
  });

  it('cannot have a key deleted before the soak is over', async () => {
    const by = people(service.apiUrl);
    const cluster = await makeCluster('forged-soak', { count: 5 });
    const asked = await replaced(by, cluster, A_DAY);
    await at(by.requester, asked.id, 'retire.soak');
    const operation = client.workflow.getHandle(asked.id);
    const { memo = {} } = await operation.describe();
    // In the soak it goes on as a new run, with what its steps found.
    const { events } = await operation.fetchHistory();
    const [payload] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    const { continued } = JSON.parse(Buffer.from(payload?.data ?? []).toString()) as OperationInput;
    await operation.terminate('Out of the way.');
    const lock = await holdLock(cluster, asked.id);

    const found = Object.values(continued?.outputs ?? {});
    const proof = found.findLast((output) => output.type === 'prove')?.proof;
    const { type: _type, ...disabled } = found.find((output) => output.type === 'disable-key-version') ?? { type: '' };
    const genuine = { planDigest: asked.plan?.digest, step: 'retire.delete-key', made: {}, proof, disabled };
    const long = { ...disabled, receipt: { ...RECEIPT, at: '2020-01-01T00:00:00.000Z' } };
    const failures = await asOperation(asked.id, memo, [
      ['deleteFreeKey', genuine],
      ['deleteFreeKey', { ...genuine, disabled: undefined }],
      ['deleteFreeKey', { ...genuine, disabled: long }],
      ['deleteFreeKey', { ...genuine, proof: { ...proof, finalRv: '1' } }],
    ]);
    const unsigned = ['deleteFreeKey', 'OutputNotSigned'];
    expect(failures).toEqual([['deleteFreeKey', 'SoakNotOver'], unsigned, unsigned, unsigned]);
    expect(await enabledNow(cluster.keyId)).toBe(false);
    await lock.terminate('The attack was tried.');
  });

  it('leaves no evidence that holds: each finding in it is signed, and none can be changed', async () => {
    const { requester, approver1 } = people(service.apiUrl);
    const cluster = await makeCluster('forged-evidence', { count: 5 });
    const asked = await askForRotation(requester, cluster.resourceId);
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    const { evidence } = await ended(requester, asked.id);
    const bytes = readFileSync(evidence?.file ?? '');
    expect(verdictOn(bytes)).toMatchObject({ ok: true });

    // Whoever has the key of evidence can sign a record, and still not what workers did not find.
    const key = await openSigningKey(path.join(testStack().directory, 'evidence-key.pem'), { create: false });
    const { record } = JSON.parse(bytes.toString()) as EvidenceFile;
    const findings = Object.entries(record.outputs).flatMap(([step, output]) =>
      output.type === 'take-baseline' || output.type === 'converge' || output.type === 'prove'
        ? [{ step, output }]
        : [],
    );
    expect(findings.map(({ output }) => output.type)).toEqual(
      expect.arrayContaining(['take-baseline', 'converge', 'prove']),
    );
    for (const { step, output } of findings) {
      const [member, found] = Object.entries(output).find(([name]) => name !== 'type') ?? [];
      const other = output.type === 'prove' ? { finalRv: '1' } : { baselineRv: '1' };
      const { receipt, ...unsigned } = found as unknown as { receipt: object };
      for (const forged of [unsigned, { ...unsigned, receipt: RECEIPT }, { ...unsigned, ...other, receipt }]) {
        const outputs = {
          ...record.outputs,
          [step]: { ...output, [member ?? '']: forged },
        } as EvidenceRecord['outputs'];
        expect([step, verdictOn(await signEvidence({ ...record, outputs }, key))]).toEqual([
          step,
          { ok: false, why: expect.stringContaining(`What the step ${step} is said to have found`) as unknown },
        ]);
      }
    }
  });
});

/** What the rogue workflow says, and the code that refuses it. */
function claimsOf(
  asked: OperationAnswer,
  { keyId }: SandboxClusterFacts,
  memo: Readonly<Record<string, unknown>>,
): (readonly [string, object, string])[] {
  const stepOf = (type: string): string => asked.plan?.steps.findLast((step) => step.type === type)?.id ?? '';
  const { vaultUrl, name } = { vaultUrl: new URL(keyId).origin, name: mustParseKeyId(keyId).name };
  const made = { [stepOf('create-key-version')]: `${vaultUrl}/keys/${name}/${randomUUID().replaceAll('-', '')}` };
  const reference = (type: string) => ({ planDigest: asked.plan?.digest, step: stepOf(type), made });
  const baseline = { baselineRv: '1', canaries: [], processes: [] };
  const convergence = {
    baselineRv: null,
    convergedRv: '1',
    probes: 60,
    stillProbes: 20,
    flips: 0,
    leases: [],
    processes: [],
    metrics: 'confirmed',
    method: 'no-op',
    weaknesses: [],
  };
  const bounds = { baselineRv: null, convergedRv: '1', method: 'no-op' };
  const counts = { bounds, finalRv: '2', secrets: 5, unproven: 0, unprovenSecrets: [] };
  const proof = { ...counts, convergenceHeld: true, weaknesses: [] };
  const validUntil = '2099-01-01T00:00:00.000Z';
  const receipt = RECEIPT;
  const outputs = { [stepOf('prove')]: { type: 'prove', proof: { ...proof, receipt } } };
  const operation = { ...asked, status: 'Failed', evidence: null };
  return [
    ['submitClusterChange', reference('set-kms'), 'LedgerContradiction'],
    ['awaitConvergence', { ...reference('converge'), baseline }, 'OutputNotSigned'],
    ['awaitConvergence', { ...reference('converge'), baseline: { ...baseline, receipt } }, 'OutputNotSigned'],
    ['awaitConvergence', reference('converge'), 'OutputNotSigned'],
    ['rewriteSecrets', { ...reference('rewrite'), convergence }, 'OutputNotSigned'],
    ['proveSecrets', { ...reference('prove'), convergence: { ...convergence, receipt } }, 'OutputNotSigned'],
    ['recordProof', { ...reference('record-proof'), proof, validUntil }, 'OutputNotSigned'],
    ['recordProof', { ...reference('record-proof'), proof: { ...proof, receipt }, validUntil }, 'OutputNotSigned'],
    ['noteSwitch', { ...reference('set-kms'), happened: true }, 'LedgerContradiction'],
    ['sealEvidence', { record: { operation, outputs, seal: memo.seal } }, 'NotSigned'],
  ];
}
