/** What there is of a connection between the vault and the pods of a cluster. Facts only: what could not be read is an answer. */
import { z } from 'zod';
import { PermissionsLookup } from '../identity-access';
import { CsiObject } from './objects';
import { ClassIdentity } from './class-identity';

/** What was looked up, or why it could not be: a whole sentence. */
const lookup = <Value extends z.ZodType>(value: Value) =>
  z.union([z.object({ known: z.literal(true), value }), z.object({ known: z.literal(false), why: z.string() })]);

/** Kubernetes objects with this label were made by `connect-csi`; its value is the operation. */
export const CONNECTION_LABEL = 'keyturn.dev/connection';

/** Annotations of a class that Keyturn made: the connection of Service Connector that it was about to make then, and its vault (ARM id). */
export const MADE_CONNECTION = {
  name: 'keyturn.dev/service-connection',
  vaultId: 'keyturn.dev/service-connection-vault',
} as const;

/** The add-on `azureKeyvaultSecretsProvider`, as ARM shows it. */
export const SecretsProvider = z.object({
  enabled: z.boolean(),
  /** How often mounted files are renewed, as `2m`; null: they are not. */
  pollInterval: z.string().nullable(),
  /** The identity that AKS made for it; absent while it is off. */
  identity: z.object({ resourceId: z.string(), clientId: z.string(), objectId: z.string() }).optional(),
});
/** The add-on, as ARM shows it. */
export type SecretsProvider = z.infer<typeof SecretsProvider>;

/** The ways to a vault that is not open to all networks, as its own body in ARM and its private endpoints show them. */
export const WaysIn = z.object({
  /** `closed`: it answers nobody; `restricted`: whom the firewall names; `perimeter`: a network security perimeter decides. */
  publicAddress: z.enum(['restricted', 'closed', 'perimeter']),
  /** How many addresses and ranges the firewall names. */
  addressRules: z.int(),
  /** ARM ids of the subnets that the firewall names. */
  subnetRules: z.array(z.string()),
  /** By id. */
  endpoints: z.array(
    z.object({
      /** ARM id of the private endpoint. */
      endpointId: z.string(),
      /** Of its connection: `Approved`, `Pending`, `Rejected` or another word of Azure's. */
      status: z.string(),
      /** ARM id of the subnet that it is in; absent when Keyturn may not read the endpoint. */
      subnetId: z.string().optional(),
    }),
  ),
});
/** The ways to a vault that is not open to all networks. */
export type WaysIn = z.infer<typeof WaysIn>;

/** The network of the nodes of an agent pool. */
export const NodeNetwork = z.object({
  pool: z.string(),
  /** ARM id of their subnet; absent where AKS made their network. */
  subnetId: z.string().optional(),
  /** What ids of subnets of the network begin with: the id of the network; where AKS made it, the networks of the node resource group. */
  network: z.string(),
});
/** The network of the nodes of an agent pool. */
export type NodeNetwork = z.infer<typeof NodeNetwork>;

/** The vault that pods are to read. */
export const ReadVault = z.object({
  vaultId: z.string(),
  tenantId: z.string(),
  permissionModel: z.enum(['rbac', 'access-policy']),
  openToAllNetworks: z.boolean(),
  /** Absent while it is open to all networks. */
  waysIn: WaysIn.optional(),
  /** What an access policy gives to the identity, in lower case. */
  policy: z.object({ secrets: z.array(z.string()), keys: z.array(z.string()), certificates: z.array(z.string()) }),
});
/** The vault that pods are to read. */
export type ReadVault = z.infer<typeof ReadVault>;

/** A managed identity that reads the vault. */
export const ReadingIdentity = z.discriminatedUnion('state', [
  z.object({
    state: z.literal('exists'),
    /** ARM id; absent for the system-assigned identity of the nodes. */
    resourceId: z.string().optional(),
    /** Absent where Azure shows none: system-assigned. */
    clientId: z.string().optional(),
    principalId: z.string(),
  }),
  /** A step makes it, or AKS does when the add-on goes on. */
  z.object({ state: z.literal('to-be-made') }),
  z.object({ state: z.literal('unknown'), why: z.string() }),
]);
/** A managed identity that reads the vault. */
export type ReadingIdentity = z.infer<typeof ReadingIdentity>;

/** A federated credential of an identity. */
export const FederatedCredential = z.object({
  name: z.string(),
  issuer: z.string(),
  subject: z.string(),
  audiences: z.array(z.string()),
});
/** A federated credential of an identity. */
export type FederatedCredential = z.infer<typeof FederatedCredential>;

/** The machines of an agent pool, as far as identities go. */
export const NodeGroup = z.object({
  /** ARM id of the scale set or machine. */
  resourceId: z.string(),
  /** ARM ids of its user-assigned identities. */
  identities: z.array(z.string()),
  /** Object id of its system-assigned identity. */
  systemAssigned: z.string().optional(),
});
/** The machines of an agent pool. */
export type NodeGroup = z.infer<typeof NodeGroup>;

