/**
 * Every kind as the tests of faults run it: the cluster that it starts from, what is asked for, who approves, and what must be true at
 * the end, whatever happened on the way. A new kind is one row here.
 */
import { expect } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { ApiClient, OperationAnswer } from '../../cli/api-client';
import { Ledger } from '../../domain/ledger';
import { isFinal } from '../../domain/operation';
import type { StepType } from '../../domain/plan/steps';
import { verifyEvidence } from '../../evidence/verify';
import { armPut, connectAzure } from '../../launch/azure-client';
import { clusterWrites } from '../../launch/sandbox-control';
import type { SandboxClusterFacts, SandboxClusterOptions } from '../../launch/sandbox-cluster';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { setKeyByHand } from './by-hand';
import { timesStored } from './etcd';
import { kubeApi } from './kube';
import { control, makeCluster, testStack, until, type people } from './stack';
import { keyVersions } from './vault';

/** Secrets of each cluster. */
export const SECRETS = 30;

/** One kind. */
export interface KindRow {
  readonly kind: string;
  /** The cluster that it starts from; no operation has changed it yet, so that the current state is proven first. */
  readonly cluster: Partial<SandboxClusterOptions>;
  /** What was done to it by hand. */
  readonly prepare?: (cluster: SandboxClusterFacts) => Promise<void>;
  readonly parameters?: (cluster: SandboxClusterFacts) => Readonly<Record<string, unknown>>;
  /** What every Secret is stored under at the end: the key of the cluster, the version that the operation made, or nothing. */
  readonly endsUnder: 'key' | 'new version' | 'plaintext';
  /** How often each Secret is stored, by whoever made it and by the operation. */
  readonly timesStored: number;
}

/** All kinds, in the order of the table of kinds. */
export const KIND_ROWS: readonly KindRow[] = [
  {
    kind: 'enable-kms',
    cluster: { kms: false },
    parameters: ({ keyId }) => ({ keyId }),
    endsUnder: 'key',
    timesStored: 2,
  },
  { kind: 'rotate-key', cluster: {}, endsUnder: 'new version', timesStored: 2 },
  {
    kind: 'rewrite-secrets',
    cluster: { kms: false },
    prepare: (cluster) => setKeyByHand(cluster, cluster.keyId),
    endsUnder: 'key',
    timesStored: 2,
  },
  { kind: 'disable-kms', cluster: {}, endsUnder: 'plaintext', timesStored: 2 },
];

/** A cluster before an operation, and what had been written to Azure for it by then. */
export interface Start {
  readonly cluster: SandboxClusterFacts;
  readonly puts: number;
  readonly versions: number;
}

/** Makes the cluster that a kind starts from. */
export async function startOf(row: KindRow, name: string): Promise<Start> {
  const cluster = await makeCluster(name, { count: SECRETS, immutableEvery: 7 }, row.cluster);
  await row.prepare?.(cluster);
  return { cluster, ...(await writtenTo(cluster)) };
}

/** Asks for the kind, has each gate approved by another person, and waits for the end. @throws Error when the operation blocks */
export async function runToEnd(
  row: KindRow,
  { cluster }: Start,
  { requester, approver1, approver2 }: ReturnType<typeof people>,
): Promise<OperationAnswer> {
  const approvers: readonly ApiClient[] = [approver1, approver2];
  const approved = new Set<string>();
  const { operation: asked } = await requester.create(requestOf(row, cluster), randomUUID());
  for (;;) {
    const operation = await until(requester, asked.id, (now) => hasEnded(now) || openGate(now, approved) !== undefined);
    const gate = openGate(operation, approved);
    if (gate === undefined) return operation;
    await approvers[approved.size % 2]?.approve(operation.id, operation.plan?.digest ?? '', gate);
    approved.add(gate);
  }
}

/** The body of a request for the kind. */
export function requestOf(row: KindRow, cluster: SandboxClusterFacts): Record<string, unknown> {
  return {
    kind: row.kind,
    cluster: cluster.resourceId,
    parameters: row.parameters?.(cluster) ?? {},
    change: { number: 'CHG-KIND' },
  };
}

/** Expects the end that the operation would have had without any fault: raw etcd, vault, ARM, ledger, evidence. */
export async function expectEnd(
  row: KindRow,
  { cluster, ...before }: Start,
  operation: OperationAnswer,
): Promise<void> {
  const { plan } = operation;
  const count = (...types: StepType[]): number => plan?.steps.filter(({ type }) => types.includes(type)).length ?? 0;
  const newest = (await keyVersions(cluster.keyId)).at(-1)?.keyId ?? '';
  const key = { key: cluster.keyId, 'new version': newest, plaintext: null }[row.endsUnder];
  expect(operation).toMatchObject({
    status: 'Succeeded',
    planRevision: 1,
    result: { currentKeyId: key, proof: { secrets: SECRETS, unproven: 0 } },
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

  // One PUT for each change of the KMS profile, one version for each that the plan makes, and no other.
  const after = await writtenTo(cluster);
  expect(after.puts - before.puts).toBe(count('set-kms'));
  expect(after.versions - before.versions).toBe(count('create-key-version'));

  const map = await kubeApi(cluster).configMap('kube-system', 'keyturn-ledger');
  const { generations } = Ledger.parse(JSON.parse(map.ledger ?? ''));
  expect(generations.at(-1)).toMatchObject({ keyId: key, state: 'proven', proof: { operationId: operation.id } });
  expect(generations).toHaveLength(1 + count('set-kms'));
  // Noted before a change, after it, and when a state is proven: each once.
  const ledger = await timesStored(cluster.etcd, '/registry/configmaps/kube-system/keyturn-ledger');
  expect([...ledger.values()]).toEqual([2 * count('set-kms') + count('record-proof')]);

  const verdict = verifyEvidence(readFileSync(operation.evidence?.file ?? ''));
  expect(verdict).toMatchObject({ ok: true, record: { operation: { id: operation.id, status: 'Succeeded', plan } } });
}

const Body = z.looseObject({
  identity: z.looseObject({ userAssignedIdentities: z.record(z.string(), z.unknown()).optional() }),
  properties: z.looseObject({ securityProfile: z.record(z.string(), z.unknown()).optional() }),
});

/** Changes a cluster in ARM past Keyturn; resolves when Azure is done. */
export async function putByHand(
  resourceId: string,
  change: (body: z.infer<typeof Body>) => Record<string, unknown>,
): Promise<void> {
  const azure = await connectAzure(testStack().sandbox);
  try {
    const url = `https://management.azure.com${resourceId}?api-version=2026-04-01`;
    const body = Body.parse((await azure.request('GET', url)).body);
    const identities = Object.keys(body.identity.userAssignedIdentities ?? {}).map((id) => [id, {}] as const);
    const identity = { ...body.identity, userAssignedIdentities: Object.fromEntries(identities) };
    await armPut(azure.request, resourceId, change({ ...body, identity }));
  } finally {
    await azure.close();
  }
}

async function writtenTo({ resourceId, keyId }: SandboxClusterFacts): Promise<Omit<Start, 'cluster'>> {
  return {
    puts: clusterWrites(await control().journal(), resourceId),
    versions: (await keyVersions(keyId)).length,
  };
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
