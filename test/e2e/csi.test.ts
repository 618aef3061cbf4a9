/**
 * Pods that get at a vault, on the real parts: the API server, its tokens and its issuer, ARM, Entra ID and the vault of the sandbox, and a
 * node that does what CSI driver and provider do. Each way in, what is kept, what is refused, and the way out.
 */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { OperationAnswer } from '../../cli/api-client';
import { isFinal } from '../../domain/operation';
import { verifyEvidence } from '../../evidence/verify';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { asAdministrator, identityIdOf, makeVaultByHand, setVaultAccessByHand, vaultIdOf } from '../support/by-hand';
import {
  addOnRolesAt,
  classesOf,
  connectionsOf,
  fillVaultByHand,
  grantAddOnByHand,
  makeEndpointByHand,
  OBJECTS,
  podOf,
  setAddOnByHand,
  SECRETS_USER,
  workloadIdentity,
} from '../support/csi';
import { kubeApi } from '../support/kube';
import { ownFiles } from '../support/own-files';
import { ended, makeCluster, openTemporal, people, until, vaultNameOf } from '../support/stack';

const { requester, approver1 } = people();
const NAME = 'csi';
const vault = vaultNameOf(NAME);
const policyVault = 'kv-csi-policy';
const MARKER = `value-${randomUUID()}`;
/** Values that must be nowhere. */
const markers = [MARKER];
const VERSION = /^[0-9a-f]{32}$/;
const RENEWAL = /renew the file of (keyturn-probe-[0-9a-f]{16})/;
let cluster: SandboxClusterFacts;

async function ask(kind: string, parameters: Record<string, unknown>): Promise<OperationAnswer> {
  const body = { kind, cluster: cluster.resourceId, parameters, change: { number: 'CHG-CSI' } };
  const { operation } = await requester.create(body, randomUUID());
  return await until(requester, operation.id, ({ offers, status }) => offers.includes('approve') || isFinal(status));
}

async function run(kind: string, parameters: Record<string, unknown>): Promise<OperationAnswer> {
  const asked = await ask(kind, parameters);
  await approver1.approve(asked.id, asked.plan?.digest ?? '');
  const over = await until(
    requester,
    asked.id,
    ({ status, evidence }) => status === 'Blocked' || (isFinal(status) && evidence !== null),
  );
  if (over.status === 'Blocked') throw new Error(`${over.reason?.code}: ${over.reason?.detail}`);
  return over;
}

const stepsOf = ({ plan }: OperationAnswer): string[] => plan?.steps.map(({ id }) => id) ?? [];

type Output = { readonly type: string } & Readonly<Record<string, unknown>>;

/** What the steps gave. No value is in the evidence. */
function outputsOf(operation: OperationAnswer): Output[] {
  const file = readFileSync(operation.evidence?.file ?? '');
  const record = verifyEvidence(file);
  expect(record).toMatchObject({ ok: true });
  for (const marker of markers) expect(file.includes(marker)).toBe(false);
  return Object.values((record as { record: { outputs: Record<string, Output> } }).record.outputs);
}

/** The values of a probe, which must be soft-deleted: it is recovered, read, and deleted again. */
async function deletedProbe(name: string, of = vault): Promise<string[]> {
  const at = (path: string): string => `https://${of}.vault.azure.net/${path}?api-version=7.4`;
  return await asAdministrator(async (request) => {
    await request('POST', at(`deletedsecrets/${name}/recover`));
    const { value } = Versions.parse((await request('GET', at(`secrets/${name}/versions`))).body);
    expect(value).toHaveLength(2);
    const read = async (id: string): Promise<string> =>
      Secret.parse((await request('GET', at(`secrets/${name}/${id.split('/').at(-1) ?? ''}`))).body).value;
    const values = await Promise.all(value.map(({ id }) => read(id)));
    await request('DELETE', at(`secrets/${name}`));
    return values;
  });
}

const Versions = z.object({ value: z.array(z.object({ id: z.string() })) });
const Secret = z.object({ value: z.string() });

/** What the step says that the pod saw. */
function filesOf(operation: OperationAnswer): string[] {
  const mount = outputsOf(operation).find(({ type }) => type === 'prove-mount');
  return (mount as { files: { file: string }[] } | undefined)?.files.map(({ file }) => file) ?? [];
}

/** A request by Service Connector. */
const byConnector = (secretProviderClass: string, object: object): Record<string, unknown> => ({
  mode: 'service-connector',
  vaultId: vaultIdOf(vault),
  namespace: 'default',
  secretProviderClass,
  objects: [object],
});

