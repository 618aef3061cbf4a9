/**
 * Key Vault for pods, as ARM and Entra see it: issuer, federation, the add-on and its identity, the machines of nodes, Service Connector.
 * One sandbox for all; each describe block has a cluster of its own.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import type { NodeFeatures } from '../../sandbox/azure/arm/node-side';
import { GROUP, LOCATION, TestAzure, type RawAnswer, type RecordedCluster } from './azure-support';

const ADDON = 'azureKeyvaultSecretsProvider';
const CERTIFICATE_USER = 'db79e9a7-68ee-4b58-9aeb-b90e7c24fcba';
const AUDIENCE = 'api://AzureADTokenExchange';
const SUBJECT = 'system:serviceaccount:default:app';
const OFF = { config: null, enabled: false, identity: null };

type Json = Record<string, unknown>;

let azure: TestAzure;
let identityId: string;
let vaultId: string;
const vault = 'kv-pods-1';
const heard: NodeFeatures[] = [];

beforeAll(async () => {
  azure = await TestAzure.start();
  ({ identityId, vaultId } = await azure.provision(vault));
  await azure.keys(vault).createRsaKey('key1');
  azure.sandbox.onNodeFeatures(async (features) => void heard.push(features));
});
afterAll(() => azure.stop());

const make = (name: string, properties: Json = {}, kubernetesVersion = '1.34'): Promise<RawAnswer> =>
  put(name, {
    location: LOCATION,
    identity: { type: 'UserAssigned', userAssignedIdentities: { [identityId]: {} } },
    properties: { kubernetesVersion, agentPoolProfiles: [{ name: 'nodepool1', count: 2 }], ...properties },
  });
/** PUTs a cluster, waits for the operation, and answers with the cluster as it is then. */
const put = async (name: string, body: unknown): Promise<RawAnswer> => {
  const answer = await azure.arm('PUT', azure.clusterPath(name), { body });
  if (answer.status >= 400) return answer;
  expect(await azure.poll(answer)).toMatchObject({ status: 'Succeeded' });
  return azure.arm('GET', azure.clusterPath(name));
};
const change = async (name: string, properties: Json): Promise<RawAnswer> => {
  const { body } = await azure.arm('GET', azure.clusterPath(name));
  return put(name, { ...body, properties: { ...(body['properties'] as Json), ...properties } });
};
const at = (body: unknown, ...path: string[]): Json =>
  path.reduce<Json>((here, name) => (here[name] ?? {}) as Json, body as Json);
const recorded = (name: string): RecordedCluster => {
  const found = azure.clusters.find(({ options }) => options.name === name);
  if (found === undefined) throw new Error(`There is no ${name}.`);
  return found;
};
const issuerOf = async (name: string): Promise<string> => {
  const { body } = await azure.arm('GET', azure.clusterPath(name));
  const { issuerURL } = at(body, 'properties', 'oidcIssuerProfile');
  return typeof issuerURL === 'string' ? issuerURL : '';
};
const said = (answer: RawAnswer): string => {
  const error = (answer.body['error'] ?? answer.body) as Json;
  return `${answer.status} ${String(error['code'])}: ${String(error['message'])}`;
};

describe('the issuer of a cluster', () => {
  it('is on for a new cluster of 1.34, cannot be turned off, and shows the keys of the cluster', async () => {
    await make('issuer-new');
    const issuer = await issuerOf('issuer-new');
    expect(issuer).toMatch(/^https:\/\/westeurope\.oic\.prod-aks\.azure\.com\/[0-9a-f-]{36}\/[0-9a-f-]{36}\/$/);
    expect(recorded('issuer-new').options.issuer).toBe(issuer);
    const off = await change('issuer-new', { oidcIssuerProfile: { enabled: false } });
    expect(said(off)).toBe('400 BadRequest: OIDC issuer feature cannot be disabled.');

    const discovery = await azure.raw('GET', `${issuer}.well-known/openid-configuration`);
    expect(discovery.body).toMatchObject({ issuer, jwks_uri: `${issuer}openid/v1/jwks` });
    const keys = await azure.raw('GET', String(discovery.body['jwks_uri']));
    expect(keys.body).toMatchObject({ keys: [{ kid: 'of issuer-new', alg: 'RS256' }] });
    expect((await azure.raw('GET', `${issuer.slice(0, -2)}0/.well-known/openid-configuration`)).status).toBe(404);
  });

  it('is turned on later by a roll of the API servers, and workload identity needs it', async () => {
    await make('issuer-old', {}, '1.27');
    expect(await issuerOf('issuer-old')).toBe('');
    const workloadIdentity = { securityProfile: { workloadIdentity: { enabled: true } } };
    expect(said(await change('issuer-old', workloadIdentity))).toContain('SandboxWorkloadIdentityNeedsIssuer');
    await change('issuer-old', { ...workloadIdentity, oidcIssuerProfile: { enabled: true } });
    const issuer = await issuerOf('issuer-old');
    expect(recorded('issuer-old').events).toEqual([`issuer ${issuer}`]);
    expect(heard.at(-1)).toMatchObject({ clusterName: 'issuer-old', workloadIdentity: true, secretsProvider: null });
  });
});

