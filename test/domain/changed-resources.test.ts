/** What of Azure a plan changes outside its cluster: every type of step has a row, and every id in it is accounted for. */
import { describe, expect, it } from '@jest/globals';
import { KINDS } from '../../domain/kinds';
import type { EncryptionState } from '../../domain/encryption';
import { resourcesChanged } from '../../domain/plan/changed-resources';
import type { Plan } from '../../domain/plan/plan';
import { PlanStep, type StepOf, type StepType } from '../../domain/plan/steps';
import { plan } from '../../domain/planner';
import {
  azureFor,
  CLUSTER,
  FOREIGN_KEY,
  IDENTITY,
  insideFor,
  KEY_1,
  KEY_2,
  ledgerFor,
  observation,
  planned,
  READ_VAULT_ID,
  requestOf,
  VAULT_ID,
  WORKSPACE,
} from './fixtures';

const VAULT = READ_VAULT_ID;
const SUBNET = `${CLUSTER.split('/providers/')[0] ?? ''}/providers/Microsoft.Network/virtualNetworks/n/subnets/api`;
const NODES = SUBNET.replace('/api', '/nodes');
const OFF: EncryptionState = { mode: 'off' };
const PUBLIC: EncryptionState = { mode: 'on', scheme: 'kms-v2', key: KEY_1, access: 'Public' };
const PRIVATE: EncryptionState = { ...PUBLIC, access: 'Private', vaultId: VAULT };
/** The ARM id of the vault of `KEY_1`. */
const KV1 = VAULT.replace('kv-app', 'kv1');
const SAID = { title: 'Do it', reason: 'It is needed.' };

/** A step that changes as much as its type can, and what that is. `reads`: ids that it has and does not change. */
interface Row<Type extends StepType> {
  readonly step: Omit<StepOf<Type>, 'id' | 'title' | 'reason' | 'type'>;
  readonly changes: readonly string[];
  readonly reads?: readonly string[];
}

