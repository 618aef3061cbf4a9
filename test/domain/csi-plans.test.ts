/** Plans and rules of connect-csi and disconnect-csi: what is right is kept, and what others made is named and never overwritten. */
import { describe, expect, it } from '@jest/globals';
import { ConnectParameters, credentialName, isCredentialFor } from '../../domain/csi/parameters';
import { missingTypes, uncertainTypes } from '../../domain/csi/read-rights';
import { secondsOf } from '../../domain/csi/rotation';
import type { CsiFacts, CsiInside, SeenClass } from '../../domain/csi/facts';
import type { CsiObject } from '../../domain/csi/objects';
import { applyChange, isApplied, type ClusterBodyParts } from '../../domain/cluster-change';
import type { ObservedCluster } from '../../domain/observed';
import type { PlanResult } from '../../domain/plan/plan';
import { plan } from '../../domain/planner';
import {
  azure,
  CLUSTER,
  csiFacts,
  csiInside,
  goodCluster,
  IDENTITY,
  observation,
  READ_VAULT_ID,
  requestOf,
} from './fixtures';

const ISSUER = 'https://westeurope.oic.prod-aks.azure.com/tenant-1/1/';
const SUBJECT = 'system:serviceaccount:apps:web';
const AUDIENCES = ['api://AzureADTokenExchange'];
const EXISTS = { state: 'exists', resourceId: IDENTITY, clientId: 'client-1', principalId: 'principal-1' } as const;
const ADD_ON: Partial<ObservedCluster> = {
  secretsProvider: {
    enabled: true,
    pollInterval: '2m',
    identity: { resourceId: '/add-on', clientId: 'client-a', objectId: 'principal-a' },
  },
};
const READY: Partial<ObservedCluster> = { ...ADD_ON, issuerUrl: ISSUER, workloadIdentity: true };
const READER = {
  name: 'reader',
  actions: [],
  notActions: [],
  dataActions: ['Microsoft.KeyVault/vaults/*'],
  notDataActions: [],
  uncertain: false,
};
const OBJECTS: CsiObject[] = [
  { objectName: 'secret1', objectType: 'secret' },
  { objectName: 'cert1', objectType: 'cert' },
];
const BASE = { namespace: 'apps', secretProviderClass: 'web', vaultId: READ_VAULT_ID, objects: OBJECTS };
const BY_ACCOUNT = { ...BASE, mode: 'workload-identity', serviceAccount: 'web', identity: IDENTITY };
const BY_NODES = { ...BASE, mode: 'managed-identity' };
const BY_SERVICE = { ...BASE, mode: 'service-connector' };

interface Facts {
  readonly csi?: CsiFacts;
  readonly cluster?: Partial<ObservedCluster>;
  readonly inside?: Partial<CsiInside>;
}

const planOf = (kind: string, parameters: Record<string, unknown>, { csi, cluster, inside }: Facts = {}): PlanResult =>
  plan(
    requestOf(kind, parameters),
    {
      ...observation({ ...azure({ cluster }), ...(csi ? { csi } : {}) }),
      csiInside: csiInside(inside),
    },
    { approvalsRequired: 1 },
  );
const connect = (parameters: Record<string, unknown>, facts: Facts = {}): PlanResult =>
  planOf('connect-csi', parameters, { csi: csiFacts(), cluster: READY, ...facts });
const types = (result: PlanResult): string[] =>
  result.plan?.steps.map(({ type }) => type) ?? result.faults.map(({ code }) => code);
const codes = (result: PlanResult): string[] => result.faults.map(({ code }) => code);
const roles = { roles: { known: true as const, value: [READER] }, denials: { known: true as const, value: [] } };

const CLASS: SeenClass = {
  namespace: 'apps',
  name: 'web',
  ours: true,
  problems: [],
  pods: [],
  content: {
    vaultName: 'kv-app',
    tenantId: 'tenant-1',
    cloudName: 'AzurePublicCloud',
    identity: { mode: 'workload-identity', clientId: 'client-1' },
    objects: OBJECTS,
  },
};
/** What a class says that reads by the identity of the add-on. */
const OF_ADD_ON = {
  vaultName: 'kv-app',
  tenantId: 'tenant-1',
  cloudName: 'AzurePublicCloud',
  identity: { mode: 'managed-identity' as const, clientId: 'CLIENT-A' },
  objects: OBJECTS,
};
const FINAL = ['create-secret-provider-class', 'prove-mount'];
const FINAL_WITH_ROTATION = [...FINAL, 'prove-rotation'];

