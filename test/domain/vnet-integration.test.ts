/** Plans that turn API Server VNet Integration on, and the requests that are refused. */
import { describe, expect, it } from '@jest/globals';
import type { StepStatus } from '../../domain/operation';
import type { AzureObservation, ObservedCluster } from '../../domain/observed';
import { planFaults } from '../../domain/plan/check-plan';
import type { Plan, PlanResult } from '../../domain/plan/plan';
import type { PlanStep } from '../../domain/plan/steps';
import { plan } from '../../domain/planner';
import { stateLeft } from '../../domain/state-left';
import type { VnetSight } from '../../domain/vnet-integration';
import {
  azureFor,
  CLUSTER,
  FOREIGN_KEY,
  identityAccess,
  KEY_1,
  KEY_2,
  ledgerFor,
  observation,
  requestOf,
  VAULT_CONTRIBUTOR,
} from './fixtures';

const KINDS = ['enable-kms', 'change-vault', 'change-vault-access'] as const;
type KindName = (typeof KINDS)[number];
const KEYS: Readonly<Record<KindName, string | undefined>> = {
  'enable-kms': KEY_2,
  'change-vault': FOREIGN_KEY,
  'change-vault-access': undefined,
};
const GROUP = CLUSTER.split('/Microsoft.ContainerService/')[0] ?? '';
const SUBNET = `${GROUP}/Microsoft.Network/virtualNetworks/net/subnets/api`;
const RESTART = ['stop-cluster', 'start-cluster', 'await-api-servers'];
const ALL = ['enable-vnet-integration', ...RESTART];
/** Of a cluster without the integration, or with one that is not in effect. */
const SIGHT: VnetSight = { tunnel: true, hindrances: [], unread: [] };

interface Change {
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly cluster?: Partial<ObservedCluster>;
  readonly sight?: Partial<VnetSight>;
}

function result(kind: KindName, { parameters = {}, cluster = {}, sight = {} }: Change = {}): PlanResult {
  const facts = azureFor(kind);
  if (!facts.cluster.found) throw new Error('There is a cluster.');
  const observed: AzureObservation = {
    ...facts,
    cluster: { found: true, cluster: { ...facts.cluster.cluster, vnetIntegration: false, ...cluster } },
    identityAccess: identityAccess({
      keyId: KEYS[kind] ?? KEY_1,
      roles: { known: true, value: [VAULT_CONTRIBUTOR] },
    }),
  };
  const key = KEYS[kind] === undefined ? {} : { keyId: KEYS[kind] };
  const wanted = { vaultAccess: 'Private', enableVnetIntegration: true, apiServerSubnetId: SUBNET };
  const request = requestOf(kind, { ...key, ...wanted, ...parameters });
  const vnetSight = { ...SIGHT, ...sight };
  return plan(
    request,
    { ...observation(observed, ledgerFor(kind, { proven: false })), vnetSight },
    { approvalsRequired: 1 },
  );
}
const planOf = (kind: KindName, change?: Change): Plan => {
  const made = result(kind, change);
  if (made.plan === null) throw new Error(JSON.stringify(made.faults));
  return made.plan;
};
const types = ({ steps }: Plan): string[] => steps.map(({ type }) => type);
const codes = (kind: KindName, change: Change): string[] => result(kind, change).faults.map(({ code }) => code);