describe('a token of a service account', () => {
  const list = (): string =>
    `/resourceGroups/${GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-app/federatedIdentityCredentials`;
  const federate = (name: string, issuer: string, subject = SUBJECT, audience = AUDIENCE): Promise<RawAnswer> =>
    azure.arm('PUT', `${list()}/${name}`, { body: { properties: { issuer, subject, audiences: [audience] } } });
  let clientId: string;
  let principalId: string;
  let issuer: string;
  let key: KeyObject;

  beforeAll(async () => {
    await make('wi');
    issuer = await issuerOf('wi');
    key = recorded('wi').tokenKey;
    ({ principalId } = await azure.identity('id-app'));
    const { body } = await azure.arm('GET', list().replace('/federatedIdentityCredentials', ''));
    clientId = String(at(body, 'properties')['clientId']);
  });

  const token = (
    given: { iss?: string; sub?: string; aud?: string; key?: KeyObject; kid?: string; age?: number } = {},
  ) =>
    new SignJWT({})
      .setProtectedHeader({ alg: 'RS256', kid: given.kid ?? 'of wi' })
      .setIssuer(given.iss ?? issuer)
      .setSubject(given.sub ?? SUBJECT)
      .setAudience(given.aud ?? AUDIENCE)
      .setIssuedAt(Math.floor(Date.now() / 1000) - (given.age ?? 0))
      .setExpirationTime(Math.floor(Date.now() / 1000) - (given.age ?? 0) + 3600)
      .sign(given.key ?? key);
  const exchange = async (assertion: string | Promise<string>, client = clientId): Promise<RawAnswer> =>
    azure.raw('POST', `https://login.microsoftonline.com/${azure.sandbox.tenantId}/oauth2/v2.0/token`, {
      form: {
        client_id: client,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: await assertion,
        scope: 'https://vault.azure.net/.default',
        grant_type: 'client_credentials',
      },
    });
  const refused = async (answer: Promise<RawAnswer>): Promise<string> =>
    String((await answer).body['error_description']).replace(/ Trace ID.*/, '');

  it('is refused without a credential, and federated credentials are checked', async () => {
    expect(await refused(exchange(token()))).toContain('AADSTS70025');
    expect(said(await federate('not', 'http://a/'))).toContain('SandboxFederatedCredentialIssuerNotValid');
    expect(said(await azure.arm('PUT', `${list()}/bad`, { body: { properties: { issuer } } }))).toContain(
      "must specify 'issuer', 'subject' and 'audience'",
    );
    expect((await federate('right', issuer)).status).toBe(201);
    expect((await federate('right', issuer)).status).toBe(200);
    expect(said(await federate('again', issuer))).toContain('Issuer and subject combination already exists');
    expect((await azure.arm('GET', list())).body['value']).toHaveLength(1);
  });

  it('is refused while another credential of the identity is written', async () => {
    azure.sandbox.faults.set('hold-federated-write');
    const writes = ['first', 'second'].map((name) => federate(name, issuer, `system:serviceaccount:default:${name}`));
    // One is held: the one that answers is the other.
    expect(said(await Promise.race(writes))).toMatch(
      /^409 ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity: Too many Federated Identity Credentials/,
    );
    azure.sandbox.faults.clear('hold-federated-write');
    expect((await Promise.all(writes)).map(({ status }) => status).sort()).toEqual([201, 409]);
  });

  it('becomes a token of the identity, and the rights at the vault decide', async () => {
    const answer = await exchange(token());
    expect(answer.status).toBe(200);
    const read = (): Promise<RawAnswer> =>
      azure.vault('GET', vault, '/keys/key1', { token: String(answer.body['access_token']) });
    expect((await read()).status).toBe(403);
    await azure.grant(vaultId, CERTIFICATE_USER, principalId);
    expect((await read()).status).toBe(200);
  });

  it('is refused in the words of Entra when anything differs, byte for byte', async () => {
    expect(await refused(exchange(token({ iss: issuer.slice(0, -1) })))).toContain(
      `AADSTS700211: No matching federated identity record found for presented assertion issuer '${issuer.slice(0, -1)}'.`,
    );
    expect(await refused(exchange(token({ sub: 'system:serviceaccount:other:app' })))).toContain('AADSTS700213');
    expect(await refused(exchange(token({ sub: SUBJECT.replace('app', 'App') })))).toContain('AADSTS7002138');
    expect(await refused(exchange(token({ aud: issuer })))).toContain('AADSTS700212');
    expect(await refused(exchange(token({ age: 7200 })))).toContain('AADSTS700024');
    expect(await refused(exchange(token(), crypto.randomUUID()))).toContain('AADSTS700016');
    expect(await refused(exchange('nothing'))).toContain('AADSTS50027');
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    expect(await refused(exchange(token({ key: other })))).toContain('AADSTS700027');
    expect(await refused(exchange(token({ key: other, kid: 'other' })))).toContain('AADSTS7000272');
    await federate('elsewhere', 'https://token.example.com');
    expect(await refused(exchange(token({ iss: 'https://token.example.com' })))).toContain('AADSTS50166');
  });

  it('is worth nothing once the identity or its credential is gone', async () => {
    expect((await azure.arm('DELETE', `${list()}/right`)).status).toBe(200);
    expect((await azure.arm('DELETE', `${list()}/right`)).status).toBe(204);
    expect(await refused(exchange(token()))).toContain('AADSTS700213');
    await azure.arm('DELETE', list().replace('/federatedIdentityCredentials', ''));
    expect(await refused(exchange(token()))).toContain('AADSTS700016');
  });
});