describe('a connection by workload identity', () => {
  const credential = { name: 'by-hand', issuer: ISSUER, subject: SUBJECT, audiences: AUDIENCES };

  it('has every step on a cluster with nothing, and keeps what is right', () => {
    expect(types(connect(BY_ACCOUNT, { cluster: {} }))).toEqual([
      'gate',
      'enable-secrets-provider',
      'enable-workload-identity',
      'create-identity',
      'create-federated-credential',
      'grant-vault-read',
      'create-service-account',
      ...FINAL,
    ]);
    const csi = csiFacts({ identity: EXISTS, ...roles, credentials: { known: true, value: [credential] } });
    const inside = {
      serviceAccount: { namespace: 'apps', name: 'web', ours: false, clientId: 'CLIENT-1' },
      classes: [CLASS],
    };
    const kept = connect(BY_ACCOUNT, { csi, inside });
    expect(types(kept)).toEqual(['gate', 'create-service-account', ...FINAL_WITH_ROTATION]);
    expect(kept.plan?.steps.slice(1, 3)).toMatchObject([{ exists: true }, { exists: true }]);
  });

  it('gives rights for the types that are missing only, as the vault gives them', () => {
    const grant = (csi: CsiFacts): unknown =>
      connect(BY_ACCOUNT, { csi }).plan?.steps.find(({ type }) => type === 'grant-vault-read');
    const policy = { secrets: ['all'], keys: [], certificates: ['list'] };
    expect(grant(csiFacts({ identity: EXISTS, vault: { permissionModel: 'access-policy', policy } }))).toMatchObject({
      permissionModel: 'access-policy',
      types: ['cert'],
    });
    expect(grant(csiFacts({ identity: EXISTS, ...roles }))).toBeUndefined();
    const denied = { known: true as const, value: [{ ...READER, dataActions: ['*/getSecret/action'] }] };
    expect(
      missingTypes(csiFacts({ identity: EXISTS, ...roles, denials: denied }), { types: ['secret', 'key'] }),
    ).toEqual(['secret']);
    const conditional = { known: true as const, value: [{ ...READER, uncertain: true }] };
    const csi = csiFacts({ identity: EXISTS, ...roles, roles: conditional });
    expect(uncertainTypes(csi, { types: ['secret'] })).toEqual(['secret']);
    expect(connect(BY_ACCOUNT, { csi }).plan?.warnings.map(({ code }) => code)).toContain('ReadRightsUnknown');
  });

  it.each([
    ['of another form of the issuer', { issuer: ISSUER.slice(0, -1) }],
    ['of another subject', { subject: `${SUBJECT}2` }],
    ['for another audience', { audiences: ['api://Other'] }],
  ])('never overwrites the credential %s', (_, change) => {
    const name = credentialName(CLUSTER, SUBJECT);
    const value = [{ ...credential, name, ...change }];
    expect(isCredentialFor({ ...credential, ...change }, credential)).toBe(false);
    const csi = csiFacts({ identity: EXISTS, ...roles, credentials: { known: true, value } });
    const { faults } = connect(BY_ACCOUNT, { csi });
    expect(faults).toMatchObject([{ code: 'FederatedCredentialDiffers', detail: expect.stringContaining(name) }]);
  });

  it('names a credential of its issuer and subject that has another audience: Azure takes no second one', () => {
    const value = [{ ...credential, audiences: ['api://Other'] }];
    const csi = csiFacts({ identity: EXISTS, ...roles, credentials: { known: true, value } });
    expect(codes(connect(BY_ACCOUNT, { csi }))).toEqual(['FederatedCredentialDiffers']);
    const elsewhere = csiFacts({
      identity: EXISTS,
      credentials: { known: true, value: [{ ...credential, issuer: 'https://x/' }] },
    });
    expect(connect(BY_ACCOUNT, { csi: elsewhere }).plan?.warnings.map(({ code }) => code)).toContain(
      'FederatedCredentialOfAnotherIssuer',
    );
  });
});

