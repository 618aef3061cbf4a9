/** Pieces of the identity, and of its way to the pods. */
import { credentialName } from '../../../domain/csi/parameters';
import { CLUSTER, IDENTITY, READ_VAULT_ID } from '../fixtures';
import {
  CLIENT,
  CREDENTIAL,
  ISSUER,
  nodesWith,
  OTHER_CLIENT,
  SUBJECT,
  withCluster,
  withCsi,
  withInside,
  type Connection,
  type Way,
} from './connected';
import { ONLY_SERVICE_CONNECTOR, onlyWorkloadIdentity, type Piece } from './piece';

const NO_CREDENTIAL = onlyWorkloadIdentity('The nodes have the identity, without a federated credential.');
const BY_AKS = 'AKS makes it with the add-on.';
const SHARED = 'AKS assigns it to every scale set, and holds it there.';
const IN_THE_PLANE = 'A class names the identity that reads, and works without the connection that made it.';
const MADE: Partial<Record<Way, string>> = {
  'the identity of the add-on': BY_AKS,
  'Service Connector': BY_AKS,
  'the system-assigned identity': 'It goes with the nodes.',
};
const unseen = (whole: Connection): Connection =>
  withCsi(whole, {
    identity: { state: 'unknown', why: `Keyturn sees no managed identity id9 (${CLIENT}).` },
    credentials: undefined,
  });
const credentials = (whole: Connection, ...value: (typeof CREDENTIAL)[]): Connection =>
  withCsi(whole, { credentials: { known: true, value } });
const idOf = (whole: Connection): string =>
  (whole.csi.identity.state === 'exists' ? whole.csi.identity.resourceId : undefined) ?? IDENTITY;

