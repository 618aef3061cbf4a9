/**
 * Every kind as the tests of faults run it: the cluster that it starts from, what is asked for, who approves, and what must be true at
 * the end, whatever happened on the way. A new kind is one row here.
 */
import { expect } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiClient, OperationAnswer } from '../../cli/api-client';
import { isFinal } from '../../domain/operation';
import { mustParseKeyId } from '../../domain/resource-ids';
import type { StepType } from '../../domain/plan/steps';
import { evidenceOf } from './evidence';
import type { SandboxClusterFacts, SandboxClusterOptions } from '../../launch/sandbox-cluster';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import {
  grantByHand,
  identityIdOf,
  letApproveByHand,
  linkWorkerByHand,
  makeVaultByHand,
  makeWorkspaceByHand,
  setKeyByHand,
  workspaceIdOf,
  tagByHand,
} from './by-hand';
import { connectByHand, fillVaultByHand, workloadIdentity } from './csi';
import { timesStored } from './etcd';
import { setEnabled } from './retirement';
import { control, ended, makeCluster, people, until } from './stack';
import { keyClient } from './vault';
import { deletionsOf, ledgerOf, versionsOf, writesTo, writtenTo, type Written } from './written';

/** Steps that change the cluster in ARM, by one PUT each. */
export const CLUSTER_CHANGES: readonly StepType[] = [
  'set-kms',
  'upgrade-control-plane',
  'upgrade-pool',
  'reconcile-cluster',
  'enable-secrets-provider',
  'enable-workload-identity',
  'disable-secrets-provider',
];

/** Secrets of each cluster. */
export const SECRETS = 30;

/** One kind. */
export interface KindRow {
  readonly kind: string;
  /** The cluster that it starts from; by rows without `prepare`, no operation has changed it yet, so that the current state is proven first. */
  readonly cluster: Partial<SandboxClusterOptions>;
  /** What was done before. @returns another key that the request or the end is about, where there is one */
  readonly prepare?: (cluster: SandboxClusterFacts, name: string) => Promise<string | void>;
  readonly parameters?: (start: Pick<Start, 'cluster' | 'key'>) => Readonly<Record<string, unknown>>;
  /**
   * The cluster that it makes, where it makes one beside that of the row, which then lends it vault, key and identity. What is true at the
   * end is then no matter of `expectEnd`: test/e2e/create-cluster.test.ts has its faults.
   */
  readonly makes?: (start: Pick<Start, 'cluster'>) => string;
  /** What every Secret is stored under at the end: the key of the cluster, the other key, the version that the operation made, or nothing. */
  readonly endsUnder: 'key' | 'other key' | 'new version' | 'plaintext';
  /** How often each Secret is stored, by whoever made it, by what was done before and by the operation. */
  readonly timesStored: number;
  /**
   * Writes to vaults of which each happens once or `times`, `before` of them before the operation, beside those that follow from the steps:
   * what the paths of accepted requests match.
   */
  readonly vaultWrites?: readonly {
    readonly method: 'PUT' | 'POST' | 'DELETE';
    readonly path: RegExp;
    readonly times?: number;
    readonly before?: number;
  }[];
  /** What becomes of the key version that the cluster was made with; it stays enabled when absent. */
  readonly oldKey?: 'disabled' | 'deleted';
}

