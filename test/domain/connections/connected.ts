/** Connections between pods and a vault: every way in, object and vault, each with the facts of one that is whole. The rows of the tables remove pieces. */
import type { CsiFacts, CsiInside, FederatedCredential, ReadVault, SeenClass } from '../../../domain/csi/facts';
import { inspectCsi, type CsiInspection } from '../../../domain/csi/inspection';
import type { CsiObject } from '../../../domain/csi/objects';
import { TOKEN_AUDIENCE } from '../../../domain/csi/parameters';
import type { Permission } from '../../../domain/identity-access';
import type { ObservedCluster } from '../../../domain/observed';
import type { PlanResult } from '../../../domain/plan/plan';
import { plan } from '../../../domain/planner';
import {
  azure,
  csiFacts,
  csiInside,
  goodCluster,
  IDENTITY,
  NOW,
  observation,
  READ_VAULT_ID,
  requestOf,
} from '../fixtures';
import { NODES, VAULTS, type VaultSort } from './sorts-of-vault';

export const ISSUER = 'https://westeurope.oic.prod-aks.azure.com/tenant-1/1/';
export const SUBJECT = 'system:serviceaccount:apps:web';
/** What the identity of a whole connection is named by. */
export const CLIENT = '11111111-0000-4000-8000-000000000001';
export const OTHER_CLIENT = '22222222-0000-4000-8000-000000000002';
const ADD_ON_IDENTITY =
  '/subscriptions/s/resourceGroups/MC_rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/add-on';

const PLACE = { namespace: 'apps', secretProviderClass: 'web', vaultId: READ_VAULT_ID };

/** Every way in: what is asked for. */
export const WAYS = {
  'workload identity': { ...PLACE, mode: 'workload-identity', serviceAccount: 'web', identity: IDENTITY },
  'the identity of the add-on': { ...PLACE, mode: 'managed-identity' },
  'an identity of the nodes': { ...PLACE, mode: 'managed-identity', identity: IDENTITY },
  'the system-assigned identity': { ...PLACE, mode: 'managed-identity', identity: 'system-assigned' },
  'Service Connector': { ...PLACE, mode: 'service-connector' },
} as const;
/** A way in. */
export type Way = keyof typeof WAYS;

/** Every object type, and what a class may say of it. */
export const OBJECTS = {
  'a secret': { objectName: 'secret1', objectType: 'secret' },
  'a secret under an alias': { objectName: 'secret1', objectType: 'secret', objectAlias: 'password' },
  'a version of a secret': { objectName: 'secret1', objectType: 'secret', objectVersion: 'a'.repeat(32) },
  'the history of a secret': { objectName: 'secret1', objectType: 'secret', objectVersionHistory: 3 },
  'a secret in hexadecimal': { objectName: 'secret1', objectType: 'secret', objectEncoding: 'hex' },
  'a secret in base64': { objectName: 'secret1', objectType: 'secret', objectEncoding: 'base64' },
  'a certificate with its key': { objectName: 'cert1', objectType: 'secret', objectFormat: 'pem' },
  'a certificate as PFX': { objectName: 'cert1', objectType: 'secret', objectFormat: 'pfx' },
  'a certificate': { objectName: 'cert1', objectType: 'cert' },
  'the history of a certificate': { objectName: 'cert1', objectType: 'cert', objectVersionHistory: 2 },
  'a key': { objectName: 'key1', objectType: 'key' },
  'the history of a key': { objectName: 'key1', objectType: 'key', objectVersionHistory: 2 },
} as const satisfies Readonly<Record<string, CsiObject>>;
/** What a class has. */
export type ObjectSort = keyof typeof OBJECTS;

/** What is asked for, and what is observed. */
export interface Connection {
  readonly way: Way;
  readonly vault: VaultSort;
  readonly object: CsiObject;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly csi: CsiFacts;
  readonly cluster: Partial<ObservedCluster>;
  readonly inside: CsiInside;
}

/** The federated credential of workload identity. */
export const CREDENTIAL: FederatedCredential = {
  name: 'web',
  issuer: ISSUER,
  subject: SUBJECT,
  audiences: [TOKEN_AUDIENCE],
};

/** What roles with the rights for pods allow; or a deny assignment of it denies. */
export const READER: Permission = {
  name: 'Key Vault Reader of Pods',
  actions: [],
  notActions: [],
  dataActions: [
    'Microsoft.KeyVault/vaults/secrets/getSecret/action',
    'Microsoft.KeyVault/vaults/secrets/readMetadata/action',
    'Microsoft.KeyVault/vaults/keys/read',
    'Microsoft.KeyVault/vaults/certificates/read',
  ],
  notDataActions: [],
  uncertain: false,
};

/** Two scale sets that have the identity. */
export function nodesWith(...identities: readonly string[][]): NonNullable<CsiFacts['nodes']> {
  const value = identities.map((ids, index) => ({ resourceId: `/scaleSets/pool${index + 1}`, identities: ids }));
  return { known: true, value };
}

