/**
 * A node with the Secrets Store CSI driver, on one real cluster and one local Azure: what it mounts, as whom, what it says
 * when it cannot, and the commands that it runs. Each test has a namespace's worth of names of its own.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Exec, KubeConfig, type V1Status } from '@kubernetes/client-node';
import { createHash, X509Certificate } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { decodeJwt } from 'jose';
import { createCluster } from '../../sandbox/cluster/cluster';
import type { SandboxCluster } from '../../sandbox/cluster/contract';
import { TokenRefused, type PodTokens } from '../../sandbox/cluster/node/contract';
import type { JsonObject } from '../../sandbox/cluster/node/json';
import { createKubeClient, type KubeClient } from '../../sandbox/cluster/node/kube-client';
import { createNodeSides, type NodeFeaturesSeen, type NodeSides } from '../../sandbox/node-sides';
import type { SandboxApplication } from '../../sandbox/sandbox';
import { TestAzure } from './azure-support';
import { createMemoryVault, eventually, temporaryDirectory } from './cluster-support';

const VAULT = 'kv-node-1';
const SECRETS_USER = '4633458b-17de-408a-b874-0445c86b69e6';
const CERTIFICATE_USER = 'db79e9a7-68ee-4b58-9aeb-b90e7c24fcba';
const PODS = '/api/v1/namespaces/default/pods';
const CLASSES = '/apis/secrets-store.csi.x-k8s.io/v1/namespaces/default/secretproviderclasses';
const POD_STATUSES = '/apis/secrets-store.csi.x-k8s.io/v1/namespaces/default/secretproviderclasspodstatuses';

/** Writes name, mode and hash of each file of the volume as the termination message. */
const REPORT = `
  const fs = require('node:fs'), path = require('node:path'), crypto = require('node:crypto');
  const root = fs.realpathSync(process.env.MOUNT + '/..data');
  const files = fs.readdirSync(root, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  const report = Object.fromEntries(files.map((file) => {
    const name = path.join(file.parentPath, file.name);
    const hash = crypto.createHash('sha256').update(fs.readFileSync(name)).digest('hex').slice(0, 16);
    return [path.relative(root, name), (fs.statSync(name).mode & 0o777).toString(8) + ' ' + hash];
  }));
  fs.writeFileSync(process.env.REPORT, JSON.stringify(report));`;
const hashOf = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex').slice(0, 16);

