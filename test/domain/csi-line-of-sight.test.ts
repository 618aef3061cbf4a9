/** The way from the nodes to a vault that is not open to all networks: what is surely missing is refused, what ARM does not show is a warning. */
import { describe, expect, it } from '@jest/globals';
import type { CsiFacts, NodeNetwork, WaysIn } from '../../domain/csi/facts';
import { inspectCsi } from '../../domain/csi/inspection';
import { lineOfSight, privateZone, type LineOfSight } from '../../domain/csi/line-of-sight';
import { CLOUDS } from '../../domain/clouds';
import type { PlanResult } from '../../domain/plan/plan';
import { plan } from '../../domain/planner';
import { azure, csiFacts, csiInside, goodCluster, NOW, observation, requestOf } from './fixtures';

const NETWORKS = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks';
const SPOKE = `${NETWORKS}/spoke`;
const AKS_MADE = '/subscriptions/s/resourceGroups/MC_rg/providers/Microsoft.Network/virtualNetworks';
const POOL: NodeNetwork = { pool: 'pool1', subnetId: `${SPOKE}/subnets/nodes`, network: SPOKE };
const MADE: NodeNetwork = { pool: 'pool1', network: AKS_MADE };
const NEAR = { endpointId: '/endpoints/pe-near', status: 'Approved', subnetId: `${SPOKE.toUpperCase()}/subnets/pe` };
const HUB = { endpointId: '/endpoints/pe-hub', status: 'Approved', subnetId: `${NETWORKS}/hub/subnets/pe` };
const UNSEEN = { endpointId: '/endpoints/pe-far', status: 'Approved' };
const CLOSED: WaysIn = { publicAddress: 'closed', addressRules: 0, subnetRules: [], endpoints: [] };
const FIREWALL: WaysIn = { ...CLOSED, publicAddress: 'restricted' };

const facts = (waysIn: WaysIn | undefined, nodeNetworks?: NodeNetwork[]): CsiFacts =>
  csiFacts({
    vault: { openToAllNetworks: false, ...(waysIn === undefined ? {} : { waysIn }) },
    ...(nodeNetworks === undefined ? {} : { nodeNetworks }),
  });
const connect = (csi: CsiFacts): PlanResult =>
  plan(
    requestOf('connect-csi'),
    { ...observation({ ...azure(), csi }), csiInside: csiInside() },
    { approvalsRequired: 1 },
  );
const warnings = ({ plan: made }: PlanResult): string =>
  (made?.warnings ?? []).flatMap(({ code, detail }) => (code === 'VaultNotOpenToNodes' ? [detail] : [])).join(' ');

type Case = [string, LineOfSight['state'], RegExp, WaysIn | undefined, NodeNetwork[] | undefined];
const CASES: Case[] = [
  [
    'an endpoint in the network of the nodes',
    'seen',
    /pe-near.*zone privatelink\.vaultcore\.azure\.net/,
    { ...CLOSED, endpoints: [HUB, NEAR] },
    [POOL],
  ],
  [
    'an endpoint in the network that AKS made',
    'seen',
    /pe-mc/,
    { ...CLOSED, endpoints: [{ ...NEAR, endpointId: 'pe-mc', subnetId: `${AKS_MADE}/aks-vnet-1/subnets/pe` }] },
    [MADE],
  ],
  [
    'an endpoint in another network',
    'unknown',
    /pe-hub is in the network hub, .*peering/,
    { ...CLOSED, endpoints: [HUB] },
    [POOL],
  ],
  [
    'an endpoint in a network whose name begins alike',
    'unknown',
    /spoke2/,
    { ...CLOSED, endpoints: [{ ...HUB, subnetId: `${SPOKE}2/subnets/pe` }] },
    [POOL],
  ],
  [
    'an endpoint that Keyturn may not read',
    'unknown',
    /pe-far is \(Microsoft\.Network\/privateEndpoints\/read\)/,
    { ...CLOSED, endpoints: [UNSEEN] },
    [POOL],
  ],
  ['an endpoint, and nodes that Azure does not name', 'unknown', /pe-hub/, { ...CLOSED, endpoints: [HUB] }, undefined],
  ['no endpoint', 'missing', /public address is closed, and it has no private endpoint\. /, CLOSED, [POOL]],
  ['no endpoint, and nodes that Azure does not name', 'missing', /public address is closed/, CLOSED, undefined],
  [
    'an endpoint that waits for approval',
    'missing',
    /approved \(pe-near: Pending\).*Approve it/,
    { ...CLOSED, endpoints: [{ ...NEAR, status: 'Pending' }] },
    [POOL],
  ],
  [
    'a firewall beside a closed address',
    'missing',
    /public address is closed/,
    { ...CLOSED, addressRules: 1, subnetRules: [POOL.subnetId ?? ''] },
    [POOL],
  ],
  [
    'a firewall that names the subnet of the nodes',
    'seen',
    /service endpoint Microsoft\.KeyVault/,
    { ...FIREWALL, subnetRules: [`${SPOKE}/subnets/NODES`] },
    [POOL],
  ],
  [
    'a firewall that names the subnet that AKS made',
    'seen',
    /service endpoint/,
    { ...FIREWALL, subnetRules: [`${AKS_MADE}/v/subnets/aks-subnet`] },
    [MADE],
  ],
  [
    'a firewall that names another subnet',
    'missing',
    /names neither their subnet nor an address.*az keyvault network-rule add --name kv-app --subnet .*\/subnets\/nodes/,
    { ...FIREWALL, subnetRules: [`${SPOKE}/subnets/others`] },
    [POOL],
  ],
  ['a firewall that names addresses', 'unknown', /2 address range\(s\)/, { ...FIREWALL, addressRules: 2 }, [POOL]],
  [
    'a firewall with subnets, and nodes that Azure does not name',
    'unknown',
    /names 1 subnet\(s\)/,
    { ...FIREWALL, subnetRules: [`${SPOKE}/subnets/nodes`] },
    undefined,
  ],
  ['a perimeter', 'unknown', /network security perimeter/, { ...CLOSED, publicAddress: 'perimeter' }, [POOL]],
  [
    'a way for some pools only',
    'unknown',
    /names the subnet of the nodes.*The nodes of pool2 have no way to it/,
    { ...FIREWALL, subnetRules: [POOL.subnetId ?? ''] },
    [POOL, { ...POOL, pool: 'pool2', subnetId: `${SPOKE}/subnets/more` }],
  ],
  ['a vault whose ways were not looked at', 'unknown', /did not see what ways/, undefined, [POOL]],
];