/** A type without a row does not compile. */
const ROWS: { readonly [Type in StepType]: Row<Type> } = {
  gate: { step: { gate: 'start', approvals: 1 }, changes: [] },
  'create-key-version': { step: { like: FOREIGN_KEY, expiry: null }, changes: ['the vault kv2'] },
  'take-baseline': { step: {}, changes: [] },
  'set-kms': { step: { expect: PUBLIC, to: PRIVATE }, changes: [VAULT], reads: [KEY_1] },
  converge: { step: { to: PRIVATE, baseline: null }, changes: [], reads: [KEY_1, VAULT] },
  rewrite: { step: { to: PUBLIC, since: 'a', perSecond: null, acceptable: false }, changes: [], reads: [KEY_1] },
  prove: { step: { to: PUBLIC, since: 'a', perSecond: null, acceptable: false }, changes: [], reads: [KEY_1] },
  'record-proof': { step: { to: PUBLIC, proof: 'a' }, changes: [], reads: [KEY_1] },
  'upgrade-control-plane': { step: { from: '1.26.3', to: '1.27.1', expect: OFF }, changes: [] },
  'upgrade-pool': { step: { pool: 'p', from: '1.26.3', to: '1.27.1', expect: OFF }, changes: [] },
  'check-key-unused': { step: { key: KEY_1, state: PUBLIC }, changes: [], reads: [KEY_1] },
  'disable-key-version': { step: { key: KEY_1, check: 'a' }, changes: [KV1] },
  soak: { step: { key: KEY_1, seconds: 1 }, changes: [], reads: [KEY_1] },
  'delete-key': { step: { key: KEY_1, check: 'a' }, changes: [KV1] },
  'set-vault-network': { step: { vaultId: VAULT, to: 'open', key: KEY_1 }, changes: [VAULT], reads: [KEY_1] },
  'grant-key-access': {
    step: { vaultId: VAULT, permissionModel: 'rbac', keyName: 'k', identityId: IDENTITY, principalId: null },
    changes: [VAULT],
    reads: [IDENTITY],
  },
  'set-vault-diagnostics': {
    step: { vaultId: VAULT, workspaceId: WORKSPACE, settingName: 's' },
    changes: [VAULT, WORKSPACE],
  },
  'confirm-vault-diagnostics': {
    step: { vaultId: VAULT, workspaceId: WORKSPACE },
    changes: [],
    reads: [VAULT, WORKSPACE],
  },
  'create-vault': {
    step: {
      vaultId: VAULT,
      location: 'l',
      tenantId: 't',
      permissionModel: 'rbac',
      access: 'Public',
      retentionDays: 90,
      exists: false,
    },
    changes: [VAULT],
  },
  'create-key': {
    step: {
      vaultId: VAULT,
      permissionModel: 'rbac',
      keyName: 'k',
      keyType: 'RSA',
      sizeInBits: 2048,
      expiry: null,
      exists: null,
    },
    changes: [VAULT],
  },
  'enable-key-version': { step: { key: KEY_1 }, changes: [KV1] },
  'extend-key-expiry': { step: { key: KEY_1, expiresOn: '2027-01-01T00:00:00.000Z' }, changes: [KV1] },
  'recover-deleted-key': { step: { key: KEY_1 }, changes: [KV1] },
  'recover-vault': { step: { vaultId: VAULT, location: 'l', key: KEY_1 }, changes: [VAULT], reads: [KEY_1] },
  'restore-identity': { step: { identityId: IDENTITY, location: 'l' }, changes: [IDENTITY] },
  'reconcile-cluster': { step: { expect: PRIVATE, replaces: null }, changes: [], reads: [KEY_1, VAULT] },
  'await-kms': { step: { state: PUBLIC }, changes: [], reads: [KEY_1] },
  'create-identity': { step: { identityId: IDENTITY, location: 'l' }, changes: [IDENTITY] },
  'grant-endpoint-approval': {
    step: { vaultId: VAULT, identityId: IDENTITY, principalId: null },
    changes: [VAULT],
    reads: [IDENTITY],
  },
  'create-cluster': {
    step: {
      to: PRIVATE,
      location: 'l',
      identityId: IDENTITY,
      kubernetesVersion: '',
      nodeCount: 1,
      vmSize: '',
      apiServerSubnetId: SUBNET,
      nodeSubnetId: NODES,
      dnsPrefix: 'd',
    },
    changes: [IDENTITY, SUBNET, NODES, VAULT],
    reads: [KEY_1],
  },
  'enable-vnet-integration': { step: { subnetId: SUBNET, expect: OFF }, changes: [SUBNET] },
  'stop-cluster': { step: { expect: OFF }, changes: [] },
  'start-cluster': { step: { expect: OFF }, changes: [] },
  'await-api-servers': { step: {}, changes: [] },
  'enable-secrets-provider': { step: { expect: OFF, pollInterval: null }, changes: [] },
  'enable-workload-identity': { step: { expect: OFF }, changes: [] },
  'assign-node-identity': { step: { identityId: IDENTITY }, changes: [IDENTITY] },
  'create-federated-credential': { step: { identityId: IDENTITY, name: 'n', subject: 's' }, changes: [IDENTITY] },
  'grant-vault-read': {
    step: {
      vaultId: VAULT,
      permissionModel: 'rbac',
      identity: { from: 'resource', identityId: IDENTITY },
      types: ['secret'],
    },
    changes: [VAULT],
    reads: [IDENTITY],
  },
  'create-service-connection': {
    step: { name: 'n', namespace: 'ns', vaultId: VAULT, exists: true },
    changes: [VAULT],
  },
  'create-service-account': {
    step: {
      namespace: 'ns',
      name: 'n',
      identity: { from: 'resource', identityId: IDENTITY },
      tenantId: 't',
      exists: false,
    },
    changes: [],
    reads: [IDENTITY],
  },
  'create-secret-provider-class': {
    step: {
      namespace: 'ns',
      name: 'n',
      vaultName: 'kv-app',
      tenantId: 't',
      cloudName: 'AzurePublicCloud',
      access: 'workload-identity',
      identity: { from: 'resource', identityId: IDENTITY },
      objects: [],
      exists: false,
      // Noted for the next step, which makes it.
      connection: { name: 'n', vaultId: VAULT },
    },
    changes: [],
    reads: [IDENTITY, VAULT],
  },
  'prove-mount': {
    step: {
      namespace: 'ns',
      class: 'c',
      access: 'managed-identity',
      serviceAccount: null,
      vaultId: VAULT,
      objects: [],
      image: 'i',
    },
    changes: [],
    reads: [VAULT],
  },
  'prove-rotation': {
    step: {
      namespace: 'ns',
      class: 'c',
      access: 'managed-identity',
      serviceAccount: null,
      vaultId: VAULT,
      probe: 'secret',
      pollInterval: '2m',
      image: 'i',
    },
    changes: [VAULT],
  },
  'delete-secret-provider-class': { step: { namespace: 'ns', name: 'n' }, changes: [] },
  'delete-service-account': { step: { namespace: 'ns', name: 'n' }, changes: [] },
  'delete-federated-credential': { step: { identityId: IDENTITY, name: 'n', subject: 's' }, changes: [IDENTITY] },
  'delete-service-connection': {
    step: { name: 'n', vaultId: VAULT, noted: { namespace: 'ns', class: 'c', since: '2026-01-01' } },
    changes: [VAULT],
  },
  'disable-secrets-provider': { step: { expect: OFF }, changes: [] },
};