describe('the add-on of the CSI driver', () => {
  const addon = async (profile: unknown): Promise<RawAnswer> =>
    change('addon', { addonProfiles: { azurepolicy: { enabled: true }, [ADDON]: profile } });
  const shown = (answer: RawAnswer): Json => at(answer.body, 'properties', 'addonProfiles');
  const machines = (type = 'virtualMachineScaleSets'): string =>
    `/resourceGroups/MC_${GROUP}_addon_${LOCATION}/providers/Microsoft.Compute/${type}`;

  beforeAll(() => make('addon'));

  it('has an identity of its own in the node resource group, and the defaults of its configuration', async () => {
    const on = await addon({ enabled: true, config: { enableSecretRotation: 'false' } });
    const { identity } = at(shown(on), ADDON);
    expect(shown(on)).toEqual({
      azurepolicy: { enabled: true },
      [ADDON]: {
        enabled: true,
        config: { enableSecretRotation: 'false', rotationPollInterval: '2m' },
        identity: {
          resourceId: expect.stringMatching(/MC_.*\/azurekeyvaultsecretsprovider-addon$/),
          clientId: expect.any(String),
          objectId: expect.any(String),
        },
      },
    });
    expect(heard.at(-1)?.secretsProvider).toEqual({
      enableSecretRotation: false,
      rotationPollInterval: '2m',
      identity,
    });
    expect(at(shown(await addon({ enabled: true, config: null })), ADDON)['config']).toBeNull();
    expect(said(await addon({ enabled: true, config: { enableSecretRotation: 'yes' } }))).toContain(
      'SandboxAddonConfigNotValid',
    );
    // What a PUT leaves out stays.
    expect(at(shown(await change('addon', { addonProfiles: { other: { enabled: false } } })), ADDON)['enabled']).toBe(
      true,
    );
  });

  it('leaves several identities on the nodes, so that IMDS wants one named', async () => {
    const { identityId: mine } = await azure.identity('id-nodes');
    const [first] = (await azure.arm('GET', machines())).body['value'] as Json[];
    expect(first).toMatchObject({ name: expect.stringMatching(/^aks-nodepool1-\d{8}-vmss$/) });
    const body = { identity: { type: 'UserAssigned', userAssignedIdentities: { [mine]: {} } } };
    const assigned = await azure.arm('PATCH', `${machines()}/${String(first?.['name'])}`, { body });
    expect(Object.keys(at(assigned.body, 'identity', 'userAssignedIdentities'))).toHaveLength(3);
    expect((await azure.arm('GET', `${machines('virtualMachines')}/aks-nodepool1-0`)).status).toBe(404);

    const { id } = (await azure.arm('GET', azure.clusterPath('addon'))).body;
    const tokenFor = (clientId?: string) =>
      azure.sandbox.instanceIdentities.tokenFor(String(id), { clientId }, 'https://vault.azure.net');
    await expect(tokenFor()).rejects.toThrow('Multiple user assigned identities exist');
    await expect(tokenFor(crypto.randomUUID())).rejects.toThrow('Identity not found');
    const ids = Object.entries(at(assigned.body, 'identity', 'userAssignedIdentities'));
    const [, named] = ids.find(([one]) => one.endsWith('/id-nodes')) ?? [];
    const { clientId, principalId } = named as { clientId: string; principalId: string };
    const { access_token: token } = await tokenFor(clientId);
    expect((await azure.vault('GET', vault, '/keys/key1', { token })).status).toBe(403);
    await azure.grant(vaultId, CERTIFICATE_USER, principalId);
    expect((await azure.vault('GET', vault, '/keys/key1', { token })).status).toBe(200);
  });

  it('is on each machine where the pool is an availability set', async () => {
    const agentPoolProfiles = [{ name: 'pool1', count: 2, type: 'AvailabilitySet' }];
    await make('vms', { agentPoolProfiles, addonProfiles: { [ADDON]: { enabled: true } } });
    const list = machines('virtualMachines').replace('_addon_', '_vms_');
    const found = (await azure.arm('GET', list)).body['value'] as Json[];
    expect(found.map(({ name }) => String(name).replace(/\d{8}/, 'N'))).toEqual(['aks-pool1-N-0', 'aks-pool1-N-1']);
    const body = { identity: { type: 'SystemAssigned, UserAssigned' } };
    const changed = await azure.arm('PATCH', `${list}/${String(found[0]?.['name'])}`, { body });
    expect(at(changed.body, 'identity')).toMatchObject({
      type: 'SystemAssigned, UserAssigned',
      principalId: expect.any(String),
    });
    expect(Object.keys(at(changed.body, 'identity', 'userAssignedIdentities'))).toHaveLength(2);
  });

  it('is not disabled while there is a SecretProviderClass; then its identity goes, and other add-ons stay', async () => {
    recorded('addon').secretProviderClasses = 1;
    expect(said(await addon({ enabled: false }))).toBe(
      '400 BadRequest: AzureKeyvaultSecretsProvider addon cannot be disabled due to more than 0 Secret Provider Classes',
    );
    recorded('addon').secretProviderClasses = 0;
    const off = await change('addon', { addonProfiles: { [ADDON]: { enabled: false } } });
    expect(shown(off)).toMatchObject({ azurepolicy: { enabled: true }, [ADDON]: OFF });
    expect(heard.at(-1)?.secretsProvider).toBeNull();
    const [machine] = (await azure.arm('GET', machines())).body['value'] as Json[];
    expect(Object.keys(at(machine, 'identity', 'userAssignedIdentities'))).toHaveLength(2);
  });
});

