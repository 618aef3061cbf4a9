/** The steps that connect pods of a cluster with a vault, and those that take the connection away again. */
import { z } from 'zod';
import { EncryptionState } from '../encryption';
import { stepShape } from '../plan/step-shape';
import { CsiObject, ObjectType } from './objects';

/** Who reads the vault: an ARM id; the identity that AKS makes for the add-on; or the system-assigned ones of the nodes, of each scale set its own. */
export const IdentityRef = z.discriminatedUnion('from', [
  z.object({ from: z.literal('resource'), identityId: z.string() }),
  z.object({ from: z.literal('add-on') }),
  z.object({ from: z.literal('nodes') }),
]);
/** Which identity reads the vault. */
export type IdentityRef = z.infer<typeof IdentityRef>;

/** How the nodes get at the vault. */
export const AccessMode = z.enum(['workload-identity', 'managed-identity']);
/** How the nodes get at the vault. */
export type AccessMode = z.infer<typeof AccessMode>;

const namespace = z.string();
const name = z.string();
const expect = EncryptionState;
/** Whether the plan found it as it is wanted: then it is checked and left as it is. */
const exists = z.boolean();

/** The types of steps. */
export const CSI_STEPS = [
  /** Has AKS install driver and provider. `pollInterval` null: mounted files are not renewed. */
  stepShape('enable-secrets-provider', { expect, pollInterval: z.string().nullable() }),
  /** Has the cluster issue tokens that Entra ID takes, and inject them into pods. It cannot be undone. */
  stepShape('enable-workload-identity', { expect }),
  /** Adds a user-assigned identity to every scale set of the nodes that lacks it. */
  stepShape('assign-node-identity', { identityId: z.string() }),
  /** Lets a service account of the cluster be the identity. The issuer is the one that the cluster then has. */
  stepShape('create-federated-credential', { identityId: z.string(), name, subject: z.string() }),
  /** Gives the identity the rights to read object types, as the vault gives rights, and waits until Azure shows them. */
  stepShape('grant-vault-read', {
    vaultId: z.string(),
    permissionModel: z.enum(['rbac', 'access-policy']),
    identity: IdentityRef,
    types: z.array(ObjectType),
    /** Those of the types whose versions are listed, too; absent: none. */
    history: z.array(ObjectType).optional(),
  }),
  /** Has Service Connector connect the cluster with the vault: add-on, grant and class are then Azure's own. */
  stepShape('create-service-connection', { name, namespace, vaultId: z.string(), exists }),
  stepShape('create-service-account', { namespace, name, identity: IdentityRef, tenantId: z.string(), exists }),
  stepShape('create-secret-provider-class', {
    namespace,
    name,
    vaultName: z.string(),
    tenantId: z.string(),
    cloudName: z.string(),
    access: AccessMode,
    identity: IdentityRef,
    objects: z.array(CsiObject),
    exists,
    /** The connection that the next step makes: the class notes it first, so that Keyturn knows it again whatever happens in between. */
    connection: z.object({ name, vaultId: z.string() }).optional(),
  }),
  /** Has a pod of its own mount the class and compare each file with the vault. */
  stepShape('prove-mount', {
    namespace,
    class: name,
    access: AccessMode,
    /** Null: the default one of the namespace. */
    serviceAccount: z.string().nullable(),
    vaultId: z.string(),
    objects: z.array(CsiObject),
    image: z.string(),
    /** What else the class must name then; absent in plans of earlier versions. */
    identity: IdentityRef.optional(),
    tenantId: z.string().optional(),
    cloudName: z.string().optional(),
  }),
  /** Has a pod mount an object of Keyturn's own by a class of Keyturn's own, and sees the file follow a second version. */
  stepShape('prove-rotation', {
    namespace,
    /** The approved class: its identity, vault and cloud are those of the probe's. */
    class: name,
    access: AccessMode,
    serviceAccount: z.string().nullable(),
    vaultId: z.string(),
    /** What the probe is in the vault. */
    probe: z.enum(['secret', 'key']),
    /** As ARM has it: `2m`. */
    pollInterval: z.string(),
    image: z.string(),
  }),
  stepShape('delete-secret-provider-class', { namespace, name }),
  stepShape('delete-service-account', { namespace, name }),
  stepShape('delete-federated-credential', { identityId: z.string(), name, subject: z.string() }),
  /** Deletes a connection that a class notes as Keyturn's, with the roles that Service Connector gave for it since then. */
  stepShape('delete-service-connection', {
    name,
    vaultId: z.string(),
    noted: z.object({ namespace, class: name, since: z.string() }),
  }),
  /** Has AKS remove driver and provider. */
  stepShape('disable-secrets-provider', { expect }),
] as const;

/** The types of these steps. */
export type CsiStepType = z.infer<(typeof CSI_STEPS)[number]>['type'];
