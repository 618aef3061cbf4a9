/** Whatever is said to an operation past the API, and whatever is written into the ledger: on a real Temporal and cluster. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { WorkflowUpdateFailedError, type Client, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import fc from 'fast-check';
import { Ledger, type Generation } from '../../domain/ledger';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import type { Service } from '../../launch/service';
import { SIGNED } from '../domain/fixtures';
import { kubeApi } from '../support/kube';
import { askForRotation, ended, makeCluster, openTemporal, people, startOwnService, testStack } from '../support/stack';

const UPDATES = ['approve', 'deny', 'retry', 'accept', 'pause', 'resume', 'cancel'];
const SIGNALS = ['pause-signal', 'resume-signal', 'cancel-signal'];

/** Sends an update past the API. @returns the code of its rejection; undefined when it was taken in */
async function update(handle: WorkflowHandle, name: string, args: unknown[]): Promise<string | undefined> {
  try {
    await handle.executeUpdate(name, { args: args as [unknown] });
    return undefined;
  } catch (error) {
    const failure = error instanceof WorkflowUpdateFailedError ? error.cause : undefined;
    if (failure instanceof ApplicationFailure) return failure.type ?? 'without a code';
    throw error;
  }
}

describe('an operation', () => {
  let service: Service;
  let client: Client;
  let cluster: SandboxClusterFacts;
  beforeAll(async () => {
    service = await startOwnService('hostile', { KEYTURN_APPROVALS_REQUIRED: '2' });
    cluster = await makeCluster('hostile', { count: 5 });
    client = await openTemporal();
  });
  afterAll(async () => {
    await client.connection.close();
    await service.stop();
  });

  const decisionOf = (who: 'approver1' | 'approver2', planDigest: string | undefined) => {
    const { sandbox } = testStack();
    const { objectId, name, roles } = sandbox.people[who];
    return {
      ...SIGNED,
      by: { tenantId: sandbox.tenantId, objectId, name, type: 'user' },
      roles,
      planDigest,
      gate: 'approve',
    };
  };

  it('survives any JSON in every message, counts none of it, and a normal approval still works', async () => {
    const { requester, approver1, approver2 } = people(service.apiUrl);
    const asked = await askForRotation(requester, cluster.resourceId);
    const handle = client.workflow.getHandle(asked.id);
    const good = decisionOf('approver1', asked.plan?.digest);
    const nearly = [
      [],
      [null],
      [{}],
      [{ by: {} }],
      [{ ...good, by: undefined }],
      [{ ...good, by: { ...good.by, type: 'App' } }],
      [{ ...good, planDigest: undefined, digest: undefined, by: { ...good.by, objectId: '' } }],
      [{ ...good, by: { ...good.by, name: 'x'.repeat(100_000) } }],
    ];
    const anything = fc.sample(fc.array(fc.jsonValue(), { maxLength: 2 }), 20);
    for (const args of [...nearly, ...anything]) {
      for (const name of UPDATES)
        expect([name, args, await update(handle, name, args)]).toEqual([name, args, 'InvalidRequest']);
      for (const name of SIGNALS) await handle.signal(name, ...args);
    }
    expect(await requester.get(asked.id)).toMatchObject({ status: 'AwaitingApproval', approvals: [] });

    // Roles are a list: a text that contains the role's name is none.
    const rolesAsText = { ...good, roles: 'Kms.ApproverX', digest: good.planDigest, reason: 'Fine.' };
    for (const name of ['approve', 'deny', 'accept'])
      expect(await update(handle, name, [rolesAsText])).toBe('InvalidRequest');
    expect(await requester.get(asked.id)).toMatchObject({ status: 'AwaitingApproval', approvals: [] });

    // The requester with an id in capitals is the requester.
    const { objectId, name } = testStack().sandbox.people.requester;
    const shouting = { ...good, by: { ...good.by, objectId: objectId.toUpperCase(), name } };
    expect(await update(handle, 'approve', [shouting])).toBe('RequesterCannotApprove');

    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    await approver2.approve(asked.id, asked.plan?.digest ?? '');
    expect(await ended(requester, asked.id)).toMatchObject({ status: 'Succeeded' });
  });

  it('plans the proof first when somebody edits the ledger, and not when it is as Keyturn wrote it', async () => {
    const { requester } = people(service.apiUrl);
    const { core, configMap } = kubeApi(cluster);
    const where = { namespace: 'kube-system', name: 'keyturn-ledger' };
    const written = await configMap(where.namespace, where.name);
    const planned = async (): Promise<{ proves: boolean; warns: boolean }> => {
      const asked = await askForRotation(requester, cluster.resourceId);
      await requester.cancel(asked.id);
      await ended(requester, asked.id);
      return {
        proves: asked.plan?.steps.some(({ id }) => id === 'current.prove') ?? false,
        warns: asked.plan?.warnings.some(({ code }) => code === 'LedgerNotConfirmed') ?? false,
      };
    };
    const write = async (change: (newest: Generation) => Generation): Promise<void> => {
      const ledger = Ledger.parse(JSON.parse(written.ledger ?? ''));
      const generations = ledger.generations.map((generation, index) =>
        index === ledger.generations.length - 1 ? change(generation) : generation,
      );
      const body = await core.readNamespacedConfigMap(where);
      await core.replaceNamespacedConfigMap({
        ...where,
        body: { ...body, data: { ledger: JSON.stringify({ ...ledger, generations }) } },
      });
    };

    expect(await planned()).toEqual({ proves: false, warns: false });
    await write((newest) => ({ ...newest, proof: undefined }));
    expect(await planned()).toEqual({ proves: true, warns: true });
    await write((newest) => ({ ...newest, proof: newest.proof && { ...newest.proof, convergedRv: '999999' } }));
    expect(await planned()).toEqual({ proves: true, warns: true });
    await write((newest) => newest);
    expect(await planned()).toEqual({ proves: false, warns: false });
  });

  it('can be canceled after a flood of messages', async () => {
    const { requester, approver1 } = people(service.apiUrl);
    const asked = await askForRotation(requester, cluster.resourceId);
    // What the API signed may be sent again by anybody, and counts once.
    const { approvals } = await approver1.approve(asked.id, asked.plan?.digest ?? '');
    const handle = client.workflow.getHandle(asked.id);
    const [again] = approvals;
    let code: string | undefined;
    for (let sent = 0; sent < 300 && code === undefined; sent++) code = await update(handle, 'approve', [again]);
    expect(code).toBe('TooManyMessages');
    await requester.cancel(asked.id);
    expect(await ended(requester, asked.id)).toMatchObject({
      status: 'Canceled',
      reason: { code: 'CanceledOnRequest' },
    });
  });

  it('can be canceled by a signal, for when Temporal takes no more updates', async () => {
    const { requester } = people(service.apiUrl);
    const asked = await askForRotation(requester, cluster.resourceId);
    const { by } = decisionOf('approver1', undefined);
    await client.workflow.getHandle(asked.id).signal('cancel-signal', { by, comment: 'Flooded.\u001b[2J' });
    expect(await ended(requester, asked.id)).toMatchObject({
      status: 'Canceled',
      reason: { code: 'CanceledOnRequest', detail: expect.stringContaining('Flooded. [2J') },
    });
  });
});
