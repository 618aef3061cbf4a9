/**
 * What a plan changes beside its cluster needs a right of its own, on the real parts: a requester, an approver and a workflow past the API
 * that have the right on the cluster only reach no vault of others.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { createPrivateKey, createPublicKey, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { OperationAnswer } from '../../cli/api-client';
import { isFinal } from '../../domain/operation';
import { memoOf, MemoKey } from '../../domain/operation-memo';
import { RequestSeal } from '../../domain/trust/statements';
import { startNodeProcess, type ReadyProcess } from '../../launch/node-process';
import { sandboxEnvironment } from '../../launch/sandbox';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { clusterWrites } from '../../launch/sandbox-control';
import { freePort } from '../../tools/ports';
import { keyIdOf } from '../../trust/key-id';
import { createStatementSigner } from '../../trust/sign';
import { eventually } from '../sandbox/cluster-support';
import { makeVaultByHand, vaultIdOf } from '../support/by-hand';
import { fillVaultByHand, OBJECTS } from '../support/csi';
import { rogueActivity } from '../support/rogue-workflow';
import {
  control,
  ended,
  makeCluster,
  openTemporal,
  people,
  serviceEnvironment,
  testStack,
  until,
  vaultNameOf,
} from '../support/stack';

const NAME = 'scopes';
const QUEUE = 'keyturn';
const APP_VAULT = 'kv-scopes-app';
const policyFile = path.join(testStack().directory, `${NAME}.yaml`);
const logFile = path.join(testStack().directory, 'logs', `${NAME}-api.log`);
let cluster: SandboxClusterFacts;
let api: ReadyProcess;
let apiUrl: string;
let by: ReturnType<typeof people>;

/** The second approver has every right. */
function policyWith(mayRequest: readonly string[], mayApprove: readonly string[]): string {
  const { requester, approver1, approver2 } = testStack().sandbox.people;
  const rule = (name: string, { objectId }: { objectId: string }, right: string, scopes: readonly string[]): string =>
    `  - { name: ${name}, who: { ids: [${objectId}] }, may: [${right}], kinds: '*', scopes: ${JSON.stringify(scopes)} }\n`;
  return `version: 1\nrules:\n${rule('asks', requester, 'request', mayRequest)}${rule('approves', approver1, 'approve', mayApprove)}${rule('all', approver2, 'approve', ['*'])}`;
}

/** The API looks at the file by itself, and its log tells when it has. */
async function policyIs(text: string): Promise<void> {
  const lines = async (): Promise<number> => (await readFile(logFile, 'utf8')).split('The policy was changed').length;
  const before = await lines();
  await writeFile(policyFile, text);
  await eventually(async () => (await lines()) > before);
}

/** Accepted writes to the cluster in ARM and to both vaults, in ARM and in themselves. */
async function writes(): Promise<number> {
  const journal = await control().journal();
  const toVaults = journal.filter(({ method, host, path: where, status }) => {
    const of = [vaultNameOf(NAME), APP_VAULT].some(
      (name) => host.startsWith(`${name}.`) || where.toLowerCase().includes(`/vaults/${name}`),
    );
    return of && ['PUT', 'POST', 'PATCH', 'DELETE'].includes(method) && status < 300;
  });
  return toVaults.length + clusterWrites(journal, cluster.resourceId);
}

const bodyOf = (kind: string): Record<string, unknown> => ({
  kind,
  cluster: cluster.resourceId,
  change: { number: 'CHG-SCOPES' },
  parameters:
    kind === 'connect-csi'
      ? {
          mode: 'managed-identity',
          vaultId: vaultIdOf(APP_VAULT),
          namespace: 'default',
          secretProviderClass: 'scoped',
          objects: [OBJECTS[0]],
          proveRotation: false,
        }
      : kind === 'replace-key'
        ? { soakInSeconds: 0 }
        : {},
});

async function ask(kind: string): Promise<OperationAnswer> {
  const { operation } = await by.requester.create(bodyOf(kind), randomUUID());
  return await until(
    by.requester,
    operation.id,
    ({ offers, status, evidence }) => offers.includes('approve') || (isFinal(status) && evidence !== null),
  );
}

const digestOf = ({ plan }: OperationAnswer): string => plan?.digest ?? '';

beforeAll(async () => {
  cluster = await makeCluster(NAME, { count: 3 });
  await makeVaultByHand(APP_VAULT, 'access-policy');
  await fillVaultByHand(APP_VAULT);
  await writeFile(policyFile, policyWith([cluster.resourceId], [cluster.resourceId]));
  // The worker is that of the test run.
  const env = {
    ...serviceEnvironment(QUEUE),
    KEYTURN_API_PORT: String(await freePort()),
    KEYTURN_POLICY_FILE: policyFile,
  };
  api = await startNodeProcess({ name: 'api', script: path.join('api', 'main.js'), env, logFile });
  ({ url: apiUrl } = z.object({ url: z.string() }).parse(api.said));
  by = people(apiUrl);
});
afterAll(() => api.child.stop());