/** One that is whole: its plan checks what is there, and mounts. */
export function connected(way: Way, vault: VaultSort, object: CsiObject): Connection {
  const byAccount = way === 'workload identity';
  const system = way === 'the system-assigned identity';
  const own = way === 'the identity of the add-on' || way === 'Service Connector';
  const resourceId = own ? ADD_ON_IDENTITY : IDENTITY;
  const identity = system
    ? { state: 'exists' as const, principalId: 'principal-1' }
    : { state: 'exists' as const, resourceId, clientId: CLIENT, principalId: 'principal-1' };
  const content: SeenClass['content'] = {
    vaultName: 'kv-app',
    tenantId: 'tenant-1',
    cloudName: 'AzurePublicCloud',
    identity: byAccount
      ? { mode: 'workload-identity', clientId: CLIENT }
      : { mode: 'managed-identity', ...(system ? {} : { clientId: CLIENT }) },
    objects: [object],
  };
  const one: SeenClass = { namespace: 'apps', name: 'web', ours: true, problems: [], pods: [], content };
  const sort: Partial<ReadVault> = VAULTS[vault];
  return {
    way,
    vault,
    object,
    parameters: { ...WAYS[way], objects: [object] },
    csi: {
      ...csiFacts({ identity, tenantId: 'tenant-1', credentials: undefined, vault: sort }),
      ...(sort.permissionModel === 'rbac'
        ? { roles: { known: true, value: [READER] }, denials: { known: true, value: [] } }
        : {}),
      ...(sort.waysIn === undefined ? {} : { nodeNetworks: [NODES] }),
      ...(byAccount ? { credentials: { known: true, value: [CREDENTIAL] } } : {}),
      ...(byAccount ? {} : { nodes: nodesWith([resourceId], [resourceId]) }),
      ...(way === 'Service Connector'
        ? { connections: { known: true, value: [{ name: 'kv_app', targetId: READ_VAULT_ID, byCsiDriver: true }] } }
        : {}),
    },
    cluster: {
      secretsProvider: {
        enabled: true,
        pollInterval: '2m',
        identity: { resourceId: ADD_ON_IDENTITY, clientId: own ? CLIENT : OTHER_CLIENT, objectId: 'principal-a' },
      },
      issuerUrl: ISSUER,
      workloadIdentity: true,
    },
    inside: csiInside({
      classes: [one],
      accounts: ['apps/default', 'apps/web'],
      ...(byAccount
        ? { serviceAccount: { namespace: 'apps', name: 'web', ours: true, clientId: CLIENT, tenantId: 'tenant-1' } }
        : {}),
    }),
  };
}

/** All of one way in. */
export function allOf(way: Way): Connection[] {
  return (Object.keys(VAULTS) as VaultSort[]).flatMap((vault) =>
    Object.values(OBJECTS).map((object) => connected(way, vault, object)),
  );
}

/** What the planner says, of what is observed for a request: less than for an inspection. */
export function planOf({ way, parameters, csi: { nodes, ...csi }, cluster, inside }: Connection): PlanResult {
  const named = way === 'an identity of the nodes' || way === 'the system-assigned identity';
  const seen: CsiFacts = {
    ...csi,
    ...(named ? { nodes } : {}),
  };
  const facts = { ...observation({ ...azure({ cluster }), csi: seen }), csiInside: inside };
  return plan(requestOf('connect-csi', parameters), facts, { approvalsRequired: 1 });
}

/** What an inspection says. */
export function inspectionOf({ csi, cluster, inside }: Connection): CsiInspection {
  const azure = inside.classes.map(({ content }) => (content === undefined ? undefined : csi));
  return inspectCsi({ at: NOW, cluster: goodCluster(cluster), inside, azure });
}

/** With other facts of Azure. */
export function withCsi(one: Connection, change: Partial<CsiFacts>): Connection {
  return { ...one, csi: { ...one.csi, ...change } };
}

/** With another vault. */
export function withVault(one: Connection, change: Partial<ReadVault>): Connection {
  const { vault } = one.csi;
  if (!vault.known) throw new Error('The vault of a whole connection is seen.');
  return withCsi(one, { vault: { known: true, value: { ...vault.value, ...change } } });
}

/** With another cluster, as ARM has it. */
export function withCluster(one: Connection, change: Partial<ObservedCluster>): Connection {
  return { ...one, cluster: { ...one.cluster, ...change } };
}

/** With other things inside. */
export function withInside(one: Connection, change: Partial<CsiInside>): Connection {
  return { ...one, inside: { ...one.inside, ...change } };
}

/** With a class that says something else. */
export function withClass(one: Connection, change: Partial<NonNullable<SeenClass['content']>>): Connection {
  const classes = one.inside.classes.map((seen) => ({
    ...seen,
    ...(seen.content === undefined ? {} : { content: { ...seen.content, ...change } }),
  }));
  return withInside(one, { classes });
}