describe('a connection by an identity of the nodes', () => {
  const machine = { resourceId: '/vmss/pool1', identities: [] as string[] };

  it('uses the one of the add-on, or assigns one to the machines that lack it', () => {
    expect(types(connect(BY_NODES, { cluster: {} }))).toEqual([
      'gate',
      'enable-secrets-provider',
      'grant-vault-read',
      ...FINAL,
    ]);
    const nodes = { known: true as const, value: [machine, { ...machine, identities: [IDENTITY.toUpperCase()] }] };
    const named = { ...BY_NODES, identity: IDENTITY };
    const lacking = connect(named, { csi: csiFacts({ identity: EXISTS, ...roles, nodes }) });
    expect(types(lacking)).toEqual(['gate', 'assign-node-identity', ...FINAL_WITH_ROTATION]);
    expect(lacking.plan?.steps[1]?.title).toMatch(/: pool1$/);
    expect(types(connect(named, { csi: csiFacts({ nodes: { known: true, value: [machine] } }) })).slice(1, 4)).toEqual([
      'create-identity',
      'assign-node-identity',
      'grant-vault-read',
    ]);
    const system = { state: 'exists', principalId: 'principal-s' } as const;
    const own = connect(
      { ...BY_NODES, identity: 'system-assigned' },
      { csi: csiFacts({ identity: system, nodes, ...roles, roles: { known: true, value: [] } }) },
    );
    expect(own.plan?.steps[1]).toMatchObject({ type: 'grant-vault-read', identity: { from: 'nodes' } });
    expect(own.plan?.warnings.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['EveryPodMayRead', 'EachScaleSetReadsItself']),
    );
  });

  it('gives rights when one of several scale sets lacks them, and names how many there are', () => {
    const system = { state: 'exists', principalId: 'principal-s' } as const;
    const vault = csiFacts().vault;
    const withOther = (value: (typeof READER)[]): PlanResult =>
      connect(
        { ...BY_NODES, identity: 'system-assigned' },
        {
          csi: csiFacts({
            identity: system,
            nodes: { known: true, value: [machine] },
            ...roles,
            otherNodes: [{ principalId: 'principal-t', vault, ...roles, roles: { known: true, value } }],
          }),
        },
      );
    expect(types(withOther([READER]))).toEqual(['gate', ...FINAL_WITH_ROTATION]);
    expect(withOther([]).plan?.steps[1]).toMatchObject({
      type: 'grant-vault-read',
      title: expect.stringMatching(/identities of the 2 scale sets/),
    });
    expect(withOther([{ ...READER, uncertain: true }]).plan?.warnings.map(({ code }) => code)).toContain(
      'ReadRightsUnknown',
    );
  });

  it('is refused where the machines are not seen', () => {
    const csi = csiFacts({ identity: EXISTS, nodes: { known: false, why: 'Not seen.' } });
    expect(codes(connect({ ...BY_NODES, identity: IDENTITY }, { csi }))).toEqual(['IdentityNotSeen']);
  });
});

describe('a connection by Service Connector', () => {
  const found = (change: object): CsiFacts =>
    csiFacts({
      connections: {
        known: true,
        value: [{ name: 'mine', targetId: READ_VAULT_ID.toUpperCase(), byCsiDriver: true, ...change }],
      },
    });

  it('is made under a name that Service Connector takes, or the one of the vault is used', () => {
    const none = csiFacts({ connections: { known: true, value: [] } });
    const made = connect(BY_SERVICE, { csi: none });
    const [, note, step] = made.plan?.steps ?? [];
    expect(types(made)).toEqual([
      'gate',
      FINAL[0],
      'create-service-connection',
      'grant-vault-read',
      ...FINAL_WITH_ROTATION.slice(1),
    ]);
    expect(step).toMatchObject({ name: 'kv_app', exists: false });
    // The class notes it before it is made.
    expect(note).toMatchObject({ connection: { name: 'kv_app', vaultId: READ_VAULT_ID } });
    const used = connect(BY_SERVICE, { csi: found({}) }).plan?.steps ?? [];
    expect(used[2]).toMatchObject({ name: 'mine', exists: true });
    expect(used[1]).not.toHaveProperty('connection');
  });

  it('is not noted in a class that others made, and approvers learn that it will stay', () => {
    const content = { ...OF_ADD_ON, identity: { mode: 'managed-identity' as const, clientId: 'client-1' } };
    const csi = csiFacts({ identity: EXISTS, connections: { known: true, value: [] } });
    const by = (ours: boolean): PlanResult =>
      connect(BY_SERVICE, { csi, inside: { classes: [{ ...CLASS, ours, content }] } });
    expect(by(false).plan?.steps[1]).not.toHaveProperty('connection');
    expect(by(false).plan?.warnings.map(({ code }) => code)).toContain('ServiceConnectionStays');
    expect(by(true).plan?.steps[1]).toHaveProperty('connection');
    expect(by(true).plan?.warnings.map(({ code }) => code)).not.toContain('ServiceConnectionStays');
  });

  it('is refused where the name goes elsewhere, the connection is of another sort, or none can be read', () => {
    const elsewhere = found({ name: 'KV_app', targetId: '/elsewhere' });
    expect(codes(connect(BY_SERVICE, { csi: elsewhere }))).toEqual(['ServiceConnectionDiffers']);
    expect(codes(connect(BY_SERVICE, { csi: found({ byCsiDriver: false }) }))).toEqual(['ServiceConnectionDiffers']);
    const unread = csiFacts({ connections: { known: false, why: 'Not seen.' } });
    expect(codes(connect(BY_SERVICE, { csi: unread }))).toEqual(['ServiceConnectionDiffers']);
  });
});