describe('a node with the secrets provider', () => {
  let azure: TestAzure;
  let cluster: SandboxCluster;
  let kube: KubeClient;
  let nodes: NodeSides;
  let nodeDirectory: string;
  let vaultId: string;
  let reader: SandboxApplication;
  let stranger: SandboxApplication;
  const exchanged: { subject?: string; audience?: unknown; clientId: string }[] = [];

  /** Stands for Entra, which knows the federated credentials: here every identity trusts every account. */
  const podTokens: PodTokens = {
    async exchange(assertion, { clientId, resource, loginHost, tenantId }) {
      const { sub, aud } = decodeJwt(assertion);
      exchanged.push({ subject: sub, audience: aud, clientId });
      if (clientId === reader.clientId) return azure.token(resource, reader);
      const body = '{"error":"unauthorized_client","error_description":"AADSTS700016: Application not found"}';
      throw new TokenRefused(`POST https://${loginHost}/${tenantId}/oauth2/v2.0/token`, 400, body);
    },
  };

  beforeAll(async () => {
    azure = await TestAzure.start();
    ({ vaultId } = await azure.provision(VAULT));
    reader = azure.sandbox.registerApplication('reader');
    stranger = azure.sandbox.registerApplication('stranger');
    for (const role of [SECRETS_USER, CERTIFICATE_USER]) await azure.grant(vaultId, role, reader.objectId);
    cluster = await createCluster({
      name: 'aks-node',
      kubernetesMinor: '1.34',
      encryption: { write: 'identity', slots: [] },
      crypto: createMemoryVault(),
      directory: await temporaryDirectory(),
    });
    kube = createKubeClient(cluster);
    nodeDirectory = await temporaryDirectory();
    nodes = createNodeSides({
      directory: nodeDirectory,
      azure: { proxyUrl: azure.sandbox.proxyUrl, caFile: String(process.env['NODE_EXTRA_CA_CERTS']) },
      tenantId: azure.sandbox.tenantId,
      podTokens,
      instanceIdentities: {
        async tokenFor(_clusterId, { clientId }, resource) {
          const identity = [reader, stranger].find((one) => one.clientId === clientId);
          if (identity !== undefined) return { access_token: await azure.token(resource, identity) };
          const body = { error: 'invalid_request', error_description: 'Identity not found' };
          throw Object.assign(new Error(body.error), { status: 400, toBody: () => body });
        },
      },
      mountRetryLimitInMs: 500,
    });
    await nodes.apply(features({ enableSecretRotation: true, rotationPollInterval: '1s' }));
  });
  afterAll(async () => {
    await nodes?.close();
    await kube?.close();
    await cluster?.destroy();
    await azure?.stop();
  });

  const features = (secretsProvider: NodeFeaturesSeen['secretsProvider']): NodeFeaturesSeen => ({
    clusterId: '/subscriptions/s/aks-node',
    running: cluster,
    secretsProvider,
    workloadIdentity: true,
    loginHost: 'login.microsoftonline.com',
    ends: false,
  });
  const setSecret = async (name: string, value: string): Promise<string> => {
    const { body } = await azure.vault('PUT', VAULT, `/secrets/${name}`, { body: { value } });
    return String(body['id']).split('/').at(-1) ?? '';
  };
  const makeClass = (
    name: string,
    objects: readonly object[],
    parameters: Record<string, string> = { useVMManagedIdentity: 'true', userAssignedIdentityID: reader.clientId },
    spec: object = {},
  ): Promise<unknown> => {
    const array = objects.map((object) => JSON.stringify(object));
    const common = { keyvaultName: VAULT, tenantId: azure.sandbox.tenantId, objects: JSON.stringify({ array }) };
    return kube.create(CLASSES, {
      apiVersion: 'secrets-store.csi.x-k8s.io/v1',
      kind: 'SecretProviderClass',
      metadata: { name },
      spec: { provider: 'azure', parameters: { ...common, ...parameters }, ...spec },
    });
  };
  const makePod = (
    name: string,
    command: readonly string[],
    { className = name, labels = {}, ...spec }: { className?: string; labels?: object; [member: string]: unknown } = {},
  ): Promise<unknown> =>
    kube.create(PODS, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels },
      spec: {
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: 'test',
            image: 'sandbox',
            command,
            env: [
              { name: 'MOUNT', value: '/mnt/secrets-store' },
              { name: 'REPORT', value: '/dev/termination-log' },
            ],
            volumeMounts: [{ name: 'secrets', mountPath: '/mnt/secrets-store', readOnly: true }],
          },
        ],
        volumes: [
          {
            name: 'secrets',
            csi: {
              driver: 'secrets-store.csi.k8s.io',
              readOnly: true,
              volumeAttributes: { secretProviderClass: className },
            },
          },
        ],
        ...spec,
      },
    });
  interface PodStatus {
    readonly phase: string;
    readonly containerStatuses?: { state: { terminated?: { exitCode: number; message?: string } } }[];
  }
  const statusOf = async (name: string): Promise<PodStatus> =>
    (await kube.get(`${PODS}/${name}`))['status'] as PodStatus;
  const phaseOf = async (name: string): Promise<string> => (await statusOf(name)).phase;
  /** The termination message of a pod that ends well. */
  const endOf = async (name: string): Promise<string> => {
    await eventually(async () => ['Succeeded', 'Failed'].includes(await phaseOf(name)), 60_000);
    const terminated = (await statusOf(name)).containerStatuses?.[0]?.state.terminated;
    expect(terminated?.exitCode).toBe(0);
    return terminated?.message ?? '';
  };
  const failedMounts = async (name: string): Promise<string[]> => {
    const { items } = await kube.get('/api/v1/namespaces/default/events');
    return (items as { involvedObject: { name: string }; reason: string; message: string }[])
      .filter((event) => event.involvedObject.name === name && event.reason === 'FailedMount')
      .map(({ message }) => message);
  };
  const failedMount = async (name: string): Promise<string> => {
    await eventually(async () => (await failedMounts(name)).length > 0, 60_000);
    return (await failedMounts(name)).at(-1) ?? '';
  };

  /** `kubectl exec`: what the command said, and how it ended. */
  const execute = async (
    pod: string,
    command: readonly string[],
    stdin?: string,
  ): Promise<{ stdout: string; stderr: string; status: V1Status }> => {
    const config = new KubeConfig();
    config.loadFromString(cluster.adminKubeconfig);
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const texts = Promise.all([text(stdout), text(stderr)]);
    const input = stdin === undefined ? null : Readable.from([stdin]);
    const status = await new Promise<V1Status>((resolve, reject) => {
      new Exec(config)
        .exec('default', pod, 'test', [...command], stdout, stderr, input, false, resolve)
        .catch((error: unknown) => reject(new Error((error as { message: string }).message)));
    });
    stdout.end();
    stderr.end();
    const [out, err] = await texts;
    return { stdout: out, stderr: err, status };
  };

  it('has the objects of the add-on: definitions, CSIDriver, ready daemon sets', async () => {
    const driver = await kube.get('/apis/storage.k8s.io/v1/csidrivers/secrets-store.csi.k8s.io');
    expect(driver['spec']).toMatchObject({
      requiresRepublish: true,
      tokenRequests: [{ audience: 'api://AzureADTokenExchange' }],
    });
    const selector = encodeURIComponent('app in (secrets-store-csi-driver,secrets-store-provider-azure)');
    const { items } = await kube.get(`/apis/apps/v1/namespaces/kube-system/daemonsets?labelSelector=${selector}`);
    expect((items as JsonObject[]).map((item) => [(item['metadata'] as JsonObject)['name'], item['status']])).toEqual([
      ['aks-secrets-store-csi-driver', expect.objectContaining({ numberReady: 1, desiredNumberScheduled: 1 })],
      ['aks-secrets-store-provider-azure', expect.objectContaining({ numberReady: 1, desiredNumberScheduled: 1 })],
    ]);
  });

  it('mounts objects of each type by alias, version, history, encoding and format, and runs the command on them', async () => {
    const versions = [await setSecret('s1', 'one'), await setSecret('s1', 'two'), await setSecret('s1', 'three')];
    await setSecret('hexed', '6869');
    const policy = { secret_props: { contentType: 'application/x-pkcs12' }, x509_props: { subject: 'CN=node' } };
    await azure.vault('POST', VAULT, '/certificates/c1/create', { body: { policy } });
    await eventually(async () => (await azure.vault('GET', VAULT, '/certificates/c1')).status === 200);
    await makeClass('types', [
      { objectName: 's1', objectType: 'secret' },
      {
        objectName: 's1',
        objectType: 'secret',
        objectAlias: 'old',
        objectVersion: versions[0],
        filePermission: '0600',
      },
      { objectName: 's1', objectType: 'secret', objectAlias: 'history', objectVersionHistory: 2 },
      { objectName: 'hexed', objectType: 'secret', objectEncoding: 'hex' },
      { objectName: 'c1', objectType: 'key', objectAlias: 'c1.key' },
      { objectName: 'c1', objectType: 'cert', objectAlias: 'c1.crt' },
      { objectName: 'c1', objectType: 'secret', objectAlias: 'c1.pem' },
      { objectName: 'c1', objectType: 'secret', objectAlias: 'c1.pfx', objectFormat: 'pfx' },
    ]);
    await makePod('types', ['node', '-e', REPORT]);
    const report = JSON.parse(await endOf('types')) as Record<string, string>;

    const { cer } = (await azure.vault('GET', VAULT, '/certificates/c1')).body as { cer: string };
    const leaf = new X509Certificate(Buffer.from(cer, 'base64'));
    const pfx = String((await azure.vault('GET', VAULT, '/secrets/c1')).body['value']);
    expect(report).toEqual({
      s1: `644 ${hashOf('three')}`,
      old: `600 ${hashOf('one')}`,
      'history/0': `644 ${hashOf('three')}`,
      'history/1': `644 ${hashOf('two')}`,
      'history/2': `644 ${hashOf('one')}`,
      hexed: `644 ${hashOf('hi')}`,
      'c1.key': `644 ${hashOf(leaf.publicKey.export({ format: 'pem', type: 'spki' }))}`,
      'c1.crt': `644 ${hashOf(leaf.toString())}`,
      'c1.pem': expect.any(String),
      'c1.pfx': `644 ${hashOf(pfx)}`,
    });
    const { status } = (await kube.get(`${POD_STATUSES}/types-default-types`)) as { status: { objects: object[] } };
    expect(status).toMatchObject({ podName: 'types', mounted: true, secretProviderClassName: 'types' });
    expect(status.objects).toContainEqual({ id: 'secret/s1/2', version: versions[0] });
  });

  it('says in an event what the vault says without a grant, and mounts when the grant is there', async () => {
    await setSecret('guarded', 'value');
    const identity = { useVMManagedIdentity: 'true', userAssignedIdentityID: stranger.clientId };
    await makeClass('guarded', [{ objectName: 'guarded', objectType: 'secret' }], identity);
    await makePod('guarded', ['sh', '-c', 'cat "$MOUNT"/guarded > "$REPORT"']);
    const message = await failedMount('guarded');
    expect(message).toMatch(
      /^MountVolume\.SetUp failed for volume "secrets" : rpc error: code = Unknown desc = failed to mount secrets store objects for pod default\/guarded, err: rpc error: code = Unknown desc = failed to mount objects, error: failed to get objectType:secret, objectName:guarded, objectVersion:: GET https:\/\/kv-node-1\.vault\.azure\.net\/secrets\/guarded\/\n-+\nRESPONSE 403: 403 Forbidden\nERROR CODE: Forbidden\n/,
    );
    expect(message).toContain('"code": "ForbiddenByRbac"');
    expect(await phaseOf('guarded')).toBe('Pending');
    await azure.grant(vaultId, SECRETS_USER, stranger.objectId);
    expect(await endOf('guarded')).toBe('value');
  });

  it('answers the commands of pods as the metadata service of their node', async () => {
    await makeClass('metadata', [{ objectName: 's1', objectType: 'secret' }]);
    const script = `
      const { AZURE_POD_IDENTITY_AUTHORITY_HOST: host, REPORT } = process.env;
      const ask = (id) => fetch(
        host + '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net&client_id=' + id,
        { headers: { Metadata: 'true' } },
      ).then((answer) => answer.json());
      Promise.all(['${reader.clientId}', 'nobody'].map(ask)).then((answers) =>
        require('node:fs').writeFileSync(REPORT, JSON.stringify(answers)));`;
    await makePod('metadata', ['node', '-e', script]);
    const [token, refusal] = JSON.parse(await endOf('metadata')) as Record<string, string>[];
    expect(decodeJwt(String(token?.['access_token']))).toMatchObject({
      appid: reader.clientId,
      aud: 'https://vault.azure.net',
    });
    expect(refusal).toEqual({ error: 'invalid_request', error_description: 'Identity not found' });
  });

  it('says what is wrong with identity, class and account, each in the words of who finds it', async () => {
    const object = { objectName: 'guarded', objectType: 'secret' };
    await makeClass('no-identity', [object], { useVMManagedIdentity: 'true', userAssignedIdentityID: 'nobody' });
    await makeClass('no-credential', [object], { clientID: 'nobody' });
    for (const name of ['no-identity', 'no-credential', 'no-class']) await makePod(name, ['sh', '-c', 'true']);
    await makePod('no-account', ['sh', '-c', 'true'], { className: 'no-class', serviceAccountName: 'nobody' });
    expect(await failedMount('no-identity')).toContain(
      "ManagedIdentityCredential authentication failed. the requested identity isn't assigned to this resource",
    );
    expect(await failedMount('no-credential')).toContain('ClientAssertionCredential authentication failed.');
    expect(await failedMount('no-class')).toContain(
      'failed to get secretproviderclass default/no-class, error: SecretProviderClass.secrets-store.csi.x-k8s.io "no-class" not found',
    );
    expect(await failedMount('no-account')).toContain('failed to fetch token: serviceaccounts "nobody" not found');
  });

  it('runs commands beside that of a container, with its files, streams and exit code', async () => {
    await setSecret('shown', 'what the vault has');
    await makeClass('exec', [{ objectName: 'shown', objectType: 'secret' }]);
    await makePod('exec', ['/bin/sleep', '10000']);
    await eventually(async () => (await phaseOf('exec')) === 'Running', 60_000);
    expect(await execute('exec', ['ls', '/mnt/secrets-store/'])).toMatchObject({
      stdout: 'shown\n',
      status: { status: 'Success' },
    });
    const { stdout } = await execute('exec', ['sh', '-c', 'cat "$MOUNT"/shown -', 'sh'], ', and what is typed');
    expect(stdout).toBe('what the vault has, and what is typed');
    const missing = await execute('exec', ['cat', '/mnt/secrets-store/nothing']);
    expect(missing.stderr).toMatch(/^cat: \/mnt\/secrets-store\/nothing: No such file/);
    expect(missing.status).toMatchObject({
      reason: 'NonZeroExitCode',
      details: { causes: [{ reason: 'ExitCode', message: '1' }] },
    });
    expect((await execute('exec', ['no-such-program'])).status.message).toContain(
      'exec: "no-such-program": executable file not found in $PATH',
    );
    await expect(execute('types', ['ls'])).rejects.toThrow('500'); // Its command is over.
  });

  it('exchanges the token of the service account, and gives labelled pods what the webhook gives them', async () => {
    await kube.create('/api/v1/namespaces/default/serviceaccounts', {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'workload', annotations: { 'azure.workload.identity/client-id': reader.clientId } },
    });
    await makeClass('workload', [{ objectName: 's1', objectType: 'secret' }], { clientID: reader.clientId });
    const script = `
      const { AZURE_CLIENT_ID, AZURE_TENANT_ID, AZURE_AUTHORITY_HOST, AZURE_FEDERATED_TOKEN_FILE, REPORT } = process.env;
      const fs = require('node:fs');
      const token = fs.readFileSync(AZURE_FEDERATED_TOKEN_FILE, 'utf8');
      fs.writeFileSync(REPORT, JSON.stringify({ AZURE_CLIENT_ID, AZURE_TENANT_ID, AZURE_AUTHORITY_HOST, token }));`;
    await makePod('workload', ['node', '-e', script], {
      serviceAccountName: 'workload',
      labels: { 'azure.workload.identity/use': 'true' },
    });
    const { token, ...variables } = JSON.parse(await endOf('workload')) as Record<string, string> & { token: string };
    const expected = { subject: 'system:serviceaccount:default:workload', audience: ['api://AzureADTokenExchange'] };
    expect(exchanged).toContainEqual({ ...expected, clientId: reader.clientId });
    expect(decodeJwt(token)).toMatchObject({ sub: expected.subject, aud: expected.audience });
    expect(variables).toEqual({
      AZURE_CLIENT_ID: reader.clientId,
      AZURE_TENANT_ID: azure.sandbox.tenantId,
      AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.com/',
    });
    // The pod object has it too, and nobody can make such a pod for an account that is not there.
    const { spec } = await kube.get(`${PODS}/workload`);
    const { containers, volumes } = spec as { containers: { env: object[] }[]; volumes: object[] };
    const path = 'token/azure-identity-token';
    expect(containers[0]?.env).toContainEqual({
      name: 'AZURE_FEDERATED_TOKEN_FILE',
      value: `/var/run/secrets/azure/wi/${path}`,
    });
    const serviceAccountToken = { path, expirationSeconds: 3600, audience: 'api://AzureADTokenExchange' };
    expect(volumes[1]).toMatchObject({
      name: expect.stringMatching(/^azure-workload-identity-reserved-[0-9a-f]{30}$/),
      projected: { sources: [{ serviceAccountToken }] },
    });
    const labels = { 'azure.workload.identity/use': 'true' };
    await expect(makePod('nobody', ['sh', '-c', 'true'], { labels, serviceAccountName: 'nobody' })).rejects.toThrow(
      'admission webhook "mutation.azure-workload-identity.io" denied the request: serviceaccounts "nobody" not found',
    );
  });

  it('brings a new version to a running pod and to its Secret, and takes both away with the pod', async () => {
    await setSecret('turning', 'first');
    const secretObjects = [
      { secretName: 'synced', type: 'Opaque', data: [{ objectName: 'turning', key: 'password' }] },
    ];
    await makeClass('turning', [{ objectName: 'turning', objectType: 'secret' }], undefined, { secretObjects });
    // The command waits for the new content, and then for its end.
    const script = 'until grep -q second "$MOUNT"/turning; do sleep 0.1; done; echo seen > "$REPORT"; sleep 1000';
    await makePod('turning', ['sh', '-c', script]);
    const synced = async (): Promise<string | undefined> => {
      const secret = await kube.find('/api/v1/namespaces/default/secrets/synced');
      const { password } = (secret?.['data'] ?? {}) as { password?: string };
      return password === undefined ? undefined : Buffer.from(password, 'base64').toString();
    };
    await eventually(async () => (await phaseOf('turning')) === 'Running', 60_000);
    expect(await synced()).toBe('first');
    const version = await setSecret('turning', 'second');
    await eventually(async () => (await synced()) === 'second', 60_000);
    const { status } = (await kube.get(`${POD_STATUSES}/turning-default-turning`)) as { status: object };
    expect(status).toMatchObject({ objects: [{ id: 'secret/turning', version }] });

    const pod = await kube.get(`${PODS}/turning`);
    await kube.delete(`${PODS}/turning`);
    await eventually(async () => (await kube.find(`${PODS}/turning`)) === undefined, 60_000);
    await eventually(async () => (await synced()) === undefined);
    expect(await kube.find(`${POD_STATUSES}/turning-default-turning`)).toBeUndefined();
    const { uid } = pod['metadata'] as { uid: string };
    const left = await readdir(nodeDirectory, { recursive: true });
    expect(left.filter((path) => path.includes(uid))).toEqual([]);
    expect(left.some((path) => path.endsWith('termination-log'))).toBe(true); // Of pods that are there.
  });

  it('mounts nothing while the add-on is off, keeps the classes, and leaves other pods alone', async () => {
    await nodes.apply(features(null));
    await kube.create(PODS, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'other' },
      spec: { containers: [{ name: 'test', image: 'sandbox', command: ['sh', '-c', 'true'] }] },
    });
    await makePod('late', ['sh', '-c', 'true'], { className: 'types' });
    expect(await failedMount('late')).toContain('not found in the list of registered CSI drivers');
    expect((await kube.get(`${PODS}/other`))['spec']).not.toHaveProperty('nodeName');
    expect((await kube.get(CLASSES))['items']).not.toEqual([]);
  });
});