/** Deletes the federated credentials of an identity. @returns makes them again */
async function federationGoneByHand(name: string): Promise<() => Promise<void>> {
  const list = `https://management.azure.com${identityIdOf(`id-${name}`)}/federatedIdentityCredentials`;
  const version = 'api-version=2024-11-30';
  return await asAdministrator(async (request) => {
    const { value } = Credentials.parse((await request('GET', `${list}?${version}`)).body);
    for (const one of value) await request('DELETE', `${list}/${one.name}?${version}`);
    return () =>
      asAdministrator(async (again) => {
        for (const { name: its, properties } of value) await again('PUT', `${list}/${its}?${version}`, { properties });
      });
  });
}

const Credentials = z.object({ value: z.array(z.object({ name: z.string(), properties: z.unknown() })) });

beforeAll(async () => {
  cluster = await makeCluster(NAME, { count: 0 }, { kms: false, vaultPermissions: 'rbac' });
  await makeVaultByHand(policyVault, 'access-policy');
  await fillVaultByHand(vault, MARKER);
  await fillVaultByHand(policyVault, MARKER);
});

describe('connect-csi', () => {
  it('by workload identity makes all that is missing, and a pod sees what the vault has', async () => {
    const over = await run('connect-csi', { ...workloadIdentity(vault, 'by-workload'), rotationPollInterval: '3s' });
    expect(stepsOf(over)).toEqual([
      'approve',
      'enable-secrets-provider',
      'enable-workload-identity',
      'create-identity',
      'create-federated-credential',
      'grant-vault-read',
      'create-service-account',
      'create-secret-provider-class',
      'prove-mount',
      'prove-rotation',
    ]);
    expect(over).toMatchObject({ status: 'Succeeded' });
    expect(filesOf(over)).toEqual(OBJECTS.map(({ objectName }) => objectName));
    expect(Object.keys(await classesOf(cluster))).toEqual(['by-workload']);
    const { items } = await kubeApi(cluster).core.listNamespacedPod({ namespace: 'default' });
    expect(items).toEqual([]);
    const rotation = outputsOf(over).find(({ type }) => type === 'prove-rotation');
    expect(rotation).toMatchObject({ from: expect.stringMatching(VERSION), to: expect.stringMatching(VERSION) });
    markers.push(...(await deletedProbe(String(rotation?.['probe']))));
  });

  it('shows in an inspection, with nothing broken, until somebody takes a part of it away', async () => {
    const look = async (): Promise<unknown> => (await people().reader.csi(cluster.resourceId)).classes;
    const whole = { name: 'by-workload', vault, mode: 'workload-identity', madeByKeyturn: true, broken: [] };
    expect(await look()).toMatchObject([whole]);
    const back = await federationGoneByHand('by-workload');
    expect(await look()).toMatchObject([
      { name: 'by-workload', broken: [expect.stringMatching(/no federated credential for the issuer/)] },
    ]);
    await back();
    expect(await look()).toMatchObject([whole]);
  });

  it('asked again keeps what is right, and only shows that it works', async () => {
    const over = await run('connect-csi', { ...workloadIdentity(vault, 'by-workload'), proveRotation: false });
    expect(over.plan?.warnings.map(({ code }) => code)).toContain('RotationNotProven');
    expect(stepsOf(over)).toEqual(['approve', 'create-service-account', 'create-secret-provider-class', 'prove-mount']);
  });

  it('by the identity of the add-on reads a vault with access policies', async () => {
    const over = await run('connect-csi', {
      mode: 'managed-identity',
      vaultId: vaultIdOf(policyVault),
      namespace: 'default',
      secretProviderClass: 'by-add-on',
      objects: [{ ...OBJECTS[0], objectAlias: 'password.txt' }],
    });
    expect(filesOf(over)).toEqual(['password.txt']);
    expect(stepsOf(over)).toContain('prove-rotation');
    expect(over.plan?.warnings.map(({ code }) => code)).toEqual(['EveryPodMayRead']);
  });

  it('by Service Connector lets Azure make connection and rights, which go again also when the pod cannot mount', async () => {
    // A role of before, which a person gave, stays.
    await grantAddOnByHand(cluster, vault);
    const before = [await connectionsOf(cluster), await addOnRolesAt(cluster, vault)];
    expect(before).toEqual([[], [SECRETS_USER]]);
    const asked = await ask('connect-csi', byConnector('half', { objectName: 'no-such', objectType: 'secret' }));
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    await until(requester, asked.id, ({ status }) => status === 'Blocked');
    await requester.cancel(asked.id);
    await ended(requester, asked.id);
    expect(await connectionsOf(cluster)).toEqual(['kv_csi']);
    expect(await addOnRolesAt(cluster, vault)).toHaveLength(2);
    const gone = await run('disconnect-csi', { namespace: 'default', secretProviderClass: 'half' });
    expect(stepsOf(gone)).toEqual(['approve', 'delete-service-connection', 'delete-secret-provider-class']);
    expect([await connectionsOf(cluster), await addOnRolesAt(cluster, vault)]).toEqual(before);

    const over = await run('connect-csi', byConnector('by-connector', OBJECTS[0]));
    expect(stepsOf(over)).toContain('create-service-connection');
    expect(filesOf(over)).toEqual(['db-password']);
  });

  it('refuses a class of the name that says something else, and a vault that is not there', async () => {
    const other = { ...workloadIdentity(vault, 'by-workload'), objects: [OBJECTS[1]] };
    await expect(ask('connect-csi', other)).resolves.toMatchObject({
      status: 'Failed',
      faults: [{ code: 'SecretProviderClassDiffers' }],
    });
    await expect(
      ask('connect-csi', { ...workloadIdentity(vault, 'x1'), vaultId: vaultIdOf('kv-no-such') }),
    ).rejects.toMatchObject({ status: 422, code: 'VaultNotFound' });
  });

  it('is blocked, with the words of the provider, where the vault has no such object', async () => {
    const asked = await ask('connect-csi', {
      ...workloadIdentity(vault, 'by-workload-2'),
      objects: [{ objectName: 'no-such', objectType: 'secret' }],
    });
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    const blocked = await until(requester, asked.id, ({ status }) => status === 'Blocked');
    expect(blocked.reason).toMatchObject({
      code: 'MountFailed',
      detail: expect.stringMatching(/SecretNotFound|no-such/),
    });
    await requester.cancel(asked.id);
    await ended(requester, asked.id);
  });

  it('removes pod, class and probe when it is canceled while it waits for a rotation', async () => {
    await setAddOnByHand(cluster, true, '20m');
    const place = { namespace: 'default', secretProviderClass: 'by-add-on', vaultId: vaultIdOf(policyVault) };
    const objects = [{ ...OBJECTS[0], objectAlias: 'password.txt' }];
    const asked = await ask('connect-csi', { ...place, objects, mode: 'managed-identity' });
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    const waiting = await until(requester, asked.id, ({ progressText }) => RENEWAL.test(progressText));
    await requester.cancel(asked.id);
    expect(await ended(requester, asked.id)).toMatchObject({ status: 'Canceled' });
    const { items } = await kubeApi(cluster).core.listNamespacedPod({ namespace: 'default' });
    expect(items.filter(({ metadata }) => metadata?.deletionTimestamp === undefined)).toEqual([]);
    expect(Object.keys(await classesOf(cluster)).filter((name) => name.startsWith('keyturn-'))).toEqual([]);
    const [, probe = ''] = RENEWAL.exec(waiting.progressText) ?? [];
    markers.push(...(await deletedProbe(probe, policyVault)));
  });

  it('keeps values out of Temporal, answers, logs and evidence', async () => {
    const forms = markers.flatMap((marker) => [marker, Buffer.from(marker).toString('base64').slice(0, 30)]);
    const files = ownFiles();
    expect(files.length).toBeGreaterThan(3);
    for (const { file, text } of files) {
      expect({ file, has: forms.filter((form) => text.includes(form)).length }).toEqual({ file, has: 0 });
    }
    const client = await openTemporal();
    let seen = 0;
    try {
      for await (const { workflowId } of client.workflow.list({ query: "WorkflowType = 'connectCsi'" })) {
        const text = textOf(await client.workflow.getHandle(workflowId).fetchHistory());
        const answer = JSON.stringify(await requester.get(workflowId, 0));
        for (const form of forms) expect([text, answer].map((one) => one.includes(form))).toEqual([false, false]);
        seen += /keyturn-probe-[0-9a-f]{16}/.test(text) ? 1 : 0;
      }
    } finally {
      await client.connection.close();
    }
    // Names of probes are there, so what is searched is readable.
    expect(seen).toBeGreaterThanOrEqual(2);
  });
});