describe('a connection is refused', () => {
  const account = (clientId?: string) => ({
    serviceAccount: { namespace: 'apps', name: 'web', ours: false, clientId },
  });
  const differing = { ...CLASS, content: undefined, problems: ['tenantID is not provided.'] };
  const seen = csiFacts({ identity: EXISTS, ...roles });
  const cases: [string, string, Record<string, unknown>, Facts][] = [
    [
      'VaultNotFound',
      'of a vault that is not seen',
      BY_ACCOUNT,
      { csi: { ...seen, vault: { known: false, why: 'Gone.' } } },
    ],
    [
      'IdentityNotSeen',
      'of an identity that is not seen',
      BY_ACCOUNT,
      { csi: csiFacts({ identity: { state: 'unknown', why: 'No.' } }) },
    ],
    [
      'IdentityNotSeen',
      'of credentials that are not seen',
      BY_ACCOUNT,
      { csi: csiFacts({ identity: EXISTS, credentials: { known: false, why: 'No.' } }) },
    ],
    [
      'SecretsProviderDiffers',
      'of an add-on that rotates otherwise',
      { ...BY_ACCOUNT, rotationPollInterval: '5m' },
      { csi: seen },
    ],
    [
      'CsiDriverInstalledOtherwise',
      'of a driver that Helm installed',
      BY_ACCOUNT,
      { csi: seen, inside: { otherInstallations: ['csi/driver'] } },
    ],
    [
      'NamespaceNotFound',
      'of a namespace that is not there',
      BY_ACCOUNT,
      { csi: seen, inside: { namespaceFound: false } },
    ],
    [
      'ServiceAccountDiffers',
      'of a service account of another identity',
      BY_ACCOUNT,
      { csi: seen, inside: account('other') },
    ],
    [
      'ServiceAccountDiffers',
      'of a service account whose identity is not there',
      BY_ACCOUNT,
      { inside: account('other') },
    ],
    [
      'SecretProviderClassDiffers',
      'of a class that the provider would not take',
      BY_ACCOUNT,
      { csi: seen, inside: { classes: [differing] } },
    ],
    [
      'SecretProviderClassDiffers',
      'of a class of another vault',
      BY_ACCOUNT,
      { csi: csiFacts({ ...seen, vault: { tenantId: 'tenant-2' } }), inside: { classes: [CLASS] } },
    ],
    [
      'ClusterNotRunning',
      'of a cluster that is stopped',
      BY_ACCOUNT,
      { csi: seen, cluster: { ...READY, powerState: 'Stopped' } },
    ],
  ];

  it.each(cases)('with %s because %s', (code, _, parameters, facts) => {
    expect(codes(connect(parameters, facts))).toEqual([code]);
  });

  it('where the parameters contradict each other', () => {
    const refused = [
      { ...BY_ACCOUNT, identity: 'add-on' },
      { ...BY_ACCOUNT, serviceAccount: undefined },
      { ...BY_NODES, serviceAccount: 'web' },
      { ...BY_NODES, connectionName: 'c1' },
      { ...BY_SERVICE, identity: IDENTITY },
      { ...BY_NODES, objects: [OBJECTS[0], OBJECTS[0]] },
      {
        ...BY_NODES,
        objects: Array.from({ length: 40 }, (_, n) => ({ objectName: `${n}`.padEnd(127, 'x'), objectType: 'key' })),
      },
    ];
    for (const parameters of refused) expect(ConnectParameters.safeParse(parameters).success).toBe(false);
    for (const parameters of [BY_ACCOUNT, BY_NODES, BY_SERVICE])
      expect(ConnectParameters.safeParse(parameters).success).toBe(true);
  });
});