/** A connection that Service Connector made. */
export const ServiceConnection = z.object({
  name: z.string(),
  /** ARM id of what it connects to. */
  targetId: z.string(),
  /** Whether it has the driver mount; otherwise it gives pods another way in, and does not turn the add-on on. */
  byCsiDriver: z.boolean(),
});
/** A connection that Service Connector made. */
export type ServiceConnection = z.infer<typeof ServiceConnection>;

/** What Azure shows beside the cluster itself. Members that the request does not need are absent. */
export const CsiFacts = z.object({
  /** Name of the cloud, as az has it. */
  cloud: z.enum(['AzureCloud', 'AzureChinaCloud', 'AzureUSGovernment']),
  /** Of the cluster's subscription, and so of its identities; absent where no rule asks for it. */
  tenantId: z.string().optional(),
  vault: lookup(ReadVault),
  identity: ReadingIdentity,
  /** Of roles at the vault and above it. */
  roles: PermissionsLookup.optional(),
  denials: PermissionsLookup.optional(),
  /** What the other scale sets' system-assigned identities have, where they read: `identity` is then that of the first. */
  otherNodes: z
    .array(
      z.object({
        principalId: z.string(),
        vault: lookup(ReadVault),
        roles: PermissionsLookup.optional(),
        denials: PermissionsLookup.optional(),
      }),
    )
    .optional(),
  credentials: lookup(z.array(FederatedCredential)).optional(),
  nodes: lookup(z.array(NodeGroup)).optional(),
  connections: lookup(z.array(ServiceConnection)).optional(),
  /** Of each agent pool. Absent when Azure does not name them. */
  nodeNetworks: z.array(NodeNetwork).optional(),
});
/** What Azure shows. */
export type CsiFacts = z.infer<typeof CsiFacts>;

/** A connection of Service Connector that Keyturn made, or was about to make. */
export const MadeConnection = z.object({
  name: z.string(),
  vaultId: z.string(),
  /** When the class was made, by the API server: the connection and what came with it are younger. */
  since: z.string(),
});
/** A connection of Service Connector that Keyturn made, or was about to make. */
export type MadeConnection = z.infer<typeof MadeConnection>;

/** A SecretProviderClass in the cluster. `problems`: why the provider would not take it. */
export const SeenClass = z.object({
  namespace: z.string(),
  name: z.string(),
  /** Whether Keyturn made it. */
  ours: z.boolean(),
  content: z
    .object({
      vaultName: z.string(),
      tenantId: z.string(),
      cloudName: z.string(),
      identity: ClassIdentity,
      objects: z.array(CsiObject),
    })
    .optional(),
  problems: z.array(z.string()),
  /** Pods that mount it: `namespace/name`. */
  pods: z.array(z.string()),
  /** Of a class that Keyturn made: the connection of Service Connector that Keyturn made for it, by the annotations of the class. */
  connection: MadeConnection.optional(),
});
/** A SecretProviderClass in the cluster. */
export type SeenClass = z.infer<typeof SeenClass>;

/** A service account. */
export const SeenServiceAccount = z.object({
  namespace: z.string(),
  name: z.string(),
  ours: z.boolean(),
  /** `azure.workload.identity/client-id`. */
  clientId: z.string().optional(),
  /** `azure.workload.identity/tenant-id`. */
  tenantId: z.string().optional(),
});
/** A service account. */
export type SeenServiceAccount = z.infer<typeof SeenServiceAccount>;

/** What the cluster itself shows. */
export const CsiInside = z.object({
  /** Whether the namespace of the request is there, and not being deleted. */
  namespaceFound: z.boolean(),
  /** Of all namespaces; empty where the kind is not known to the cluster. */
  classes: z.array(SeenClass),
  /** The one that the request names. */
  serviceAccount: SeenServiceAccount.optional(),
  /** What was installed by other means than the add-on (Helm): `namespace/name` of its daemon sets. */
  otherInstallations: z.array(z.string()),
  /** Daemon sets of the add-on that are not ready on every node, one sentence each. */
  notReady: z.array(z.string()),
  /** What a cluster with the add-on has and this one has not: one sentence each; absent: nothing. */
  missing: z.array(z.string()).optional(),
  /** Service accounts, `namespace/name`, of the namespaces with classes; absent where they were not looked for. */
  accounts: z.array(z.string()).optional(),
});
/** What the cluster itself shows. */
export type CsiInside = z.infer<typeof CsiInside>;

/** What pods have, in sentences: for the last step. */
export const MountedFile = z.object({
  /** Path below the mount. */
  file: z.string(),
  objectName: z.string(),
  objectType: z.enum(['secret', 'key', 'cert']),
  version: z.string(),
});
/** A file that a pod saw, equal to what the vault has. */
export type MountedFile = z.infer<typeof MountedFile>;