describe.each(CASES)('a vault with %s', (_what, state, words, waysIn, nodes) => {
  const csi = facts(waysIn, nodes);

  it(`has a line of sight that is ${state}, in whole sentences`, () => {
    const sight = lineOfSight(csi);
    expect(sight?.state).toBe(state);
    expect(`${sight?.detail} ${sight?.remedy}`).toMatch(words);
    expect(sight?.detail).toMatch(/^[A-Z].*\.$/);
    expect(sight?.remedy).toMatch(state === 'missing' ? /^[A-Z].*\.$/ : /^$/);
  });

  it(state === 'missing' ? 'is refused' : 'is planned with a warning, and the mount decides', () => {
    const result = connect(csi);
    expect(result.faults.map(({ code }) => code)).toEqual(state === 'missing' ? ['VaultNotReachedByNodes'] : []);
    if (state === 'missing') {
      expect(result.faults[0]?.detail).toMatch(words);
      return;
    }
    expect(warnings(result)).toMatch(words);
    expect(warnings(result)).toMatch(/whether it has the objects, the mount at the end shows\.$/);
  });
});

describe('an inspection', () => {
  const look = (csi: CsiFacts | undefined) =>
    inspectCsi({
      at: NOW,
      cluster: goodCluster(),
      inside: csiInside({
        classes: [
          {
            namespace: 'apps',
            name: 'web',
            ours: true,
            problems: [],
            pods: [],
            content: {
              vaultName: 'kv-app',
              tenantId: 'tenant-1',
              cloudName: 'AzurePublicCloud',
              identity: { mode: 'managed-identity' },
              objects: [],
            },
          },
        ],
      }),
      azure: [csi],
    }).classes[0];

  it('says of each class whether the nodes have a way to its vault', () => {
    expect(look(csiFacts())).toMatchObject({ lineOfSight: 'not-needed', broken: [], unknown: [] });
    expect(look(facts(CLOSED, [POOL]))).toMatchObject({
      lineOfSight: 'missing',
      broken: [expect.stringMatching(/^The nodes have no way to the vault kv-app.*privatelink\.vaultcore/)],
    });
    const near = { ...CLOSED, endpoints: [NEAR] };
    expect(look(facts(near, [POOL]))).toMatchObject({
      lineOfSight: 'seen',
      broken: [],
      unknown: [expect.stringMatching(/kv-app\.vault\.azure\.net leads there/)],
    });
    expect(look({ ...csiFacts(), vault: { known: false, why: 'It is not seen.' } })).toMatchObject({
      lineOfSight: null,
    });
    expect(look(undefined)).toMatchObject({ lineOfSight: null });
  });
});

it('the private DNS zone of each cloud is the one that Azure documents', () => {
  expect(CLOUDS.map(({ name }) => privateZone(name))).toEqual([
    'privatelink.vaultcore.azure.net',
    'privatelink.vaultcore.azure.cn',
    'privatelink.vaultcore.usgovcloudapi.net',
  ]);
});