it('approvers learn of what a connection does not do, and of what it opens', () => {
  const warnings = (cluster: Partial<ObservedCluster>, vault = {}, more = {}): string[] =>
    (connect({ ...BY_ACCOUNT, ...more }, { cluster, csi: csiFacts({ vault }) }).plan?.warnings ?? []).map(
      ({ code }) => code,
    );
  expect(warnings(READY)).toEqual([]);
  expect(warnings({})).toEqual(['RotationOff']);
  // A probe in it is made only where the request says that Keyturn has a way to it.
  const closed = { openToAllNetworks: false };
  expect(warnings(READY, closed)).toEqual(['RotationNotProven', 'VaultNotOpenToNodes']);
  expect(warnings(READY, closed, { proveRotation: true })).toEqual(['VaultNotOpenToNodes']);
});

describe('rotation', () => {
  const rotation = (parameters: object, cluster: Partial<ObservedCluster> = READY): unknown => {
    const { plan: made } = connect({ ...BY_ACCOUNT, ...parameters }, { cluster });
    const step = made?.steps.find(({ type }) => type === 'prove-rotation');
    return step ?? made?.warnings.map(({ code, detail }) => `${code}: ${detail}`).join('\n');
  };
  const only = (objectType: string) => ({ objects: [{ objectName: 'o1', objectType }] });
  const every = (pollInterval: string) => ({
    ...READY,
    secretsProvider: { enabled: true, pollInterval },
  });

  it('is proven after the mount where it is on, or goes on, with a probe of a type that the identity may read', () => {
    expect(rotation({})).toMatchObject({ probe: 'secret', pollInterval: '2m', class: 'web', serviceAccount: 'web' });
    expect(rotation(only('key'))).toMatchObject({ probe: 'key' });
    expect(rotation({ rotationPollInterval: '30s' }, {})).toMatchObject({ probe: 'secret', pollInterval: '30s' });
    const steps = types(connect(BY_ACCOUNT, {}));
    expect(steps.slice(-2)).toEqual(['prove-mount', 'prove-rotation']);
  });

  it('is off, or not proven, and approvers learn which and why', () => {
    expect(rotation({}, {})).toMatch(/^RotationOff: /);
    expect(rotation({ proveRotation: false })).toMatch(/^RotationNotProven: .*proveRotation false/);
    expect(rotation(only('cert'))).toMatch(/^RotationNotProven: .*certificates only/);
    expect(rotation({}, every('31m'))).toMatch(/^RotationNotProven: .*31m.*at most 30 minutes/);
    expect(rotation({}, every('soon'))).toMatch(/^RotationNotProven: .*soon/);
  });

  it('has the durations of Go', () => {
    expect(['2m', '1h30m', '90s', '2m0s', '1.5s', '500ms', '0s', '', '2', 'm'].map(secondsOf)).toEqual([
      ...[120, 5_400, 90, 120, 1.5, 0.5],
      ...[undefined, undefined, undefined, undefined],
    ]);
  });
});

describe('a disconnection', () => {
  const PLACE = { namespace: 'apps', secretProviderClass: 'web' };
  const disconnect = (parameters: object, inside: Partial<CsiInside>, cluster = ADD_ON): PlanResult =>
    planOf('disconnect-csi', { ...PLACE, ...parameters }, { cluster, inside });

  it('removes what Keyturn made, and the add-on when that is asked for and it is on', () => {
    expect(types(disconnect({}, { classes: [CLASS] }))).toEqual(['gate', 'delete-secret-provider-class']);
    const all = { serviceAccount: 'web', identity: IDENTITY, disableAddOn: true };
    const others = { serviceAccount: { namespace: 'apps', name: 'web', ours: false }, classes: [CLASS] };
    expect(types(disconnect(all, others))).toEqual([
      'gate',
      'delete-secret-provider-class',
      'delete-federated-credential',
      'disable-secrets-provider',
    ]);
    expect(types(disconnect(all, others, {}))).not.toContain('disable-secrets-provider');
  });

  it.each([
    ['NotMadeByKeyturn', {}, [{ ...CLASS, ours: false }]],
    ['SecretProviderClassInUse', {}, [{ ...CLASS, pods: ['apps/web-0'] }]],
    ['SecretProviderClassInUse', { disableAddOn: true }, [CLASS, { ...CLASS, name: 'other' }]],
  ])('is refused with %s', (code, parameters, classes) => {
    expect(codes(disconnect(parameters, { classes }))).toEqual([code]);
  });
});

