/**
 * The Kubernetes side of connecting pods with a vault, on one real cluster with the secrets provider and one local Azure: what is inside is
 * seen, parts are made and removed once, and a pod compares what it mounts with the vault. The tests build on each other.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createFederatedCredential } from '../../activities/csi/federated-credential';
import { readCsiInside } from '../../activities/csi/inside';
import { changeKubernetesPart, type KubernetesPart } from '../../activities/csi/kubernetes-parts';
import { proveMount } from '../../activities/csi/mount';
import { mountProgramText, type MountEnvironment } from '../../activities/csi/mount-program';
import { proveRotation, removeRotation } from '../../activities/csi/rotation';
import { connectKubernetes, type KubeConnection } from '../../activities/kubernetes/connection';
import { createAzureAccess, type AzureAccess } from '../../azure/access';
import type { CsiObject } from '../../domain/csi/objects';
import type { StepOf } from '../../domain/plan/steps';
import { createCluster } from '../../sandbox/cluster/cluster';
import { TokenRefused, type PodTokens, type SandboxNode } from '../../sandbox/cluster/node/contract';
import { installSecretsProvider } from '../../sandbox/cluster/node/install';
import { startSandboxNode } from '../../sandbox/cluster/node/node';
import { PUBLIC_CLOUD } from '../azure/support';
import { GROUP, TestAzure } from '../sandbox/azure-support';
import { eventually, temporaryDirectory } from '../sandbox/cluster-support';
import { testRunning, type TestRunning } from './cluster-support';

const VAULT = 'kv-mount-1';
const ROLES = ['4633458b-17de-408a-b874-0445c86b69e6', 'db79e9a7-68ee-4b58-9aeb-b90e7c24fcba'];
const OPERATION = 'op-0123456789abcdef';
const PODS = '/api/v1/namespaces/default/pods';
const CREDENTIAL_VARIABLES = ['AZURE_TENANT_ID', 'AZURE_CLIENT_ID', 'AZURE_CLIENT_SECRET'] as const;
const LIMITS = { startsWithinMs: 120_000, mountsWithinMs: 0, everyMs: 50 };
const DRIVER = { rotation: false };

const OBJECTS: CsiObject[] = [
  { objectName: 's1', objectType: 'secret', objectAlias: 'password', filePermission: '0400' },
  { objectName: 's1', objectType: 'secret', objectAlias: 'history', objectVersionHistory: 2 },
  { objectName: 'hexed', objectType: 'secret', objectEncoding: 'hex' },
  { objectName: 'c1', objectType: 'secret', objectAlias: 'tls.pem' },
  { objectName: 'c1', objectType: 'secret', objectAlias: 'tls.pfx', objectFormat: 'pfx', objectEncoding: 'base64' },
  { objectName: 'c1', objectType: 'cert', objectAlias: 'tls.crt' },
  { objectName: 'c1', objectType: 'key', objectAlias: 'tls.pub' },
];

describe('a connection inside a cluster', () => {
  let azure: TestAzure;
  let access: AzureAccess;
  let cluster: string;
  let kubeconfig: string;
  let connection: KubeConnection;
  let node: SandboxNode;
  let vaultId: string;
  let pods: { identityId: string; principalId: string };
  const { signal } = new AbortController();

  beforeAll(async () => {
    azure = await TestAzure.start(createCluster);
    const { tenantId, clientId, clientSecret, subscriptionId, proxyUrl } = azure.sandbox;
    const values = [tenantId, clientId, clientSecret];
    for (const [index, name] of CREDENTIAL_VARIABLES.entries()) process.env[name] = values[index];
    access = createAzureAccess(PUBLIC_CLOUD);
    const { identityId, ...vault } = await azure.provision(VAULT);
    ({ vaultId } = vault);
    pods = await azure.identity('id-pods');
    await azure.containers.managedClusters.createOrUpdate(
      GROUP,
      'c1',
      { ...azure.clusterParameters(identityId), oidcIssuerProfile: { enabled: true } },
      { updateIntervalInMs: 20 },
    );
    cluster = `/subscriptions/${subscriptionId}${azure.clusterPath('c1')}`;
    kubeconfig = await access.clusters.adminKubeconfig(cluster, {});
    connection = connectKubernetes(kubeconfig, 8);
    const podTokens: PodTokens = {
      async exchange(assertion, { clientId: client_id, resource, loginHost, tenantId: tenant }) {
        const url = `https://${loginHost}/${tenant}/oauth2/v2.0/token`;
        const client_assertion_type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
        const scope = `${resource}/.default`;
        const form = { client_id, scope, grant_type: 'client_credentials', client_assertion_type };
        const answer = await azure.raw('POST', url, { form: { ...form, client_assertion: assertion } });
        if (answer.status !== 200) throw new TokenRefused(`POST ${url}`, answer.status, JSON.stringify(answer.body));
        return String(answer.body['access_token']);
      },
    };
    node = await startSandboxNode({
      cluster: { adminKubeconfig: kubeconfig },
      directory: await temporaryDirectory(),
      azure: { proxyUrl, caFile: String(process.env['NODE_EXTRA_CA_CERTS']) },
      podTokens,
      instanceTokens: { tokenFor: () => Promise.reject(new TokenRefused('GET IMDS', 400, '{}')) },
      mountRetryLimitInMs: 500,
    });
    for (const value of ['one', 'two', 'three']) await azure.vault('PUT', VAULT, '/secrets/s1', { body: { value } });
    await azure.vault('PUT', VAULT, '/secrets/hexed', { body: { value: '6869' } });
    const policy = { secret_props: { contentType: 'application/x-pkcs12' }, x509_props: { subject: 'CN=pods' } };
    await azure.vault('POST', VAULT, '/certificates/c1/create', { body: { policy } });
    await eventually(async () => (await azure.vault('GET', VAULT, '/certificates/c1')).status === 200);
  });
  afterAll(async () => {
    await node?.close();
    await connection?.close();
    for (const name of CREDENTIAL_VARIABLES) delete process.env[name];
    await azure?.stop();
  });

  const work = <Step>(step: Step, running: TestRunning = testRunning()) => ({
    ...running,
    step,
    cluster,
    operationId: OPERATION,
    inside: <T>(inside: (one: KubeConnection) => Promise<T>): Promise<T> => inside(connection),
  });
  const change = <Type extends KubernetesPart>(type: Type, members: object): Promise<{ changed: boolean }> =>
    changeKubernetesPart(access, work({ id: type, type, title: '', reason: '', ...members } as never));
  const identity = () => ({ from: 'resource', identityId: pods.identityId });
  const account = (members: object = {}): Promise<{ changed: boolean }> =>
    change('create-service-account', {
      namespace: 'default',
      name: 'web',
      identity: identity(),
      tenantId: azure.sandbox.tenantId,
      exists: false,
      ...members,
    });
  const providerClass = (members: object = {}): Promise<{ changed: boolean }> =>
    change('create-secret-provider-class', {
      namespace: 'default',
      name: 'kv',
      vaultName: VAULT,
      tenantId: azure.sandbox.tenantId,
      cloudName: 'AzurePublicCloud',
      access: 'workload-identity',
      identity: identity(),
      objects: OBJECTS,
      exists: false,
      ...members,
    });
  const step = (): StepOf<'prove-mount'> => ({
    id: 'prove-mount',
    type: 'prove-mount',
    title: '',
    reason: '',
    namespace: 'default',
    class: 'kv',
    access: 'workload-identity',
    serviceAccount: 'web',
    vaultId,
    objects: OBJECTS,
    image: 'node:20',
  });
  const inside = () => readCsiInside(connection, { namespace: 'default', serviceAccount: 'web' }, signal);
  const failure = (one: Promise<unknown>): Promise<unknown> => one.catch((error: unknown) => error);
  const post = (path: string, body: object): Promise<unknown> => connection.request({ method: 'POST', path, body });
  const podsLeft = async (): Promise<number> =>
    ((await connection.request({ method: 'GET', path: PODS })) as { items: unknown[] }).items.length;

  it('sees nothing where the driver never was, and waits for the kind that the add-on brings', async () => {
    const missing = [
      'The cluster does not know the kind SecretProviderClass (CustomResourceDefinition secretproviderclasses.secrets-store.csi.x-k8s.io).',
      'The cluster has no CSIDriver secrets-store.csi.k8s.io.',
      'The cluster has no daemon set kube-system/aks-secrets-store-csi-driver.',
      'The cluster has no daemon set kube-system/aks-secrets-store-provider-azure.',
    ];
    const nothing = { namespaceFound: true, classes: [], otherInstallations: [], notReady: [] };
    expect(await inside()).toEqual({ ...nothing, missing });
    expect(await readCsiInside(connection, { namespace: 'nowhere' }, signal)).toMatchObject({ namespaceFound: false });
    expect(await failure(providerClass())).toMatchObject({ type: 'ClusterUnavailable', nonRetryable: false });
    await installSecretsProvider({ adminKubeconfig: kubeconfig }, DRIVER);
    node.setDriver(DRIVER);
    expect(await inside()).toEqual(nothing);
  });

  it('makes service account and class once, and keeps those of others as they are', async () => {
    await post('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'theirs' } });
    expect([await account(), await account(), await account({ name: 'theirs' })]).toEqual([
      { changed: true },
      { changed: false },
      { changed: true },
    ]);
    const seen = await readCsiInside(connection, { namespace: 'default', serviceAccount: 'theirs' }, signal);
    expect(seen.serviceAccount).toMatchObject({ ours: false, tenantId: azure.sandbox.tenantId });
    expect([await providerClass(), await providerClass()]).toEqual([{ changed: true }, { changed: false }]);
    const [one] = (await inside()).classes;
    expect(one).toMatchObject({ namespace: 'default', name: 'kv', ours: true, problems: [], pods: [] });
    const looked = await readCsiInside(connection, { namespace: 'default', accounts: true }, signal);
    expect(looked.accounts).toEqual(['default/theirs', 'default/web']);
    expect(one?.content?.objects).toEqual(OBJECTS);

    // Which connection is about to be made, in a class of Keyturn's only.
    const made = { name: 'kv_app', vaultId };
    expect([await providerClass({ connection: made }), await providerClass({ connection: made })]).toEqual([
      { changed: true },
      { changed: false },
    ]);
    expect((await inside()).classes[0]?.connection).toMatchObject({
      ...made,
      since: expect.stringMatching(/Z$/),
    });

    const other = await azure.identity('id-other');
    const otherIdentity = { identity: { from: 'resource', identityId: other.identityId } };
    for (const refused of [
      account(otherIdentity),
      providerClass(otherIdentity),
      providerClass({ name: 'gone', exists: true }),
    ]) {
      expect(await failure(refused)).toMatchObject({ type: 'ConnectionNotAsApproved', nonRetryable: true });
    }
    expect(await failure(change('delete-service-account', { namespace: 'default', name: 'theirs' }))).toMatchObject({
      type: 'ConnectionNotAsApproved',
      message: expect.stringContaining('Keyturn did not make the service account default/theirs'),
    });
  });

  it('says in the words of the provider why a pod cannot mount: no federated credential, then no right; and removes the pod', async () => {
    expect(await failure(proveMount(access, work(step()), LIMITS))).toMatchObject({
      type: 'MountFailed',
      nonRetryable: true,
      message: expect.stringMatching(/failed to get objectType:secret, objectName:s1.*invalid_client, AADSTS70025/),
    });
    const subject = 'system:serviceaccount:default:web';
    await createFederatedCredential(access, { cluster, identityId: pods.identityId, name: 'web', subject }, signal);
    await eventually(async () => (await podsLeft()) === 0);
    expect(await failure(proveMount(access, work(step()), LIMITS))).toMatchObject({
      type: 'MountFailed',
      message: expect.stringMatching(/objectName:s1.*\(HTTP 403, Forbidden, ForbiddenByRbac\)/),
    });
    await eventually(async () => (await podsLeft()) === 0);
  });

  it('has a pod compare every kind of object with the vault, and removes it', async () => {
    for (const role of ROLES) await azure.grant(vaultId, role, pods.principalId);
    const running = testRunning();
    const { files } = await proveMount(access, work(step(), running), { ...LIMITS, mountsWithinMs: 60_000 });
    expect(files.map(({ file }) => file)).toEqual([
      'password',
      ...['history/0', 'history/1', 'history/2'],
      ...['hexed', 'tls.pem', 'tls.pfx', 'tls.crt', 'tls.pub'],
    ]);
    expect(files[0]).toMatchObject({ objectName: 's1', objectType: 'secret' });
    expect(files.every(({ version }) => /^[0-9a-f]{32}$/.test(version))).toBe(true);
    expect(JSON.stringify(running.heartbeats)).toMatch(/the pod default\/keyturn-mount-[0-9a-f]{16}/);
    await eventually(async () => (await podsLeft()) === 0);
  });

  it('removes the pod after a cancellation too', async () => {
    node.setDriver(undefined);
    const running = testRunning();
    const proving = failure(proveMount(access, work(step(), running), { ...LIMITS, mountsWithinMs: 60_000 }));
    await eventually(async () => (await podsLeft()) === 1);
    running.abort(new Error('canceled'));
    expect(await proving).toMatchObject({ message: 'canceled' });
    await eventually(async () => (await podsLeft()) === 0);
    node.setDriver(DRIVER);
  });

  const rotation = (attempt: number, probe: 'secret' | 'key' = 'secret', running: TestRunning = testRunning()) => {
    const { objects: _, ...place } = step();
    const planned = { ...place, id: 'prove-rotation', type: 'prove-rotation', probe, pollInterval: '1s' } as const;
    return { ...work<StepOf<'prove-rotation'>>(planned, running), attempt };
  };
  const probeVersions = async (collection: string, name: string): Promise<{ id?: string; kid?: string }[]> =>
    (await azure.vault('GET', VAULT, `/${collection}/${name}/versions`)).body['value'] as { id?: string }[];
  const limits = { ...LIMITS, mountsWithinMs: 60_000, marginInMs: 60_000 };

  it.each([
    ['secret', 'secrets', 'deletedsecrets', 1],
    ['key', 'keys', 'deletedkeys', 2],
  ] as const)(
    'proves with a %s of its own that a mounted file follows the vault, also when a try is repeated, and removes all of it',
    async (probe, collection, deleted, attempt) => {
      const rotates = { rotation: true, pollIntervalInMs: 500 };
      node.setDriver(rotates);
      const running = testRunning();
      const proven = await proveRotation(access, rotation(attempt, probe, running), limits);
      expect(JSON.stringify(running.heartbeats)).toMatch(/the driver to renew the file of keyturn-probe-[0-9a-f]{16}/);
      // The answer to the first try may be lost: what it made is found.
      expect(await proveRotation(access, rotation(attempt, probe), limits)).toEqual(proven);
      const ids = (await probeVersions(collection, proven.probe)).map(({ id, kid }) => id ?? kid ?? '');
      expect(ids.map((id) => id.split('/').at(-1))).toEqual([proven.from, proven.to]);

      for (const _try of [1, 2]) await removeRotation(access, rotation(attempt, probe));
      await eventually(async () => (await podsLeft()) === 0);
      expect((await inside()).classes.map(({ name }) => name)).toEqual(['kv']);
      expect((await azure.vault('GET', VAULT, `/${deleted}/${proven.probe}`)).status).toBe(200);
      expect((await azure.vault('GET', VAULT, `/${collection}/${proven.probe}`)).status).toBe(404);
      node.setDriver(DRIVER);
    },
  );

  it('names the right that is missing where the vault does not take the probe', async () => {
    azure.sandbox.faults.set('vault-forbidden', { permission: 'list', path: VAULT });
    expect(await failure(proveRotation(access, rotation(3, 'key'), limits))).toMatchObject({
      type: 'RotationProbeRefused',
      nonRetryable: true,
      message: expect.stringMatching(/Key Vault Crypto Officer.*proveRotation false/),
    });
    azure.sandbox.faults.clear('vault-forbidden');
  });

  it('is blocked with the cause where the identity loses its right after the mount', async () => {
    const running = testRunning();
    // Renews nothing yet: the right must be gone before the second version is read.
    const failing = failure(proveRotation(access, rotation(4, 'secret', running), { ...limits, marginInMs: 1_000 }));
    await eventually(async () => /to renew the file/.test(JSON.stringify(running.heartbeats)));
    const back = await rolesGone();
    node.setDriver({ rotation: true, pollIntervalInMs: 500 });
    expect(await failing).toMatchObject({
      type: 'RotationFailed',
      nonRetryable: true,
      message: expect.stringMatching(/the identity could not read the vault for 3 s after that: ForbiddenByRbac/),
    });
    await removeRotation(access, rotation(4));
    await eventually(async () => (await podsLeft()) === 0);
    node.setDriver(DRIVER);
    await back();
  });

  /** @returns gives the roles again */
  const rolesGone = async (): Promise<() => Promise<void>> => {
    const list = `${vaultId.slice(`/subscriptions/${azure.sandbox.subscriptionId}`.length)}/providers/Microsoft.Authorization/roleAssignments`;
    const { value } = (await azure.arm('GET', list)).body as {
      value: { name: string; properties: { principalId: string; roleDefinitionId: string } }[];
    };
    for (const { name, properties } of value) {
      if (properties.principalId === pods.principalId) await azure.arm('DELETE', `${list}/${name}`);
    }
    return async () => {
      for (const role of ROLES) await azure.grant(vaultId, role, pods.principalId);
    };
  };

  it('finds each file that differs, and reports no value', async () => {
    const directory = await temporaryDirectory();
    await mkdir(join(directory, 'history'));
    await writeFile(join(directory, 'password'), 'another');
    for (const name of ['0', '1']) await writeFile(join(directory, 'history', name), 'another');
    for (const { objectAlias, objectName } of OBJECTS.slice(2)) {
      await writeFile(join(directory, objectAlias ?? objectName), 'another');
    }
    // Stands for the metadata service of a node.
    const token = await azure.token('https://vault.azure.net');
    const server = createServer((_, response) => response.end(JSON.stringify({ access_token: token })));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const env: MountEnvironment & NodeJS.ProcessEnv = {
      KEYTURN_OBJECTS: JSON.stringify(OBJECTS),
      KEYTURN_MOUNT: directory,
      KEYTURN_VAULT: `https://${VAULT}.vault.azure.net`,
      KEYTURN_REPORT: join(directory, 'report'),
      KEYTURN_TOKEN: '',
      AZURE_CLIENT_ID: '',
      AZURE_TENANT_ID: '',
      AZURE_AUTHORITY_HOST: '',
      AZURE_POD_IDENTITY_AUTHORITY_HOST: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      HTTPS_PROXY: azure.sandbox.proxyUrl,
      NODE_EXTRA_CA_CERTS: process.env['NODE_EXTRA_CA_CERTS'],
    };
    const exit = await new Promise<unknown>((resolve) => {
      execFile(process.execPath, ['-e', mountProgramText()], { env }, (error, stdout, stderr) =>
        resolve([error?.code, stdout, stderr]),
      );
    });
    server.close();
    expect(exit).toEqual([1, '', '']);
    const text = await readFile(join(directory, 'report'), 'utf8');
    const { files } = JSON.parse(text) as { files: [number, number, string, string][] };
    expect(files.map(([index, at, , word]) => `${index} ${at} ${word}`)).toEqual(
      ['0 -1', '1 0', '1 1', '2 -1', '3 -1', '4 -1', '5 -1', '6 -1'].map((place) => `${place} differs`),
    );
    expect(text).not.toMatch(/another|three|6869|eyJ/);
  });

  it('removes what it made when no pod uses it, and names the pods that do', async () => {
    await post(PODS, {
      metadata: { name: 'app' },
      spec: {
        serviceAccountName: 'web',
        containers: [{ name: 'app', image: 'app' }],
        // A name that no node has: the pod stays as it is.
        nodeName: 'elsewhere',
        volumes: [
          {
            name: 'files',
            csi: {
              driver: 'secrets-store.csi.k8s.io',
              readOnly: true,
              volumeAttributes: { secretProviderClass: 'kv' },
            },
          },
        ],
      },
    });
    expect((await inside()).classes).toMatchObject([{ name: 'kv', pods: ['default/app'] }]);
    const removals = ['delete-secret-provider-class', 'delete-service-account'] as const;
    const names = { 'delete-secret-provider-class': 'kv', 'delete-service-account': 'web' };
    const remove = (type: (typeof removals)[number]): Promise<{ changed: boolean }> =>
      change(type, { namespace: 'default', name: names[type] });
    for (const type of removals) {
      expect(await failure(remove(type))).toMatchObject({
        type: 'ConnectionNotAsApproved',
        message: expect.stringContaining('by now: default/app.'),
      });
    }
    await connection.request({ method: 'DELETE', path: `${PODS}/app?gracePeriodSeconds=0` });
    for (const type of removals) {
      expect([await remove(type), await remove(type)]).toEqual([{ changed: true }, { changed: false }]);
    }
  });

  it('tells a driver of Helm from the add-on, and daemon sets that are not ready', async () => {
    const labels = { app: 'secrets-store-csi-driver' };
    const template = { metadata: { labels }, spec: { containers: [{ name: 'secrets-store', image: 'driver' }] } };
    await post('/apis/apps/v1/namespaces/default/daemonsets', {
      metadata: { name: 'csi-secrets-store', labels },
      spec: { selector: { matchLabels: labels }, template },
    });
    await connection.request({
      method: 'PATCH',
      path: '/apis/apps/v1/namespaces/kube-system/daemonsets/aks-secrets-store-csi-driver/status',
      contentType: 'application/merge-patch+json',
      body: { status: { numberReady: 0 } },
    });
    expect(await inside()).toMatchObject({
      otherInstallations: ['default/csi-secrets-store'],
      notReady: ['The daemon set kube-system/aks-secrets-store-csi-driver is ready on 0 of 1 nodes.'],
    });
  });
});