describe.each(KINDS)('%s', (kind) => {
  it('turns the integration on before anything else, after a gate of its own', () => {
    const made = planOf(kind);
    const first = made.steps.findIndex(({ type }) => type !== 'gate');
    const gates = made.steps.slice(0, first).map(({ id }) => id);
    expect(gates.at(-1)).toBe('approve-vnet-integration');
    expect(types(made).slice(first, first + ALL.length)).toEqual(ALL);
    expect(made.summary).toMatch(/^First turn API Server VNet Integration on, by a stop and a start of the cluster\. /);
    expect(made.warnings.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['ClusterIsStopped', 'ApiServerAddressChanges', 'VnetIntegrationIsFinal']),
    );
    // The kind's own steps are those of a cluster that has it.
    const {
      enableVnetIntegration: _on,
      apiServerSubnetId: _subnet,
      ...plain
    } = {
      enableVnetIntegration: undefined,
      apiServerSubnetId: undefined,
      vaultAccess: 'Private',
    };
    const without = planOf(kind, {
      parameters: { ...plain, enableVnetIntegration: false, apiServerSubnetId: undefined },
      cluster: { vnetIntegration: true },
      sight: { tunnel: false },
    });
    expect(made.steps.slice(first + ALL.length)).toEqual(without.steps.slice(first - 1));
  });

  it('only restarts a cluster where ARM reports it and it is not in effect', () => {
    const made = planOf(kind, { cluster: { vnetIntegration: true } });
    expect(types(made).filter((type) => ALL.includes(type))).toEqual(RESTART);
    expect(made.warnings.map(({ code }) => code)).not.toContain('VnetIntegrationIsFinal');
  });

  it('is refused without the parameter, which the refusal names', () => {
    const parameters = { enableVnetIntegration: false, apiServerSubnetId: undefined };
    for (const cluster of [{}, { vnetIntegration: true }]) {
      expect(result(kind, { parameters, cluster }).faults).toMatchObject([
        { code: 'VnetIntegrationMissing', detail: expect.stringMatching(/`enableVnetIntegration` true.*az aks stop/) },
      ]);
    }
    // Where Keyturn may not look for konnectivity-agent, ARM's word counts.
    expect(codes(kind, { parameters, cluster: { vnetIntegration: true }, sight: { tunnel: null } })).toEqual([]);
  });

  it('is refused with the parameter where nothing needs it', () => {
    const has = { cluster: { vnetIntegration: true }, sight: { tunnel: false } };
    expect(codes(kind, has)).toEqual(['VnetIntegrationNotNeeded']);
    expect(codes(kind, { parameters: { vaultAccess: 'Public' } })).toContain('VnetIntegrationNotNeeded');
    expect(codes(kind, { ...has, parameters: { enableVnetIntegration: false } })).toEqual(['VnetIntegrationNotNeeded']);
  });

  it('is refused where the integration could not be turned on, or the cluster not be stopped', () => {
    expect(codes(kind, { parameters: { apiServerSubnetId: undefined } })).toEqual(['SubnetMissing']);
    expect(codes(kind, { cluster: { nodeAutoProvisioning: true } })).toEqual(['ClusterCannotStop']);
    const pool = { name: 'old', version: '1.34.1', wantedVersion: '1.34.1', count: 1, mode: 'User' };
    expect(result(kind, { cluster: { agentPools: [{ ...pool, availabilitySet: true }] } }).faults).toMatchObject([
      { code: 'ClusterCannotStop', detail: expect.stringContaining('availability sets: old') },
    ]);
  });

  it('is refused because of webhooks, by name, and of those that Keyturn may not see', () => {
    const hindrances = ['webhook deny.example.com (ValidatingWebhookConfiguration policies) has wildcards in rule 1'];
    expect(result(kind, { sight: { hindrances } }).faults).toMatchObject([
      { code: 'WebhooksPreventStop', detail: expect.stringMatching(/deny\.example\.com.*Nothing was changed/) },
    ]);
    expect(codes(kind, { sight: { unread: ['mutatingwebhookconfigurations'] } })).toEqual(['WebhooksPreventStop']);
    // A cluster that is not to be stopped may have any.
    const parameters = { enableVnetIntegration: false, apiServerSubnetId: undefined };
    const has = { cluster: { vnetIntegration: true }, sight: { tunnel: false, hindrances } };
    expect(codes(kind, { ...has, parameters })).toEqual([]);
  });
});

describe('a plan that is none is found', () => {
  const { steps, from } = planOf('change-vault');
  const faults = (changed: readonly PlanStep[]): string =>
    planFaults(changed, { state: from, proven: false }).join(' ');

  it('and one that is one is not', () => expect(faults(steps)).toBe(''));

  it.each(['approve-vnet-integration', 'vnet.stop-cluster', 'vnet.start-cluster', 'vnet.await-api-servers'])(
    'without the step %s',
    (id) => expect(faults(steps.filter((step) => step.id !== id))).not.toBe(''),
  );

  it('when the cluster is stopped after API servers were seen', () => {
    const isVnet = ({ id }: PlanStep): boolean => id.startsWith('vnet.');
    const others = steps.filter((step) => !isVnet(step));
    const at = others.findIndex(({ type }) => type === 'take-baseline');
    expect(faults([...others.slice(0, at), ...steps.filter(isVnet), ...others.slice(at)])).toMatch(
      /are others after it/,
    );
  });
});

describe('the state that an operation leaves', () => {
  const made = planOf('enable-kms');
  const left = (...begun: readonly (readonly [string, StepStatus['status']])[]): string =>
    stateLeft(
      made,
      begun.map(([id, status]) => ({ id, status, startedAt: 'then' })),
      { outputs: {} },
    );

  it.each([
    ['the integration was asked for', [['vnet.enable-integration', 'interrupted']], /may have been asked to turn/],
    ['it is on', [['vnet.enable-integration', 'done']], /is not in effect.*az aks stop, az aks start/],
    ['the cluster may be stopped', [['vnet.stop-cluster', 'blocked']], /look at its power state/],
    [
      'it was not seen to start',
      [
        ['vnet.stop-cluster', 'done'],
        ['vnet.start-cluster', 'blocked'],
      ],
      /not seen to run/,
    ],
    [
      'it was restarted',
      [
        ['vnet.stop-cluster', 'done'],
        ['vnet.start-cluster', 'done'],
      ],
      /was stopped and started/,
    ],
  ] as const)('is told when %s', (_what, begun, sentence) => {
    expect(left(...begun)).toMatch(sentence);
    expect(left(...begun)).toMatch(/key was not changed\. Keep every key/);
  });
});