/** A history with its payloads as texts: its JSON has them as base64. */
function textOf(history: unknown): string {
  return JSON.stringify(history, (key, value: unknown) =>
    key === 'data' && typeof value === 'string' ? Buffer.from(value, 'base64').toString() : value,
  );
}

describe('disconnect-csi', () => {
  it('removes nothing while a pod uses it', async () => {
    await kubeApi(cluster).core.createNamespacedPod({
      namespace: 'default',
      body: podOf('app', 'by-workload', 'by-workload'),
    });
    const asked = await ask('disconnect-csi', { namespace: 'default', secretProviderClass: 'by-workload' });
    expect(asked).toMatchObject({ status: 'Failed', faults: [{ code: 'SecretProviderClassInUse' }] });
    await kubeApi(cluster).core.deleteNamespacedPod({ namespace: 'default', name: 'app', gracePeriodSeconds: 0 });
  });

  it('removes what connect-csi made and nothing else, also after a connection that was not finished', async () => {
    for (const name of ['by-workload', 'by-workload-2']) {
      const { identity, serviceAccount } = workloadIdentity(vault, name);
      const over = await run('disconnect-csi', {
        namespace: 'default',
        secretProviderClass: name,
        identity,
        serviceAccount,
      });
      expect(over).toMatchObject({ status: 'Succeeded' });
    }
    const { items } = await kubeApi(cluster).core.listNamespacedServiceAccount({ namespace: 'default' });
    expect(items.map(({ metadata }) => metadata?.name)).toEqual(['default']);
    expect(Object.keys(await classesOf(cluster)).sort()).toEqual(['by-add-on', 'by-connector']);
  });

  it('turns the add-on off when no class is left', async () => {
    const refused = await ask('disconnect-csi', {
      namespace: 'default',
      secretProviderClass: 'by-add-on',
      disableAddOn: true,
    });
    expect(refused).toMatchObject({ status: 'Failed', faults: [{ code: 'SecretProviderClassInUse' }] });
    await run('disconnect-csi', { namespace: 'default', secretProviderClass: 'by-add-on' });
    const over = await run('disconnect-csi', {
      namespace: 'default',
      secretProviderClass: 'by-connector',
      disableAddOn: true,
    });
    expect(stepsOf(over)).toEqual([
      'approve',
      'delete-service-connection',
      'delete-secret-provider-class',
      'disable-secrets-provider',
    ]);
    expect(await connectionsOf(cluster)).toEqual([]);
    // The cluster still knows the kind: nothing removes the definitions, with which all classes would go.
    expect(await classesOf(cluster)).toEqual({});
  });
});