describe('a requester with a right on the cluster only', () => {
  it.each([
    ['connect-csi', () => vaultIdOf(APP_VAULT)],
    // Its vault is known by the id of its key only.
    ['replace-key', () => vaultIdOf(vaultNameOf(NAME))],
  ])('is refused %s by the name of the vault, and nothing is written', async (kind, vaultId) => {
    const before = await writes();
    await expect(by.requester.validate(bodyOf(kind))).rejects.toMatchObject({
      status: 403,
      code: 'ResourceOutOfScope',
      detail: expect.stringContaining(vaultId()) as unknown,
    });
    const over = await ask(kind);
    expect(over).toMatchObject({ status: 'Failed', plan: null, faults: [{ code: 'ResourceOutOfScope' }] });
    expect(over.reason?.detail).toContain(vaultId());
    expect(await writes()).toBe(before);
  });

  it('reads the same refusal from `keyturn plan`', async () => {
    const { code, err } = await keyturnPlan('replace-key');
    expect(code).toBe(4);
    expect(err).toContain('ResourceOutOfScope');
    expect(err.replaceAll(/\s+/g, '')).toContain(vaultIdOf(vaultNameOf(NAME)));
  });

  it('may rotate: a new version in the vault of the current key is what the right means', async () => {
    const asked = await ask('rotate-key');
    await by.approver1.approve(asked.id, digestOf(asked));
    expect(await ended(by.requester, asked.id)).toMatchObject({ status: 'Succeeded' });
  });
});

describe('a requester with a right on the vault, too', () => {
  beforeAll(() => policyIs(policyWith([cluster.resourceId, vaultIdOf(APP_VAULT)], [cluster.resourceId])));

  it('needs an approver with that right; then it runs', async () => {
    const asked = await ask('connect-csi');
    const before = await writes();
    await expect(by.approver1.approve(asked.id, digestOf(asked))).rejects.toMatchObject({
      status: 403,
      code: 'RightMissing',
      detail: expect.stringContaining(vaultIdOf(APP_VAULT)) as unknown,
    });
    expect((await by.requester.get(asked.id)).approvals).toEqual([]);
    expect(await writes()).toBe(before);

    await policyIs(policyWith([cluster.resourceId], [cluster.resourceId, vaultIdOf(APP_VAULT)]));
    // What the requester might ask for is in the signed request: a later change of the policy does not take it away.
    await by.approver1.approve(asked.id, digestOf(asked));
    expect(await ended(by.requester, asked.id)).toMatchObject({ status: 'Succeeded' });
    expect(await writes()).toBeGreaterThan(before);
  });

  it('has no workflow past the API write to the vault for one whose signed request does not have it', async () => {
    await policyIs(policyWith([cluster.resourceId, vaultIdOf(vaultNameOf(NAME))], ['*']));
    const asked = await ask('replace-key');
    const client = await openTemporal();
    const handle = client.workflow.getHandle(asked.id);
    const { memo = {} } = await handle.describe();
    await handle.terminate('Out of the way.');
    const seal = RequestSeal.parse(memo[MemoKey.Seal]);
    const { requestedBy, requestedAt, request } = asked;
    // The key of the API itself: the signatures are good, and people approved the plan.
    const signer = apiSigner();
    const sealOf = (policy: RequestSeal['policy']): RequestSeal => ({
      ...seal,
      policy,
      signature: signer.signRequest({
        operationId: asked.id,
        fingerprint: z.string().parse(memo[MemoKey.Fingerprint]),
        kind: request.kind,
        cluster: request.cluster,
        requestedBy,
        requestedAt,
        policy,
        approvalTimeoutInMs: seal.approvalTimeoutInMs,
      }),
    });
    const { objectId, name } = testStack().sandbox.people.approver2;
    const approvals = (asked.plan?.steps ?? [])
      .filter(({ type }) => type === 'gate')
      .map(({ id: gate }) =>
        signer.signDecision(asked.id, 'approve', {
          by: { tenantId: testStack().sandbox.tenantId, objectId, name, type: 'user' as const },
          roles: ['Kms.Approver'],
          planDigest: digestOf(asked),
          gate,
        }),
      );
    const approved = memoOf({ ...asked, approvals });
    const attack = async (given: RequestSeal): Promise<string | null> => {
      const { failure } = await rogueActivity(client, {
        activity: 'createKeyVersion',
        input: {
          planDigest: digestOf(asked),
          step: 'first.create-key-version',
          made: {},
          nonce: randomUUID(),
          since: requestedAt,
        },
        memo: { ...memo, ...approved, [MemoKey.Seal]: given },
        taskQueue: QUEUE,
        workflowId: asked.id,
      });
      return failure;
    };
    const before = await writes();
    const narrow = { ...seal.policy, scopes: [] };
    expect(await attack({ ...seal, policy: narrow })).toBe('NotSigned');
    expect(await attack(sealOf(narrow))).toBe('ResourceOutOfScope');
    // With the right, and all else the same, it gets as far as the lock of the cluster.
    expect(await attack(sealOf(seal.policy))).toBe('LockLost');
    expect(await writes()).toBe(before);
    await client.connection.close();
  });
});

/** The command, as the requester. */
async function keyturnPlan(kind: string): Promise<{ readonly code: number | null; readonly err: string }> {
  const { sandbox } = testStack();
  const env = {
    ...process.env,
    ...sandboxEnvironment(sandbox),
    KEYTURN_URL: apiUrl,
    KEYTURN_TOKEN: sandbox.people.requester.token,
  };
  const program = path.join(__dirname, '../../dist/cli/keyturn.js');
  const args = [program, 'plan', kind, '--cluster', cluster.resourceId, '--change', 'CHG-SCOPES'];
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, err };
}

function apiSigner(): ReturnType<typeof createStatementSigner> {
  const privateKey = createPrivateKey(readFileSync(path.join(testStack().directory, 'api-key.pem')));
  const der = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return createStatementSigner({ privateKey, keyId: keyIdOf(der) });
}