describe('Service Connector', () => {
  const connection = (name: string): string =>
    `${azure.clusterPath('linked')}/providers/Microsoft.ServiceLinker/linkers/${name}`;
  const connect = (name: string): Promise<RawAnswer> =>
    azure.arm('PUT', connection(name), {
      body: {
        properties: {
          targetService: {
            type: 'AzureResource',
            id: vaultId,
            resourceProperties: { type: 'KeyVault', connectAsKubernetesCsiDriver: true },
          },
          authInfo: { authType: 'userAssignedIdentity' },
          clientType: 'none',
          scope: 'default',
        },
      },
    });

  it('enables the add-on and grants its identity; a second connection, or a busy cluster, is a conflict', async () => {
    await make('linked');
    const made = await connect('conn1');
    expect([made.status, at(made.body, 'properties')['provisioningState']]).toEqual([201, 'Accepted']);
    expect(await azure.poll(made)).toMatchObject({ status: 'Succeeded' });
    expect((await azure.arm('GET', connection('conn1'))).body).toMatchObject({
      properties: { provisioningState: 'Succeeded', scope: 'default' },
    });
    const cluster = (await azure.arm('GET', azure.clusterPath('linked'))).body;
    const { objectId } = at(cluster, 'properties', 'addonProfiles', ADDON, 'identity');
    const filter = encodeURIComponent(`principalId eq '${String(objectId)}'`);
    const roles = await azure.arm('GET', `/providers/Microsoft.Authorization/roleAssignments?$filter=${filter}`);
    expect(roles.body['value']).toHaveLength(2);

    const conflict = "409 GeneralUserError: Execution failed. Operation returned an invalid status code 'Conflict'";
    expect(said(await connect('conn2'))).toBe(conflict);
    azure.sandbox.faults.set('hold-operation');
    const busy = await azure.arm('PATCH', azure.clusterPath('linked'), { body: { tags: { a: 'b' } } });
    expect(said(await connect('conn1'))).toBe(conflict);
    azure.sandbox.faults.clear('hold-operation');
    await azure.poll(busy);
    await azure.arm('POST', '/providers/Microsoft.KubernetesConfiguration/unregister');
    expect(said(await connect('conn1'))).toBe(conflict);
    const registered = await azure.arm('POST', '/providers/Microsoft.KubernetesConfiguration/register');
    expect(registered.body).toMatchObject({ registrationState: 'Registered' });

    expect(await azure.poll(await azure.arm('DELETE', connection('conn1')))).toMatchObject({ status: 'Succeeded' });
    expect((await azure.arm('GET', connection('conn1'))).status).toBe(404);
  });
});
