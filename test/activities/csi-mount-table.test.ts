/**
 * Each way into a vault with each sort of vault, on the real parts: the planner's own plan, carried out step by step on one cluster of the
 * sandbox, ends in a pod whose files are what the vault has. Then each piece is taken away after planning, and the mount names it.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createFederatedCredential } from '../../activities/csi/federated-credential';
import { readCsiInside } from '../../activities/csi/inside';
import { changeKubernetesPart, type KubernetesPart } from '../../activities/csi/kubernetes-parts';
import { proveMount } from '../../activities/csi/mount';
import { assignNodeIdentity } from '../../activities/csi/node-identity';
import { classPath } from '../../activities/csi/objects';
import { observeCsi } from '../../activities/csi/observe';
import { createServiceConnection } from '../../activities/csi/service-connection';
import { awaitVaultRead, grantVaultRead } from '../../activities/csi/vault-read';
import { connectKubernetes, type KubeConnection } from '../../activities/kubernetes/connection';
import { createAzureAccess, type AzureAccess } from '../../azure/access';
import type { CsiObject } from '../../domain/csi/objects';
import type { PlanStep, StepOf } from '../../domain/plan/steps';
import { plan } from '../../domain/planner';
import { OperationRequest } from '../../domain/request';
import { createCluster } from '../../sandbox/cluster/cluster';
import { createNodeSides, type NodeSides } from '../../sandbox/node-sides';
import { PUBLIC_CLOUD } from '../azure/support';
import { GROUP, LOCATION, TestAzure } from '../sandbox/azure-support';
import { eventually, temporaryDirectory } from '../sandbox/cluster-support';
import { testRunning } from './cluster-support';

const CREDENTIAL_VARIABLES = ['AZURE_TENANT_ID', 'AZURE_CLIENT_ID', 'AZURE_CLIENT_SECRET'] as const;
const LIMITS = { startsWithinMs: 120_000, mountsWithinMs: 120_000, everyMs: 50 };
/** A piece is missing: the first failure of the mount is an answer. */
const AT_ONCE = { ...LIMITS, mountsWithinMs: 0 };

/** The sorts of vault. A private one is closed when it is filled, and has a private endpoint in the network of the nodes. */
const VAULTS = [
  { sort: 'Azure RBAC', vault: 'kv-table-rbac', properties: { enableRbacAuthorization: true } },
  { sort: 'access policies', vault: 'kv-table-policy', properties: { enableRbacAuthorization: false } },
  { sort: 'a private network', vault: 'kv-table-private', properties: { enableRbacAuthorization: true } },
] as const;
type Vault = (typeof VAULTS)[number]['vault'];

/** The ways in, by the name of the class; `{id}` is the ARM id of an identity that Keyturn makes. */
const WAYS = [
  { way: 'workload', asked: { mode: 'workload-identity', identity: '{id}', serviceAccount: '{name}' } },
  { way: 'add-on', asked: { mode: 'managed-identity' } },
  { way: 'nodes', asked: { mode: 'managed-identity', identity: '{id}' } },
  { way: 'system', asked: { mode: 'managed-identity', identity: 'system-assigned' } },
  { way: 'connector', asked: { mode: 'service-connector' } },
] as const;
type Way = (typeof WAYS)[number]['way'];

const FILES = [
  ...['password', 'first', 'history/0', 'history/1', 'history/2', 'text', 'hexed', 'base64ed'],
  ...['tls.pem', 'tls.pfx', 'tls.crt', 'tls.pub', 'signing', 'signing-history/0', 'signing-history/1'],
];
const objectsOf = (first: string): CsiObject[] => [
  { objectName: 's1', objectType: 'secret', objectAlias: 'password', filePermission: '0400' },
  { objectName: 's1', objectType: 'secret', objectAlias: 'first', objectVersion: first },
  { objectName: 's1', objectType: 'secret', objectAlias: 'history', objectVersionHistory: 2 },
  { objectName: 'text', objectType: 'secret', objectEncoding: 'utf-8' },
  { objectName: 'hexed', objectType: 'secret', objectEncoding: 'hex' },
  { objectName: 'base64ed', objectType: 'secret', objectEncoding: 'base64' },
  { objectName: 'c1', objectType: 'secret', objectAlias: 'tls.pem' },
  { objectName: 'c1', objectType: 'secret', objectAlias: 'tls.pfx', objectFormat: 'pfx', objectEncoding: 'base64' },
  { objectName: 'c1', objectType: 'cert', objectAlias: 'tls.crt' },
  { objectName: 'c1', objectType: 'key', objectAlias: 'tls.pub' },
  { objectName: 'signing', objectType: 'key' },
  { objectName: 'signing', objectType: 'key', objectAlias: 'signing-history', objectVersionHistory: 2 },
];