/** All kinds, in the order of the table of kinds. */
export const KIND_ROWS: readonly KindRow[] = [
  {
    kind: 'enable-kms',
    cluster: { kms: false },
    parameters: ({ cluster }) => ({ keyId: cluster.keyId }),
    endsUnder: 'key',
    timesStored: 2,
  },
  { kind: 'rotate-key', cluster: {}, endsUnder: 'new version', timesStored: 2 },
  {
    kind: 'replace-key',
    cluster: {},
    parameters: () => ({ soakInSeconds: 0 }),
    endsUnder: 'new version',
    timesStored: 3,
    oldKey: 'disabled',
  },
  {
    kind: 'retire-key',
    cluster: {},
    prepare: leaveOldKey,
    parameters: ({ cluster }) => ({ keyId: cluster.keyId, soakInSeconds: 1 }),
    endsUnder: 'other key',
    timesStored: 3,
    oldKey: 'deleted',
  },
  {
    kind: 'change-vault',
    cluster: {},
    prepare: otherVault,
    parameters: ({ key }) => ({ keyId: key }),
    endsUnder: 'other key',
    timesStored: 2,
  },
  {
    kind: 'change-vault-access',
    cluster: { vnetIntegration: true },
    // With a private endpoint in its own network, Keyturn still sees the vault when it is closed.
    async prepare(cluster: SandboxClusterFacts): Promise<void> {
      const { vaultName } = mustParseKeyId(cluster.keyId);
      await letApproveByHand(cluster, vaultName);
      await linkWorkerByHand(vaultName);
    },
    parameters: () => ({ vaultAccess: 'Private' }),
    endsUnder: 'key',
    timesStored: 3,
  },
  {
    kind: 'rewrite-secrets',
    cluster: { kms: false },
    prepare: (cluster) => setKeyByHand(cluster, cluster.keyId),
    endsUnder: 'key',
    timesStored: 2,
  },
  { kind: 'disable-kms', cluster: {}, endsUnder: 'plaintext', timesStored: 2 },
  // Once more than KMS goes off and on: with KMS v1 the current key is proven by a forced rewrite.
  { kind: 'upgrade-to-kms-v2', cluster: { kubernetesVersion: '1.26' }, endsUnder: 'key', timesStored: 4 },
  {
    kind: 'enable-vault-diagnostics',
    cluster: {},
    prepare: (cluster) => makeWorkspaceByHand(workspaceFor(cluster)),
    // Of names of its own for each cluster, which faults find them by.
    parameters: ({ cluster }) => ({ workspaceId: workspaceIdOf(workspaceFor(cluster)), settingName: nameOf(cluster) }),
    endsUnder: 'key',
    timesStored: 1,
    vaultWrites: [{ method: 'PUT', path: /\/diagnosticSettings\/[^/]+$/ }],
  },
  {
    kind: 'provision-kms',
    cluster: { kms: false },
    parameters: ({ cluster }) => ({ vaultName: `p-${nameOf(cluster)}`, keyName: `etcd-${nameOf(cluster)}` }),
    endsUnder: 'plaintext',
    timesStored: 1,
    vaultWrites: [
      { method: 'PUT', path: /\/vaults\/p-[^/]+$/ },
      { method: 'POST', path: /^\/keys\/etcd-[^/]+\/create$/ },
      { method: 'PUT', path: /\/vaults\/p-[^/]+\/.*\/roleAssignments\/[^/]+$/ },
    ],
  },
  { kind: 'recover-key', cluster: {}, prepare: loseKey, endsUnder: 'key', timesStored: 1 },
  {
    kind: 'create-cluster',
    cluster: {},
    makes: ({ cluster }) => `${cluster.resourceId}-new`,
    parameters: ({ cluster }) => ({
      location: 'westeurope',
      identityId: identityIdOf(nameOf(cluster)),
      keyId: cluster.keyId,
    }),
    endsUnder: 'key',
    timesStored: 1,
  },
  {
    kind: 'connect-csi',
    cluster: { vaultPermissions: 'rbac' },
    prepare: (cluster) => fillVaultByHand(mustParseKeyId(cluster.keyId).vaultName),
    parameters: ({ cluster }) => ({
      ...workloadIdentity(mustParseKeyId(cluster.keyId).vaultName, nameOf(cluster)),
      rotationPollInterval: '2s',
    }),
    endsUnder: 'key',
    timesStored: 1,
    vaultWrites: [
      { method: 'PUT', path: /\/federatedIdentityCredentials\/[^/]+$/ },
      // One for the cluster's own identity when the cluster was made; two roles for the pods' identity.
      { method: 'PUT', path: /\/vaults\/[^/]+\/.*\/roleAssignments\/[^/]+$/, times: 3, before: 1 },
      // The probe of the rotation: two versions, whatever happens, and it is removed.
      { method: 'PUT', path: /^\/secrets\/keyturn-probe-[0-9a-f]{16}$/, times: 2 },
      { method: 'DELETE', path: /^\/secrets\/keyturn-probe-[0-9a-f]{16}$/ },
    ],
  },
  {
    kind: 'disconnect-csi',
    cluster: {},
    prepare: (cluster) => connectByHand(cluster, nameOf(cluster)),
    parameters: ({ cluster }) => ({
      namespace: 'default',
      secretProviderClass: nameOf(cluster),
      identity: identityIdOf(`id-${nameOf(cluster)}`),
      serviceAccount: nameOf(cluster),
      disableAddOn: true,
    }),
    endsUnder: 'key',
    timesStored: 1,
  },
];