export const OF_IDENTITIES: readonly Piece[] = [
  {
    what: 'the identity',
    exempt: MADE,
    removed: (whole) =>
      withInside(withCsi(whole, { identity: { state: 'to-be-made' } }), { classes: [], serviceAccount: undefined }),
    planned: (way) => ({
      made: 'create-identity',
      with: [
        'grant-vault-read',
        ...(way === 'workload identity' ? ['create-service-account' as const] : []),
        'create-secret-provider-class',
      ],
    }),
    names: 'id9',
    inspected: { silent: 'Nothing of the connection is there.' },
  },
  {
    what: 'the identity that a class still names',
    exempt: MADE,
    removed: (whole) =>
      withInside(withCsi(whole, { identity: { state: 'to-be-made' } }), { serviceAccount: undefined }),
    planned: { refused: 'SecretProviderClassDiffers' },
    names: `Its client id is ${CLIENT}, and that of an identity that is to be made is wanted.`,
    inspected: { silent: 'An inspection cannot tell missing from not to be seen: the next row.' },
  },
  {
    what: 'the sight of the identity',
    exempt: { 'the identity of the add-on': BY_AKS, 'Service Connector': BY_AKS },
    removed: unseen,
    planned: { refused: 'IdentityNotSeen' },
    names: 'no managed identity id9',
    inspected: 'unknown',
  },
  {
    what: 'the identity on one scale set',
    exempt: {
      'workload identity': 'The nodes do not have the identity.',
      'the system-assigned identity': 'Where one scale set has none, the identity is not seen: the row above.',
    },
    removed: (whole) => withCsi(whole, { nodes: nodesWith([idOf(whole)], []) }),
    planned: (way) => (way === 'an identity of the nodes' ? { made: 'assign-node-identity' } : { same: SHARED }),
    names: 'pool2',
    inspected: 'broken',
  },
  {
    what: 'the sight of the scale sets',
    exempt: { 'workload identity': 'The nodes do not have the identity.' },
    removed: (whole) => withCsi(whole, { nodes: { known: false, why: 'Keyturn may not read machines in MC_rg.' } }),
    planned: (way) =>
      way === 'the identity of the add-on' || way === 'Service Connector'
        ? { same: 'A request does not look at them: AKS assigns the identity.' }
        : { refused: 'IdentityNotSeen' },
    names: 'MC_rg',
    inspected: 'unknown',
  },
  {
    what: 'the federated credential',
    exempt: NO_CREDENTIAL,
    removed: (whole) => credentials(whole),
    planned: { made: 'create-federated-credential' },
    names: SUBJECT,
    inspected: 'broken',
    inspectedAs: `no federated credential for the issuer ${ISSUER} and a service account of the namespace apps`,
  },
  {
    what: 'the issuer of the federated credential, which is of another cluster',
    exempt: NO_CREDENTIAL,
    removed: (whole) => credentials(whole, { ...CREDENTIAL, issuer: 'https://issuer.test/2/' }),
    planned: { made: 'create-federated-credential', warned: 'FederatedCredentialOfAnotherIssuer' },
    names: 'https://issuer.test/2/',
    inspected: 'broken',
  },
  {
    what: 'the last slash of the issuer in the credential that Keyturn made',
    exempt: NO_CREDENTIAL,
    removed: (whole) =>
      credentials(whole, { ...CREDENTIAL, name: credentialName(CLUSTER, SUBJECT), issuer: ISSUER.slice(0, -1) }),
    planned: { refused: 'FederatedCredentialDiffers' },
    names: `for the issuer ${ISSUER.slice(0, -1)},`,
    inspected: 'broken',
    inspectedAs: `other issuers: ${ISSUER.slice(0, -1)}.`,
  },
  {
    what: 'the subject of the federated credential',
    exempt: NO_CREDENTIAL,
    removed: (whole) => credentials(whole, { ...CREDENTIAL, subject: 'system:serviceaccount:other:web' }),
    planned: { made: 'create-federated-credential' },
    names: SUBJECT,
    inspected: 'broken',
    inspectedAs: 'no federated credential',
  },
  {
    what: 'the audience of the federated credential',
    exempt: NO_CREDENTIAL,
    removed: (whole) => credentials(whole, { ...CREDENTIAL, audiences: ['api://Other'] }),
    planned: { refused: 'FederatedCredentialDiffers' },
    names: 'api://Other',
    inspected: 'broken',
  },
  {
    what: 'the sight of federated credentials',
    exempt: NO_CREDENTIAL,
    removed: (whole) =>
      withCsi(whole, { credentials: { known: false, why: 'Keyturn may not read the credentials of id9.' } }),
    planned: { refused: 'IdentityNotSeen' },
    names: 'the credentials of id9',
    inspected: 'unknown',
  },
  {
    what: 'the OIDC issuer',
    exempt: onlyWorkloadIdentity('Entra ID takes no token of a service account here.'),
    removed: (whole) => withCluster(credentials(whole), { issuerUrl: undefined, workloadIdentity: false }),
    planned: { made: 'enable-workload-identity', with: ['create-federated-credential'] },
    names: 'OIDC issuer',
    inspected: 'broken',
  },
  {
    what: 'workload identity',
    exempt: onlyWorkloadIdentity('Pods need no token of their service account.'),
    removed: (whole) => withCluster(whole, { workloadIdentity: false }),
    planned: { made: 'enable-workload-identity' },
    names: 'workload identity',
    inspected: { silent: 'The driver asks for tokens itself: mounts work. The answer has `workloadIdentity`.' },
  },
  {
    what: 'the service account',
    exempt: onlyWorkloadIdentity('Pods run as any.'),
    removed: (whole) => withInside(whole, { serviceAccount: undefined, accounts: ['apps/default'] }),
    planned: { made: 'create-service-account' },
    names: 'apps/web',
    inspected: 'broken',
  },
  {
    what: 'the annotations of the service account',
    exempt: onlyWorkloadIdentity('Pods run as any.'),
    removed: (whole) => withInside(whole, { serviceAccount: { namespace: 'apps', name: 'web', ours: false } }),
    planned: { made: 'create-service-account' },
    names: 'apps/web',
    inspected: { silent: 'The class names the client id: mounts work.' },
  },
  ...(
    [
      ['client id', { clientId: OTHER_CLIENT, tenantId: 'tenant-1' }, OTHER_CLIENT],
      ['tenant', { clientId: CLIENT, tenantId: 'tenant-9' }, 'tenant-9'],
    ] as const
  ).map(([what, annotations, name]): Piece => ({
    what: `the ${what} that the service account names`,
    exempt: onlyWorkloadIdentity('Pods run as any.'),
    removed: (whole) =>
      withInside(whole, { serviceAccount: { namespace: 'apps', name: 'web', ours: false, ...annotations } }),
    planned: { refused: 'ServiceAccountDiffers' },
    names: name,
    inspected: { silent: 'The class names client id and tenant: mounts work.' },
  })),
  {
    what: 'the connection of Service Connector',
    exempt: ONLY_SERVICE_CONNECTOR,
    removed: (whole) => withCsi(whole, { connections: { known: true, value: [] } }),
    planned: { made: 'create-service-connection' },
    names: 'kv_app',
    inspected: { silent: IN_THE_PLANE },
  },
  {
    what: 'the vault of the connection of this name',
    exempt: ONLY_SERVICE_CONNECTOR,
    removed: (whole) =>
      withCsi(whole, {
        connections: { known: true, value: [{ name: 'kv_app', targetId: '/vaults/kv-other', byCsiDriver: true }] },
      }),
    planned: { refused: 'ServiceConnectionDiffers' },
    names: '/vaults/kv-other',
    inspected: { silent: IN_THE_PLANE },
  },
  {
    what: 'the driver of the connection',
    exempt: ONLY_SERVICE_CONNECTOR,
    removed: (whole) =>
      withCsi(whole, {
        connections: { known: true, value: [{ name: 'mine', targetId: READ_VAULT_ID, byCsiDriver: false }] },
      }),
    planned: { refused: 'ServiceConnectionDiffers' },
    names: 'mine',
    inspected: { silent: IN_THE_PLANE },
  },
  {
    what: 'the sight of connections',
    exempt: ONLY_SERVICE_CONNECTOR,
    removed: (whole) =>
      withCsi(whole, { connections: { known: false, why: 'Keyturn may not read the connections of the cluster.' } }),
    planned: { refused: 'ServiceConnectionDiffers' },
    names: 'the connections of the cluster',
    inspected: { silent: IN_THE_PLANE },
  },
];
