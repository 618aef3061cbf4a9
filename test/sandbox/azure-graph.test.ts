/** What az asks beside ARM's providers: who somebody is, which roles a principal has, which vault has a name, which versions there are. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { GROUP, LOCATION, TestAzure, type RawAnswer } from './azure-support';

const CRYPTO_USER = '12338af0-0e69-4776-bea7-57ae8d297424';
const VAULTS = "resourceType eq 'Microsoft.KeyVault/vaults'";

describe('the sandbox Microsoft Graph', () => {
  let azure: TestAzure;
  let token: string;
  beforeAll(async () => {
    azure = await TestAzure.start();
    await azure.resources.resourceGroups.createOrUpdate(GROUP, { location: LOCATION });
    token = await azure.token('https://graph.microsoft.com');
  });
  afterAll(() => azure.stop());

  const graph = (method: string, path: string, body?: unknown): Promise<RawAnswer> =>
    azure.raw(method, `https://graph.microsoft.com/v1.0${path}`, { token, body });
  const errorCode = ({ status, body }: RawAnswer): unknown => [status, (body['error'] as { code: string }).code];

  it('knows applications, identities and people, and says to an application that it is nobody', async () => {
    const { principalId } = await azure.identity('id-graph');
    const filter = `servicePrincipalNames/any(c:c eq '${azure.sandbox.clientId}')`;
    const self = await graph('GET', `/servicePrincipals?$filter=${encodeURIComponent(filter)}`);
    expect(self.body['value']).toMatchObject([{ appId: azure.sandbox.clientId, displayName: 'keyturn' }]);
    const approver = azure.sandbox.people['approver1']?.objectId;
    const found = await graph('POST', '/directoryObjects/getByIds', { ids: [principalId, approver, LOCATION] });
    expect(found.body['value']).toMatchObject([
      { '@odata.type': '#microsoft.graph.servicePrincipal', displayName: 'id-graph' },
      { '@odata.type': '#microsoft.graph.user', userPrincipalName: 'approver1@sandbox.test' },
    ]);
    const people = await graph('GET', "/users?$filter=userPrincipalName eq 'reader@sandbox.test'");
    expect(people.body['value']).toMatchObject([{ displayName: 'reader' }]);
    expect((await graph('GET', '/me')).body).toMatchObject({
      error: { message: '/me request is only valid with delegated authentication flow.' },
    });
    expect(errorCode(await graph('GET', "/users?$filter=mail eq 'x'"))).toEqual([400, 'Request_UnsupportedQuery']);
  });

  it('takes its own tokens only, of applications with rights', async () => {
    token = await azure.token('https://graph.microsoft.com', azure.sandbox.registerApplication('nobody'));
    expect(errorCode(await graph('GET', '/users'))).toEqual([403, 'Authorization_RequestDenied']);
    token = await azure.token('https://management.azure.com');
    expect(errorCode(await graph('GET', '/users'))).toEqual([401, 'InvalidAuthenticationToken']);
    token = await azure.token('https://graph.microsoft.com');
  });

  it('beside it, ARM shows roles below the subscription, and who gave them', async () => {
    const { principalId } = await azure.identity('id-roles');
    const subscription = `/subscriptions/${azure.sandbox.subscriptionId}`;
    const { body } = await azure.grant(`${subscription}/resourceGroups/${GROUP}`, CRYPTO_USER, principalId);
    const filter = `servicePrincipalNames/any(c:c eq '${azure.sandbox.clientId}')`;
    const self = (await graph('GET', `/servicePrincipals?$filter=${encodeURIComponent(filter)}`)).body;
    const [{ id = '' } = {}] = self['value'] as { id?: string }[];
    const roleDefinitionId = `${subscription}/providers/Microsoft.Authorization/roleDefinitions/${CRYPTO_USER}`;
    expect(body['properties']).toMatchObject({ roleDefinitionId, createdBy: id, createdOn: expect.any(String) });
    const roles = await azure.arm('GET', '/providers/Microsoft.Authorization/roleDefinitions');
    expect(roles.body['value']).toContainEqual(expect.objectContaining({ id: roleDefinitionId }));
  });

  it('beside it, ARM deletes identities: one made anew under the name is another principal', async () => {
    const before = await azure.identity('id-gone');
    const path = `/resourceGroups/${GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-gone`;
    expect([(await azure.arm('DELETE', path)).status, (await azure.arm('DELETE', path)).status]).toEqual([200, 204]);
    expect((await graph('GET', `/servicePrincipals/${before.principalId}`)).status).toBe(404);
    expect((await azure.identity('id-gone')).principalId).not.toBe(before.principalId);
  });

  it('beside it, ARM finds a vault by its name, and lists the versions of a location', async () => {
    for (const name of ['kv-graph-1', 'kv-graph-2']) await azure.provision(name);
    const resources = async (filter: string): Promise<unknown[]> => {
      const { body } = await azure.arm('GET', `/resources?$filter=${encodeURIComponent(filter)}`);
      return (body['value'] as { name: string }[]).map(({ name }) => name);
    };
    expect(await resources(VAULTS)).toEqual(['kv-graph-1', 'kv-graph-2']);
    expect(await resources(`${VAULTS} and name eq 'kv-graph-2'`)).toEqual(['kv-graph-2']);
    const versions = `/providers/Microsoft.ContainerService/locations/${LOCATION}/kubernetesVersions`;
    expect((await azure.arm('GET', versions)).body['values']).toMatchObject([
      { version: '1.26', patchVersions: { '1.26.15': { upgrades: ['1.27.3'] } } },
      { version: '1.27' },
      { version: '1.34', isDefault: true },
    ]);
  });
});