/** Disables the key version of a cluster, and has the cluster Failed in Azure. */
export async function loseKey(cluster: SandboxClusterFacts, name: string): Promise<void> {
  await setEnabled(cluster.keyId, false);
  await control().setFault('fail-operation', { path: `/managedClusters/${name}` });
  await tagByHand(cluster, { owner: 'a person' });
  while ((await people().reader.encryption(cluster.resourceId)).provisioningState !== 'Failed') await sleep(100);
}

/** Those whose operation is about the cluster of the row. */
export const ROWS_OF_CLUSTERS: readonly KindRow[] = KIND_ROWS.filter(({ makes }) => makes === undefined);

/**
 * Has the cluster's key leave both slots, for keys of other objects, and be needed by nothing: a `replace-key` that is canceled before
 * it disables anything. @returns the key that is current then
 */
export async function leaveOldKey(cluster: SandboxClusterFacts, name: string): Promise<string> {
  const { requester, approver1 } = people();
  const [keyId, nextKeyId] = [await anotherKey(cluster, `${name}-b`), await anotherKey(cluster, `${name}-c`)];
  const { operation: asked } = await requester.create(
    {
      kind: 'replace-key',
      cluster: cluster.resourceId,
      parameters: { keyId, nextKeyId },
      change: { number: 'CHG-PREPARE' },
    },
    randomUUID(),
  );
  const gate = (id: string): Promise<OperationAnswer> =>
    until(requester, asked.id, (now) => openGate(now, new Set()) === id);
  const { plan } = await gate('approve');
  await approver1.approve(asked.id, plan?.digest ?? '', 'approve');
  await gate('approve-deletion');
  await requester.cancel(asked.id);
  await ended(requester, asked.id);
  return nextKeyId;
}

/** A key in another vault, which the cluster's identity may use. */
export async function otherVault(cluster: SandboxClusterFacts, name: string): Promise<string> {
  const vault = { name: `kv2-${name}`, permissions: 'access-policy' } as const;
  const keyId = await makeVaultByHand(vault.name, vault.permissions);
  await grantByHand(cluster, vault);
  return keyId;
}

async function anotherKey({ keyId }: SandboxClusterFacts, name: string): Promise<string> {
  const { id } = await keyClient(keyId).createRsaKey(name);
  return id ?? '';
}

/** The name of a cluster. */
export function nameOf({ resourceId }: Pick<SandboxClusterFacts, 'resourceId'>): string {
  return resourceId.split('/').at(-1) ?? '';
}

/** Where the vault of a cluster logs. */
export function workspaceFor(cluster: Pick<SandboxClusterFacts, 'resourceId'>): string {
  return `logs-${nameOf(cluster)}`;
}

/** A cluster before an operation, and what had been written for it by then. */
export interface Start extends Written {
  readonly cluster: SandboxClusterFacts;
  /** The other key of the row. */
  readonly key?: string;
}

/** Makes the cluster that a kind starts from. */
export async function startOf(row: KindRow, name: string): Promise<Start> {
  const cluster = await makeCluster(name, { count: SECRETS, immutableEvery: 7 }, row.cluster);
  const key = (await row.prepare?.(cluster, name)) ?? undefined;
  return { cluster, ...(key === undefined ? {} : { key }), ...(await writtenTo(cluster)) };
}

/** Asks for the kind, has each gate approved by another person, and waits for the end. @throws Error when the operation blocks */
export async function runToEnd(
  row: KindRow,
  start: Start,
  { requester, approver1, approver2 }: ReturnType<typeof people>,
): Promise<OperationAnswer> {
  const approvers: readonly ApiClient[] = [approver1, approver2];
  const approved = new Set<string>();
  const { operation: asked } = await requester.create(requestOf(row, start), randomUUID());
  for (;;) {
    const operation = await until(requester, asked.id, (now) => hasEnded(now) || openGate(now, approved) !== undefined);
    const gate = openGate(operation, approved);
    if (gate === undefined) return operation;
    await approvers[approved.size % 2]?.approve(operation.id, operation.plan?.digest ?? '', gate);
    approved.add(gate);
  }
}

/** The body of a request for the kind. */
export function requestOf(row: KindRow, start: Pick<Start, 'cluster' | 'key'>): Record<string, unknown> {
  return {
    kind: row.kind,
    cluster: row.makes?.(start) ?? start.cluster.resourceId,
    parameters: row.parameters?.(start) ?? {},
    change: { number: 'CHG-KIND' },
  };
}

