/** What an inspection says of connections between pods and vaults: each thing that is missing, by name. */
import { describe, expect, it } from '@jest/globals';
import type { CsiFacts, SeenClass } from '../../domain/csi/facts';
import { inspectCsi, type CsiInspection } from '../../domain/csi/inspection';
import type { ObservedCluster } from '../../domain/observed';
import { csiFacts, csiInside, goodCluster, NOW } from './fixtures';

const ISSUER = 'https://issuer.test/a/';
const CLIENT = '11111111-0000-4000-8000-000000000001';
const IDENTITY = { state: 'exists' as const, resourceId: '/identities/web', clientId: CLIENT, principalId: 'p1' };
const READER = {
  name: 'Key Vault Secrets User',
  dataActions: ['Microsoft.KeyVault/vaults/secrets/getSecret/action'],
  notDataActions: [],
  actions: [],
  notActions: [],
  uncertain: false,
};
const CREDENTIAL = {
  name: 'web',
  issuer: ISSUER,
  subject: 'system:serviceaccount:apps:web',
  audiences: ['api://AzureADTokenExchange'],
};
const seen = (change: Partial<SeenClass> = {}): SeenClass => ({
  namespace: 'apps',
  name: 'web',
  ours: true,
  content: {
    vaultName: 'kv1',
    tenantId: 'tenant-1',
    cloudName: 'AzurePublicCloud',
    identity: { mode: 'workload-identity', clientId: CLIENT },
    objects: [{ objectName: 'password', objectType: 'secret' }],
  },
  problems: [],
  pods: [],
  ...change,
});
const good = (): CsiFacts =>
  csiFacts({
    identity: IDENTITY,
    roles: { known: true, value: [READER] },
    denials: { known: true, value: [] },
    credentials: { known: true, value: [CREDENTIAL] },
  });
const ADD_ON = { enabled: true, pollInterval: '2m', identity: { resourceId: '/a', clientId: 'a', objectId: 'a' } };
const looked = (
  facts: CsiFacts | undefined,
  { one = seen(), cluster = {} }: { readonly one?: SeenClass; readonly cluster?: Partial<ObservedCluster> } = {},
): CsiInspection =>
  inspectCsi({
    at: NOW,
    cluster: goodCluster({ secretsProvider: ADD_ON, issuerUrl: ISSUER, workloadIdentity: true, ...cluster }),
    inside: csiInside({ classes: [one] }),
    azure: [facts],
  });
const broken = (...args: Parameters<typeof looked>): string => looked(...args).classes[0]?.broken.join(' ') ?? '';

describe('a connection', () => {
  it('that works has nothing broken, and shows what pods see', () => {
    expect(looked(good())).toMatchObject({
      addOn: { enabled: true, rotationPollInterval: '2m' },
      issuerUrl: ISSUER,
      classes: [{ vault: 'kv1', mode: 'workload-identity', files: ['password'], madeByKeyturn: true, broken: [] }],
      broken: [],
      unknown: [],
    });
  });

  const content = seen().content;
  it.each<[string, RegExp, () => string]>([
    [
      'a right',
      /lacks Key Vault Secrets User \(secret\)/,
      () => broken({ ...good(), roles: { known: true, value: [] } }),
    ],
    [
      'a credential of the issuer',
      /no federated credential for the issuer https:\/\/issuer.test\/a\/ .*other issuers: https:\/\/issuer.test\/a\./,
      () =>
        broken({
          ...good(),
          credentials: { known: true, value: [{ ...CREDENTIAL, issuer: ISSUER.slice(0, -1) }] },
        }),
    ],
    ['an issuer', /no OIDC issuer/, () => broken(good(), { cluster: { issuerUrl: undefined } })],
    [
      'the cloud',
      /names the cloud AzureChinaCloud, and the cluster is in AzurePublicCloud/,
      () => broken(good(), { one: seen(content && { content: { ...content, cloudName: 'AzureChinaCloud' } }) }),
    ],
    [
      'the tenant',
      /names the tenant tenant-2, and the vault is in tenant-1/,
      () => broken(good(), { one: seen(content && { content: { ...content, tenantId: 'tenant-2' } }) }),
    ],
    [
      'the identity of some nodes',
      /pool2 does not have the identity/,
      () =>
        broken(
          {
            ...good(),
            credentials: undefined,
            nodes: {
              known: true,
              value: [
                { resourceId: '/vmss/pool1', identities: ['/IDENTITIES/web'] },
                { resourceId: '/vmss/pool2', identities: [] },
              ],
            },
          },
          {
            one: seen(content && { content: { ...content, identity: { mode: 'managed-identity', clientId: CLIENT } } }),
          },
        ),
    ],
    [
      'what the provider reads',
      /objects is not set/,
      () => broken(undefined, { one: seen({ content: undefined, problems: ['objects is not set.'] }) }),
    ],
  ])('that lacks %s says so', (_what, words, found) => expect(found()).toMatch(words));

  it('without the add-on, beside another driver or behind an API server that does not answer is said of the cluster', () => {
    const off = { secretsProvider: { enabled: false, pollInterval: null } };
    expect(looked(good(), { cluster: off }).broken.join()).toMatch(/The add-on is off/);
    const cluster = goodCluster({ secretsProvider: ADD_ON });
    const at = { at: NOW, cluster, azure: [] };
    const beside = inspectCsi({ ...at, inside: csiInside({ otherInstallations: ['csi/driver'] }) });
    expect(beside.broken.join()).toMatch(/another Secrets Store CSI driver .* csi\/driver/);
    expect(inspectCsi({ ...at, inside: { unreadable: 'It is stopped.' } })).toMatchObject({
      classes: [],
      unknown: ['It is stopped.'],
    });
  });
});