describe('pods and a vault', () => {
  let azure: TestAzure;
  let access: AzureAccess;
  let cluster: string;
  let connection: KubeConnection;
  let nodes: NodeSides;
  const first = new Map<Vault, string>();
  const mounts = new Map<string, StepOf<'prove-mount'>>();
  const { signal } = new AbortController();

  const vaultPath = (vault: Vault): string => `/resourceGroups/${GROUP}/providers/Microsoft.KeyVault/vaults/${vault}`;
  const identityPath = (name: string): string =>
    `/resourceGroups/${GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
  const idOf = (path: string): string => `/subscriptions/${azure.sandbox.subscriptionId}${path}`;
  const pathOf = (id: string): string => id.slice(id.toLowerCase().indexOf('/resourcegroups'));
  const nameOf = (way: Way, vault: Vault): string => `${way}-${vault}`;

  async function makeVault({ vault, properties }: (typeof VAULTS)[number]): Promise<void> {
    const { tenantId } = azure.sandbox;
    const all = { tenantId, sku: { family: 'A', name: 'standard' }, accessPolicies: [], ...properties };
    await azure.arm('PUT', vaultPath(vault), { body: { location: LOCATION, properties: all } });
    const set = async (name: string, value: string): Promise<string> => {
      const { body } = await azure.vault('PUT', vault, `/secrets/${name}`, { body: { value } });
      return String(body['id']).split('/').at(-1) ?? '';
    };
    first.set(vault, await set('s1', 'one'));
    for (const value of ['two', 'three']) await set('s1', value);
    for (const [name, value] of Object.entries({ text: 'grüße', hexed: '6869', base64ed: 'aGkA/w==' })) {
      await set(name, value);
    }
    for (let version = 0; version < 2; version++)
      await azure.vault('POST', vault, '/keys/signing/create', { body: { kty: 'RSA' } });
    const policy = { secret_props: { contentType: 'application/x-pkcs12' }, x509_props: { subject: 'CN=pods' } };
    await azure.vault('POST', vault, '/certificates/c1/create', { body: { policy } });
    await eventually(async () => (await azure.vault('GET', vault, '/certificates/c1')).status === 200);
  }

  const endpoint = `/resourceGroups/${GROUP}/providers/Microsoft.Network/privateEndpoints/pe-table`;
  /** `az network private-endpoint create`, in the network that AKS made for the nodes. */
  async function makeEndpoint(): Promise<void> {
    const { nodeResourceGroup } = (await access.clusters.read(cluster)).body.properties;
    const networks = idOf(`/resourceGroups/${nodeResourceGroup ?? ''}/providers/Microsoft.Network/virtualNetworks`);
    const target = { privateLinkServiceId: idOf(vaultPath('kv-table-private')), groupIds: ['vault'] };
    const properties = {
      subnet: { id: `${networks}/aks-vnet-1/subnets/endpoints` },
      privateLinkServiceConnections: [{ name: 'vault', properties: target }],
    };
    await azure.arm('PUT', endpoint, { body: { location: LOCATION, properties } });
  }
  async function closeVault(): Promise<void> {
    const properties = { publicNetworkAccess: 'Disabled' };
    await azure.vaults.vaults.update(GROUP, 'kv-table-private', { properties });
    // From here on nothing outside the network of the nodes reads it, this test neither.
    expect(await azure.vault('GET', 'kv-table-private', '/secrets/s1')).toMatchObject({ status: 403 });
    await makeEndpoint();
  }

  beforeAll(async () => {
    azure = await TestAzure.start(createCluster);
    const { tenantId, clientId, clientSecret, subscriptionId, proxyUrl, proxyUrlForNodes, instanceIdentities } =
      azure.sandbox;
    const values = [tenantId, clientId, clientSecret];
    for (const [index, name] of CREDENTIAL_VARIABLES.entries()) process.env[name] = values[index];
    access = createAzureAccess(PUBLIC_CLOUD);
    nodes = createNodeSides({
      directory: await temporaryDirectory(),
      azure: { proxyUrl, caFile: String(process.env['NODE_EXTRA_CA_CERTS']) },
      tenantId,
      instanceIdentities,
      proxyUrlForNodes,
      mountRetryLimitInMs: 500,
    });
    azure.sandbox.onNodeFeatures(nodes.apply);
    await azure.resources.resourceGroups.createOrUpdate(GROUP, { location: LOCATION });
    const { identityId } = await azure.identity('id-aks');
    const features = {
      oidcIssuerProfile: { enabled: true },
      securityProfile: { workloadIdentity: { enabled: true } },
      addonProfiles: { azureKeyvaultSecretsProvider: { enabled: true } },
    };
    await azure.containers.managedClusters.createOrUpdate(
      GROUP,
      'c1',
      { ...azure.clusterParameters(identityId), ...features },
      { updateIntervalInMs: 20 },
    );
    cluster = `/subscriptions/${subscriptionId}${azure.clusterPath('c1')}`;
    connection = connectKubernetes(await access.clusters.adminKubeconfig(cluster, {}), 8);
    for (const one of VAULTS) await makeVault(one);
    await closeVault();
    const [machine] = await machines();
    await azure.arm('PATCH', pathOf(machine ?? ''), { body: { identity: { type: 'SystemAssigned, UserAssigned' } } });
  });
  afterAll(async () => {
    await connection?.close();
    await nodes?.close();
    for (const name of CREDENTIAL_VARIABLES) delete process.env[name];
    await azure?.stop();
  });

  async function machines(): Promise<string[]> {
    const { body } = await access.clusters.read(cluster);
    const { nodeResourceGroup } = body.properties;
    const place = { subscriptionId: azure.sandbox.subscriptionId, resourceGroup: nodeResourceGroup ?? '' };
    return (await access.nodeMachines.list(place)).map(({ resourceId }) => resourceId);
  }

  /** The steps of the planner for what is there now. */
  async function stepsFor(way: Way, vault: Vault): Promise<readonly PlanStep[]> {
    const name = nameOf(way, vault);
    const { asked } = WAYS.find((one) => one.way === way) ?? WAYS[0];
    const text = JSON.stringify(asked)
      .replace('{id}', idOf(identityPath(`id-${name}`)))
      .replace('{name}', name);
    const objects = objectsOf(first.get(vault) ?? '');
    const place = { namespace: 'default', secretProviderClass: name, vaultId: idOf(vaultPath(vault)) };
    const parameters = { ...(JSON.parse(text) as typeof asked), ...place, objects, image: 'node:20' };
    const request = OperationRequest.parse({ kind: 'connect-csi', cluster, change: { number: 'CHG1' }, parameters });
    const snapshot = await access.clusters.read(cluster);
    const csi = await observeCsi(access, snapshot, parameters);
    const serviceAccount = way === 'workload' ? name : undefined;
    const csiInside = await readCsiInside(connection, { namespace: 'default', serviceAccount }, signal);
    const at = new Date().toISOString();
    const facts = { azure: { at, cluster: { found: true as const, cluster: snapshot.observed }, csi }, csiInside };
    const { plan: made, faults } = plan(request, { ...facts, ledger: null }, { approvalsRequired: 1 });
    if (made === null) throw new Error(JSON.stringify(faults));
    return made.steps;
  }

  const work = <Step>(step: Step) => ({
    ...testRunning(),
    step,
    cluster,
    operationId: 'op-0123456789abcdef',
    inside: <T>(inside: (one: KubeConnection) => Promise<T>): Promise<T> => inside(connection),
  });

  /** One step, as its performer has it done. */
  async function carryOut(step: PlanStep): Promise<void> {
    const at = { ...step, cluster };
    if (at.type === 'gate') return;
    if (at.type === 'create-identity') await access.identities.create(at.identityId, at.location, null);
    else if (at.type === 'create-federated-credential') await createFederatedCredential(access, at, signal);
    else if (at.type === 'assign-node-identity') await assignNodeIdentity(access, at, testRunning());
    else if (at.type === 'create-service-connection') await createServiceConnection(access, at, testRunning());
    else if (at.type === 'grant-vault-read') {
      const { principalIds } = await grantVaultRead(access, at, signal);
      await awaitVaultRead(access, { ...at, principalIds }, testRunning());
    } else await changeKubernetesPart(access, work(step as StepOf<KubernetesPart> & PlanStep));
  }

  const failure = (one: Promise<unknown>): Promise<unknown> => one.catch((error: unknown) => error);

  describe.each(VAULTS)('of $sort', ({ vault }) => {
    it.each(WAYS)('by $way: the plan is carried out, and every file is what the vault has', async ({ way }) => {
      for (const step of await stepsFor(way, vault)) {
        if (step.type !== 'prove-mount') {
          await carryOut(step);
          continue;
        }
        mounts.set(nameOf(way, vault), step);
        const { files } = await proveMount(access, work(step), LIMITS);
        expect(files.map(({ file }) => file)).toEqual(FILES);
      }
      // A second request finds everything, and only mounts.
      const again = (await stepsFor(way, vault)).filter((step) => !('exists' in step && step.exists));
      expect(again.map(({ type }) => type)).toEqual(['gate', 'prove-mount']);
    });
  });

  it('where the nodes have several identities the class names one by its client id, and by nothing else', async () => {
    const name = nameOf('nodes', 'kv-table-rbac');
    const [machine] = await machines();
    const { body } = await azure.arm('GET', pathOf(machine ?? ''));
    const { userAssignedIdentities } = body['identity'] as { userAssignedIdentities: Record<string, object> };
    expect(Object.keys(userAssignedIdentities).length).toBeGreaterThan(2);
    const found = await access.identities.read(idOf(identityPath(`id-${name}`)));
    const { spec } = (await connection.request({ method: 'GET', path: classPath('default', name) })) as {
      spec: { parameters: Record<string, string> };
    };
    expect(spec.parameters).toMatchObject({
      useVMManagedIdentity: 'true',
      userAssignedIdentityID: found.found ? found.clientId : '',
    });
    expect(spec.parameters).not.toHaveProperty('clientID');
    expect(JSON.stringify(spec.parameters)).not.toContain('userAssignedIdentities');
  });

  type Back = () => Promise<unknown>;
  interface Taken {
    readonly what: string;
    readonly way: Way;
    readonly vault: Vault;
    readonly take: (name: string) => Promise<Back>;
    readonly code: string;
    readonly says: RegExp;
  }
  const grantsOf = async (vault: Vault): Promise<Back> => {
    const list = `${vaultPath(vault)}/providers/Microsoft.Authorization/roleAssignments`;
    const { body } = await azure.arm('GET', list);
    for (const { id } of body['value'] as { id: string }[])
      await azure.arm('DELETE', `${vaultPath(vault)}${id.slice(id.indexOf('/providers/Microsoft.Authorization'))}`);
    return async () => {
      for (const { way } of WAYS) await Promise.all((await stepsFor(way, vault)).filter(isGrant).map(carryOut));
    };
  };
  const isGrant = ({ type }: PlanStep): boolean => type === 'grant-vault-read';
  /** Access policies without a permission, for all. */
  const policiesWithout = (permission: string) => async (): Promise<Back> => {
    const vault = 'kv-table-policy';
    const { body } = await azure.arm('GET', vaultPath(vault));
    const properties = body['properties'] as { accessPolicies: { permissions: Record<string, string[]> }[] };
    const without = properties.accessPolicies.map((one) => ({
      ...one,
      permissions: Object.fromEntries(
        Object.entries(one.permissions).map(([of, words]) => [of, words.filter((word) => word !== permission)]),
      ),
    }));
    await azure.arm('PUT', vaultPath(vault), {
      body: { ...body, properties: { ...properties, accessPolicies: without } },
    });
    return () => azure.arm('PUT', vaultPath(vault), { body });
  };
  const deleted = (vault: Vault, of: 'secrets' | 'keys' | 'certificates', name: string) => async (): Promise<Back> => {
    await azure.vault('DELETE', vault, `/${of}/${name}`);
    return async () => {
      await azure.vault('POST', vault, `/deleted${of}/${name}/recover`);
      await eventually(async () => (await azure.vault('GET', vault, `/${of}/${name}`)).status === 200);
    };
  };
  const disabled = async (): Promise<Back> => {
    const { body } = await azure.vault('GET', 'kv-table-rbac', '/secrets/hexed');
    const version = String(body['id']).split('/').at(-1) ?? '';
    const enable = (enabled: boolean) =>
      azure.vault('PATCH', 'kv-table-rbac', `/secrets/hexed/${version}`, { body: { attributes: { enabled } } });
    await enable(false);
    return () => enable(true);
  };
  const gone = async (path: string): Promise<Back> => {
    const { metadata, ...rest } = (await connection.request({ method: 'GET', path })) as {
      metadata: { name: string; namespace: string; labels?: object; annotations?: object };
    };
    await connection.request({ method: 'DELETE', path });
    const { name, namespace, labels, annotations } = metadata;
    const body = { ...rest, metadata: { name, namespace, labels, annotations } };
    return () => connection.request({ method: 'POST', path: path.slice(0, path.lastIndexOf('/')), body });
  };
  const classWith =
    (parameters: Record<string, string>) =>
    async (name: string): Promise<Back> => {
      const path = classPath('default', name);
      const { spec } = (await connection.request({ method: 'GET', path })) as { spec: { parameters: object } };
      const patch = (body: object): Promise<unknown> =>
        connection.request({
          method: 'PATCH',
          path,
          contentType: 'application/merge-patch+json',
          body: { spec: body },
        });
      await patch({ parameters });
      return () => patch(spec);
    };
  const workload = { way: 'workload', vault: 'kv-table-rbac' } as const;

  const TAKEN: readonly Taken[] = [
    {
      what: 'the roles of the identity',
      ...workload,
      take: () => grantsOf('kv-table-rbac'),
      code: 'MountFailed',
      says: /objectName:s1.*\(HTTP 403, Forbidden, ForbiddenByRbac\)/,
    },
    {
      what: 'the permission get of access policies',
      ...{ way: 'nodes', vault: 'kv-table-policy' },
      take: policiesWithout('get'),
      code: 'MountFailed',
      says: /objectName:s1.*HTTP 403, Forbidden/,
    },
    {
      what: 'the permission list of access policies, which a history needs',
      ...{ way: 'workload', vault: 'kv-table-policy' },
      take: policiesWithout('list'),
      code: 'MountFailed',
      says: /secrets\/s1\/versions.*HTTP 403, Forbidden/,
    },
    {
      what: 'the federated credential',
      ...workload,
      take: async (name) => {
        const id = idOf(identityPath(`id-${name}`));
        const all = await access.federatedCredentials.list(id);
        for (const one of all) await access.federatedCredentials.delete(id, one.name);
        return async () => {
          for (const one of all) await access.federatedCredentials.create(id, one);
        };
      },
      code: 'MountFailed',
      says: /objectName:s1.*invalid_client, AADSTS70025/,
    },
    {
      what: 'a secret',
      ...workload,
      take: deleted('kv-table-rbac', 'secrets', 'text'),
      code: 'MountFailed',
      says: /objectName:text.*HTTP 404, SecretNotFound/,
    },
    {
      what: 'a secret that is enabled',
      ...workload,
      take: disabled,
      code: 'MountFailed',
      says: /objectName:hexed.*HTTP 403/,
    },
    {
      what: 'a key',
      ...workload,
      take: deleted('kv-table-rbac', 'keys', 'signing'),
      code: 'MountFailed',
      says: /objectName:signing.*HTTP 404, KeyNotFound/,
    },
    {
      what: 'a certificate',
      ...workload,
      take: deleted('kv-table-rbac', 'certificates', 'c1'),
      code: 'MountFailed',
      says: /objectName:c1.*HTTP 404/,
    },
    {
      what: 'the identity of the nodes',
      ...{ way: 'nodes', vault: 'kv-table-rbac' },
      take: async (name) => {
        const [machine = ''] = await machines();
        const id = idOf(identityPath(`id-${name}`));
        const identity = { type: 'SystemAssigned, UserAssigned', userAssignedIdentities: { [id]: null } };
        await azure.arm('PATCH', pathOf(machine), { body: { identity } });
        return () => assignNodeIdentity(access, { cluster, identityId: id }, testRunning());
      },
      code: 'MountFailed',
      says: /the requested identity isn't assigned to this resource/,
    },
    {
      what: 'the service account',
      ...workload,
      take: (name) => gone(`/api/v1/namespaces/default/serviceaccounts/${name}`),
      code: 'ConnectionNotAsApproved',
      says: /The service account default\/workload-kv-table-rbac is not there\./,
    },
    {
      what: 'the class',
      ...workload,
      take: (name) => gone(classPath('default', name)),
      code: 'ConnectionNotAsApproved',
      says: /SecretProviderClass default\/workload-kv-table-rbac is not there\./,
    },
    ...(
      [
        ['vault', { keyvaultName: 'kv-other' }, 'Its vault is kv-other'],
        ['tenant', { tenantID: 'tenant-other' }, 'Its tenant is tenant-other'],
        ['cloud', { cloudName: 'AzureChinaCloud' }, 'Its cloud is AzureChinaCloud'],
        ['identity', { clientID: 'client-other' }, 'Its client id is client-other'],
        ['objects', { objects: 'array: ["{objectName: s9, objectType: secret}"]' }, 'it has secret s9'],
      ] as const
    ).map(([what, parameters, words]): Taken => ({
      what: `the ${what} of the class`,
      ...workload,
      take: classWith(parameters),
      code: 'ConnectionNotAsApproved',
      says: new RegExp(`default/workload-kv-table-rbac is not as approved: .*${words}`),
    })),
    {
      what: 'the private endpoint of the vault',
      ...{ way: 'add-on', vault: 'kv-table-private' },
      take: async () => {
        await azure.arm('DELETE', endpoint);
        return makeEndpoint;
      },
      code: 'MountFailed',
      says: /objectName:s1.*ForbiddenByConnection\)\. The cause is the network: .*privatelink\.vaultcore\.azure\.net/,
    },
    {
      // The last of its vault: one that is made again has another principal.
      what: 'the identity',
      ...{ way: 'workload', vault: 'kv-table-policy' },
      take: async (name) => {
        await azure.arm('DELETE', identityPath(`id-${name}`));
        return () => Promise.resolve();
      },
      code: 'IdentityNotAsApproved',
      says: /no managed identity id-workload-kv-table-policy/,
    },
  ];

  it.each(TAKEN)(
    'without $what, taken after planning, the mount names it',
    async ({ way, vault, take, code, says }) => {
      const name = nameOf(way, vault);
      const step = mounts.get(name);
      if (step === undefined) throw new Error(`${name} was not planned.`);
      const back = await take(name);
      try {
        expect(await failure(proveMount(access, work(step), AT_ONCE))).toMatchObject({
          type: code,
          nonRetryable: true,
          message: expect.stringMatching(says),
        });
      } finally {
        await back();
      }
    },
  );
});