/**
 * Expects the end that the operation would have had without any fault: raw etcd, vault, ARM, ledger, evidence.
 * @param repeatedNotes how often the note of a switch was stored anew: its time tells when Azure was asked last
 */
export async function expectEnd(
  row: KindRow,
  { cluster, key: otherKey, ...before }: Start,
  operation: OperationAnswer,
  repeatedNotes: number,
): Promise<void> {
  const { plan } = operation;
  const count = (...types: StepType[]): number => plan?.steps.filter(({ type }) => types.includes(type)).length ?? 0;
  const versions = await versionsOf(cluster);
  const newest = versions.at(-1)?.keyId ?? '';
  const ends = { key: cluster.keyId, 'other key': otherKey ?? '', 'new version': newest, plaintext: null };
  const key = ends[row.endsUnder];
  expect(operation).toMatchObject({
    status: 'Succeeded',
    planRevision: 1,
    result: { currentKeyId: key, proof: count('prove') === 0 ? null : { secrets: SECRETS, unproven: 0 } },
  });
  expect(operation.steps.map(({ status }) => status)).toEqual(operation.steps.map(() => 'done'));

  // No canary is left: that would be one more.
  const under = await countByKey(readSecretRecords(cluster.etcd), { newKeyId: key ?? 'none' });
  expect(under).toEqual({
    newKey: 0,
    oldKey: 0,
    plaintext: 0,
    other: 0,
    [key === null ? 'plaintext' : 'newKey']: SECRETS,
  });
  const secrets = await timesStored(cluster.etcd, '/registry/secrets/');
  expect(new Set(secrets.values())).toEqual(new Set([row.timesStored]));

  // One PUT for each change of the cluster, one version for each that the plan makes, and no other.
  const after = await writtenTo(cluster);
  expect(after.puts - before.puts).toBe(count(...CLUSTER_CHANGES));
  const deleted = row.oldKey === 'deleted' ? before.versions : 0;
  expect(after.versions - before.versions + deleted).toBe(count('create-key-version'));
  // No version is disabled but the one that is retired, and its object is deleted once.
  expect(versions.filter(({ enabled }) => !enabled).map(({ keyId }) => keyId)).toEqual(
    row.oldKey === 'disabled' ? [cluster.keyId] : [],
  );
  expect(await deletionsOf(cluster)).toBe(row.oldKey === 'deleted' ? 1 : 0);

  // Where nothing is to be proven, nothing is noted.
  if (count('record-proof') === 0) expect(after.ledgerWrites).toBe(before.ledgerWrites);
  else await expectLedger(cluster, operation, key, { before, after, repeatedNotes });
  for (const { method, path, times = 1 } of row.vaultWrites ?? [])
    expect(await writesTo(nameOf(cluster), method, path)).toBe(times);

  const verdict = evidenceOf(operation);
  expect(verdict).toMatchObject({ ok: true, record: { operation: { id: operation.id, status: 'Succeeded', plan } } });
}

async function expectLedger(
  cluster: SandboxClusterFacts,
  operation: OperationAnswer,
  key: string | null,
  written: { readonly before: Written; readonly after: Written; readonly repeatedNotes: number },
): Promise<void> {
  const { before, after, repeatedNotes } = written;
  const count = (type: StepType): number => operation.plan?.steps.filter((step) => step.type === type).length ?? 0;
  const { generations } = await ledgerOf(cluster);
  expect(generations.at(-1)).toMatchObject({ keyId: key, state: 'proven', proof: { operationId: operation.id } });
  // What no operation has changed yet is adopted first.
  expect(generations).toHaveLength(Math.max(1, before.generations) + count('set-kms'));
  // Noted before a change, after it, and when a state is proven: each once.
  const notes = 2 * count('set-kms') + count('record-proof');
  expect(after.ledgerWrites - before.ledgerWrites).toBe(notes + repeatedNotes);
}

function hasEnded({ status, evidence, progressText }: OperationAnswer): boolean {
  if (status === 'Blocked') throw new Error(`The operation is blocked.\n${progressText}`);
  return isFinal(status) && evidence !== null;
}

function openGate({ status, plan, steps }: OperationAnswer, approved: ReadonlySet<string>): string | undefined {
  if (status !== 'AwaitingApproval') return undefined;
  const running = steps.find((step) => step.status === 'running');
  const gate = plan?.steps.find(({ id, type }) => id === running?.id && type === 'gate');
  return gate !== undefined && !approved.has(gate.id) ? gate.id : undefined;
}