describe('a disconnection by Service Connector', () => {
  const since = '2026-01-02T03:04:05Z';
  const made = { name: 'kv_app', vaultId: READ_VAULT_ID, since };
  const ours: SeenClass = { ...CLASS, content: OF_ADD_ON, connection: made };
  const mine = { name: 'KV_app', targetId: READ_VAULT_ID.toUpperCase(), byCsiDriver: true };
  const disconnect = (connections: CsiFacts['connections'], classes: readonly SeenClass[] = [ours]): PlanResult =>
    planOf(
      'disconnect-csi',
      { namespace: 'apps', secretProviderClass: 'web' },
      { cluster: ADD_ON, csi: csiFacts({ connections }), inside: { classes: [...classes] } },
    );
  const seen = (...value: (typeof mine)[]): CsiFacts['connections'] => ({ known: true, value });
  const stays = (result: PlanResult): string | undefined =>
    result.plan?.warnings.find(({ code }) => code === 'ServiceConnectionStays')?.detail;

  it('removes the connection that the class notes, and before the class, also when it may be gone', () => {
    const steps = ['gate', 'delete-service-connection', 'delete-secret-provider-class'];
    for (const connections of [seen(mine), seen()]) {
      const result = disconnect(connections);
      expect(types(result)).toEqual(steps);
      expect(result.plan?.steps[1]).toMatchObject({ name: 'kv_app', noted: { class: 'web', since } });
      expect(stays(result)).toBeUndefined();
    }
  });

  it.each([
    ['goes elsewhere', seen({ ...mine, targetId: '/elsewhere' }), [ours], /KV_app|kv_app.*elsewhere/],
    ['uses no driver', seen({ ...mine, byCsiDriver: false }), [ours], /without the driver/],
    ['has another name', seen({ ...mine, name: 'theirs' }), [ours], /theirs .*another client/],
    ['is noted nowhere', seen(mine), [{ ...CLASS, content: OF_ADD_ON }], /KV_app .*did not make it/],
  ])('leaves a connection that %s, and says so', (_, connections, classes, words) => {
    const result = disconnect(connections, classes);
    expect(types(result)).toEqual(['gate', 'delete-secret-provider-class']);
    expect(stays(result)).toMatch(words);
  });

  it('is refused while other classes read the vault by it, with their names, or when connections are not seen', () => {
    const others: SeenClass[] = [
      { ...ours, name: 'second', connection: undefined, ours: false },
      { ...ours, namespace: 'other', connection: undefined },
      { ...ours, name: 'elsewhere', content: { ...OF_ADD_ON, vaultName: 'kv-other' } },
      { ...ours, name: 'own', content: { ...OF_ADD_ON, identity: { mode: 'managed-identity', clientId: 'own' } } },
    ];
    expect(disconnect(seen(mine), [ours, ...others]).faults).toMatchObject([
      { code: 'SecretProviderClassInUse', detail: expect.stringContaining(': apps/second, other/web.') },
    ]);
    expect(codes(disconnect({ known: false, why: 'Not seen.' }))).toEqual(['ServiceConnectionDiffers']);
    // A class that notes none needs no look.
    expect(codes(disconnect({ known: false, why: 'Not seen.' }, [CLASS]))).toEqual([]);
  });
});

describe('the add-on in the body of a cluster', () => {
  const change = { type: 'secrets-provider', enabled: true, pollInterval: '5m' } as const;

  it('is one, in the case in which Azure spells it, and other add-ons stay as they are', () => {
    const addonProfiles = {
      azurekeyvaultsecretsprovider: { enabled: false, config: null },
      omsagent: { enabled: false, config: null },
    };
    expect(applyChange({ properties: { addonProfiles } }, change).properties.addonProfiles).toEqual({
      ...addonProfiles,
      azurekeyvaultsecretsprovider: {
        enabled: true,
        config: { enableSecretRotation: 'true', rotationPollInterval: '5m' },
      },
    });
    expect(applyChange<ClusterBodyParts>({ properties: {} }, change).properties.addonProfiles).toHaveProperty(
      'azureKeyvaultSecretsProvider',
    );
  });

  it('is there when Azure reports it with the same rotation', () => {
    const reported = (pollInterval: string | null) => goodCluster({ secretsProvider: { enabled: true, pollInterval } });
    expect(isApplied(reported('5m'), change)).toBe(true);
    expect(isApplied(reported(null), change)).toBe(false);
    expect(isApplied(goodCluster(), { ...change, enabled: false })).toBe(true);
  });
});
