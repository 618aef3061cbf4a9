/** The policy on a real Temporal and a real cluster: what lists leave out, break-glass to the end, approvals that grow old. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { OperationAnswer } from '../../cli/api-client';
import { EvidenceFile } from '../../domain/evidence';
import { startNodeProcess, type ReadyProcess } from '../../launch/node-process';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { freePort } from '../../tools/ports';
import { eventually } from '../sandbox/cluster-support';
import { askForRotation, control, ended, makeCluster, people, serviceEnvironment, testStack } from '../support/stack';

describe('a policy', () => {
  const NAME = 'policy-cluster';
  const policyFile = path.join(testStack().directory, `${NAME}.yaml`);
  const logFile = path.join(testStack().directory, 'logs', `${NAME}.log`);
  let cluster: SandboxClusterFacts;
  let api: ReadyProcess;
  let url: string;

  /** Readers read in `scope`; the requester and the approvers do all of it. */
  const policyWith = (scope: string, approvals = 'required: 2'): string => `
version: 1
rules:
  - { name: readers, who: { roles: [Kms.Reader] }, may: [read], kinds: [rotate-key, retire-key], scopes: ['${scope}'] }
  - { name: all, who: { roles: [Kms.Operator, Kms.Approver] }, may: [request, approve], kinds: '*', scopes: '*' }
  - { name: call, who: { roles: [Kms.BreakGlass] }, may: [break-glass], kinds: '*', scopes: ['${cluster.resourceId}'] }
approvals: { ${approvals} }
`;
  const groupOf = (id: string): string => id.split('/').slice(0, 5).join('/');

  beforeAll(async () => {
    cluster = await makeCluster(NAME, { count: 3 });
    await writeFile(policyFile, policyWith(groupOf(cluster.resourceId)));
    // The worker is that of the test run.
    const env = {
      ...serviceEnvironment('keyturn'),
      KEYTURN_API_PORT: String(await freePort()),
      KEYTURN_POLICY_FILE: policyFile,
    };
    api = await startNodeProcess({ name: 'api', script: path.join('api', 'main.js'), env, logFile });
    ({ url } = z.object({ url: z.string() }).parse(api.said));
  });
  afterAll(() => api.child.stop());

  /** The API looks at the file by itself; the lists tell when it has. */
  const change = async (text: string): Promise<void> => {
    const lines = async (): Promise<number> => (await readFile(logFile, 'utf8')).split('The policy was changed').length;
    const before = await lines();
    await writeFile(policyFile, text);
    await eventually(async () => (await lines()) > before);
  };

  it('leaves what is out of scope out of lists, in the query to Temporal', async () => {
    const { requester, reader } = people(url);
    const asked = await askForRotation(requester, cluster.resourceId);
    const ids = async (): Promise<string[]> =>
      (await reader.list({ cluster: cluster.resourceId })).operations.map(({ id }) => id);
    // The scope is a resource group: a prefix.
    await eventually(async () => (await ids()).includes(asked.id));
    expect((await reader.get(asked.id)).plan?.steps[0]).toMatchObject({ type: 'gate', approvals: 2 });

    await change(policyWith(`${cluster.resourceId}2`));
    expect(await ids()).toEqual([]);
    expect((await reader.list({ pageSize: '1' })).nextPageToken).toBeUndefined();
    await expect(reader.get(asked.id)).rejects.toMatchObject({ status: 404, code: 'OperationNotFound' });
    await change(policyWith(cluster.resourceId.toUpperCase()));
    expect(await ids()).toEqual([asked.id]);
    await requester.cancel(asked.id);
    await ended(requester, asked.id);
  });

  it('does not count an approval that is too old, and lets the same person give it again', async () => {
    await change(policyWith(cluster.resourceId, 'required: 2, validForSeconds: 1'));
    const { requester, approver1, approver2 } = people(url);
    const { id, plan } = await askForRotation(requester, cluster.resourceId);
    const digest = plan?.digest ?? '';
    const [first] = (await approver1.approve(id, digest)).approvals;
    await eventually(async () => new Date().toISOString() > (first?.validUntil ?? ''));
    const then = await approver2.approve(id, digest);
    expect(then).toMatchObject({ status: 'AwaitingApproval', approvals: [{ by: {} }, { by: {} }] });
    await eventually(async () => new Date().toISOString() > (then.approvals[1]?.validUntil ?? ''));
    expect((await approver1.approve(id, digest)).approvals).toHaveLength(3);
    await requester.cancel(id);
    await ended(requester, id);
  });

  it('lets a person break the glass alone, to the end, and the evidence has the reason', async () => {
    await change(policyWith(cluster.resourceId, 'required: 3'));
    const roles = ['Kms.Operator', 'Kms.Reader', 'Kms.BreakGlass'];
    const token = await control().mintToken({ name: 'oncall', roles });
    const call = async (method: string, where: string, body?: unknown): Promise<Response> =>
      await fetch(`${url}/v1/operations/${where}`, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    const { requester } = people(url);
    const { id, plan } = await askForRotation(requester, cluster.resourceId);
    const breakGlass = { reason: 'Keys expire in an hour and all approvers sleep.' };
    const answer = await call('POST', `${id}:approve`, { planDigest: plan?.digest, breakGlass });
    expect(OperationAnswer.parse(await answer.json()).approvals).toMatchObject([{ breakGlass }]);

    const over = await ended(requester, id);
    expect(over.status).toBe('Succeeded');
    expect(over.progressText).toContain(`Reason: ${breakGlass.reason}`);
    const { record } = EvidenceFile.parse(await (await call('GET', `${id}/evidence`)).json());
    expect(record.operation.approvals).toMatchObject([{ by: { type: 'user' }, breakGlass }]);
    expect(await readFile(logFile, 'utf8')).toContain('BREAK-GLASS');
  });
});