describe('connect-csi with a private vault', () => {
  const closed = 'kv-csi-private';
  const byAddOn = {
    mode: 'managed-identity',
    vaultId: vaultIdOf(closed),
    namespace: 'default',
    secretProviderClass: 'private-add-on',
    objects: [OBJECTS[0]],
  };
  const warned = ({ plan }: OperationAnswer): string =>
    plan?.warnings.find(({ code }) => code === 'VaultNotOpenToNodes')?.detail ?? '';
  let endpointGone: () => Promise<void>;

  beforeAll(async () => {
    await makeVaultByHand(closed, 'rbac');
    await fillVaultByHand(closed, MARKER);
    await setVaultAccessByHand(closed, 'Private');
  });

  it('is blocked, with the network as the cause, by an endpoint that the nodes do not reach, and goes on when they have one', async () => {
    const elsewhereGone = await makeEndpointByHand(cluster, closed, 'elsewhere');
    const asked = await ask('connect-csi', byAddOn);
    expect(warned(asked)).toMatch(/in the network elsewhere, which is not that of the nodes: .*peering/);
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    const blocked = await until(requester, asked.id, ({ status }) => status === 'Blocked');
    expect(blocked.reason).toMatchObject({
      code: 'MountFailed',
      detail: expect.stringMatching(
        /ForbiddenByConnection\)\. The cause is the network: .*privatelink\.vaultcore\.azure\.net/,
      ),
    });
    endpointGone = await makeEndpointByHand(cluster, closed, 'nodes');
    await elsewhereGone();
    await requester.retry(asked.id);
    const over = await ended(requester, asked.id);
    expect(over.status).toBe('Succeeded');
  });

  it('by the other ways in a pod sees what the vault has, which Keyturn cannot reach', async () => {
    const byConnector = { ...byAddOn, mode: 'service-connector', secretProviderClass: 'private-connector' };
    for (const parameters of [byConnector, workloadIdentity(closed, 'private-workload')]) {
      const over = await run('connect-csi', parameters);
      expect(warned(over)).toMatch(/its private endpoint kv-csi-private-nodes, in their network/);
      expect(filesOf(over)).toHaveLength((parameters['objects'] as unknown[]).length);
    }
  });

  it('says when the endpoint is gone: in an inspection, and by a refusal that names it', async () => {
    const look = async (): Promise<unknown> => (await people().reader.csi(cluster.resourceId)).classes;
    const names = ['private-add-on', 'private-connector', 'private-workload'];
    const seen = names.map((name) => ({ name, lineOfSight: 'seen', broken: [] }));
    expect(await look()).toMatchObject(seen);
    await endpointGone();
    const broken = [
      expect.stringMatching(/address is closed, and it has no private endpoint\. Make a private endpoint/),
    ];
    expect(await look()).toMatchObject(seen.map((one) => ({ ...one, lineOfSight: 'missing', broken })));
    await expect(ask('connect-csi', byAddOn)).rejects.toMatchObject({ status: 422, code: 'VaultNotReachedByNodes' });
  });
});