const TYPES = PlanStep.options.map(({ shape }) => shape.type.value);
const stepOfRow = (type: StepType): PlanStep => PlanStep.parse({ id: 'step', type, ...SAID, ...ROWS[type].step });
const changedBy = (step: PlanStep, of: Partial<Pick<Plan, 'from' | 'vaults'>> = {}): string[] =>
  resourcesChanged({ cluster: CLUSTER, from: PUBLIC, steps: [step], vaults: { kv1: KV1 }, ...of }).map(
    ({ name }) => name,
  );

/** ARM ids and ids of keys in a value. */
function idsIn(value: unknown): string[] {
  if (typeof value === 'string') return /^(?:\/subscriptions\/|https:)/.test(value) ? [value] : [];
  return value !== null && typeof value === 'object' ? Object.values(value).flatMap(idsIn) : [];
}

describe('what a step changes outside the cluster', () => {
  it('has a row for every type of the union', () => {
    expect(Object.keys(ROWS).sort()).toEqual([...TYPES].sort());
  });

  it.each(TYPES)('%s', (type) => {
    const { changes, reads = [] } = ROWS[type];
    const step = stepOfRow(type);
    expect(changedBy(step)).toEqual(changes);
    // Each ARM id and key id of a step is in its row: under what the step changes, or under what it only reads.
    const keysChanged = changes.some((name) => name === KV1 || name === 'the vault kv2') ? [KEY_1, FOREIGN_KEY] : [];
    const unaccounted = idsIn(step).filter((id) => ![...changes, ...reads, ...keysChanged].includes(id));
    expect(unaccounted).toEqual([]);
  });

  it('does not have a new version in the vault of the current key: that is what a right on the cluster means', () => {
    const version = { ...stepOfRow('create-key-version'), like: KEY_2 } as PlanStep;
    expect(changedBy(version)).toEqual([]);
    expect(changedBy({ ...version, like: KEY_2.toUpperCase().replace('HTTPS', 'https') } as PlanStep)).toEqual([]);
    expect(changedBy(version, { from: OFF })).toEqual([KV1]);
  });

  it('does not have the private endpoint that the cluster has already, nor what exists and is left as it is', () => {
    const set = stepOfRow('set-kms');
    expect(changedBy(set, { from: { ...PRIVATE, vaultId: VAULT.toUpperCase() } })).toEqual([]);
    expect(changedBy(set, { from: { ...PRIVATE, vaultId: KV1 } })).toEqual([VAULT]);
    expect(changedBy({ ...set, to: PUBLIC } as PlanStep)).toEqual([]);
    expect(changedBy({ ...stepOfRow('create-vault'), exists: true } as PlanStep)).toEqual([]);
    expect(changedBy({ ...stepOfRow('create-key'), exists: KEY_1 } as PlanStep)).toEqual([]);
  });

  it('is named without an id where the plan has none for the vault of a key, or that of another vault', () => {
    const step = stepOfRow('delete-key');
    const maps: readonly (Record<string, string> | undefined)[] = [undefined, {}, { kv1: VAULT }, { kv2: KV1 }];
    for (const vaults of maps) {
      expect(resourcesChanged({ cluster: CLUSTER, from: PUBLIC, steps: [step], vaults })).toEqual([
        { step: 'step', id: null, name: 'the vault kv1' },
      ]);
    }
  });

  it('has each resource once, however it is spelled, and nothing of the cluster itself', () => {
    const steps = [
      stepOfRow('grant-vault-read'),
      { ...stepOfRow('prove-rotation'), vaultId: VAULT.toUpperCase() } as PlanStep,
      { ...stepOfRow('create-identity'), identityId: `${CLUSTER.toLowerCase()}/providers/x/y/z` } as PlanStep,
    ];
    expect(resourcesChanged({ cluster: CLUSTER, from: OFF, steps })).toEqual([
      { step: 'step', id: VAULT, name: VAULT },
    ]);
  });
});

/** What the plan of each kind in the fixtures changes beside the cluster. A kind without an entry fails the first test. */
const KIND_CHANGES: Readonly<Record<string, readonly string[]>> = {
  'enable-kms': [],
  'rotate-key': [],
  'rewrite-secrets': [],
  'disable-kms': [],
  'upgrade-to-kms-v2': [],
  'change-vault': [],
  'replace-key': ['the vault kv1'],
  'retire-key': ['the vault kv1'],
  'change-vault-access': [VAULT_ID],
  'provision-kms': [VAULT_ID.replace(/kv1$/, 'kv9')],
  'create-cluster': [VAULT_ID, IDENTITY],
  'recover-key': [VAULT_ID],
  'enable-vault-diagnostics': [VAULT_ID, WORKSPACE],
  'connect-csi': [IDENTITY, VAULT],
  'disconnect-csi': [IDENTITY],
};

describe('what the plan of a kind changes', () => {
  it('is written down for every kind', () => {
    expect(Object.keys(KIND_CHANGES).sort()).toEqual(KINDS.map(({ name }) => name).sort());
  });

  it.each(KINDS.map(({ name }) => name))('%s', (kind) => {
    const names = resourcesChanged(planned(kind)).map(({ name }) => name);
    expect([...names].sort()).toEqual([...(KIND_CHANGES[kind] ?? [])].sort());
  });

  it('has the ARM id of a vault that is named by a key, once it was looked up; and the plan has no other', () => {
    const make = (kind: string, vaultIds: Record<string, string>): Plan | null =>
      plan(
        requestOf(kind),
        {
          ...observation({ ...azureFor(kind), vaultIds }, ledgerFor(kind, { proven: true })),
          csiInside: insideFor(kind),
        },
        { approvalsRequired: 1 },
      ).plan;
    for (const kind of ['replace-key', 'retire-key']) {
      const made = make(kind, { kv1: KV1, kv2: VAULT });
      expect(made?.vaults).toEqual({ kv1: KV1 });
      expect(made && resourcesChanged(made)).toMatchObject([{ id: KV1 }]);
    }
    expect(make('rotate-key', { kv1: KV1 })).not.toHaveProperty('vaults');
    // A repair has looked at the vaults of the slots.
    expect(planned('recover-key').vaults).toEqual({ kv1: VAULT_ID });
  });
});
