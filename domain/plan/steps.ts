/**
 * The steps that plans consist of: a closed union of typed actions, each with the inputs that its performer works with.
 *
 * A step has no condition, loop or expression. What only run time can decide is decided inside one step, or by a new plan.
 */
import { z } from 'zod';
import { CSI_STEPS } from '../csi/steps';
import { EncryptionState } from '../encryption';
import { PermissionModel } from '../provisioning';
import { StepId, stepShape } from './step-shape';

export { StepId, StepText } from './step-shape';

const to = EncryptionState;
/** Secrets a second that a rewrite may not exceed: the owners' tag, the vault's limit; null when neither limits it. */
const perSecond = z.number().nullable();

/** When a new key version expires: at a time, so long after it was made, or never. */
export const KeyExpiry = z.union([
  z.strictObject({ at: z.iso.datetime() }),
  z.strictObject({ afterSeconds: z.int().min(1) }),
  z.null(),
]);
/** When a new key version expires. */
export type KeyExpiry = z.infer<typeof KeyExpiry>;

/** Whether the public address of a vault answers to all networks, or to none. */
export const VaultNetwork = z.enum(['open', 'closed']);
/** Whether the public address of a vault answers. */
export type VaultNetwork = z.infer<typeof VaultNetwork>;

/** One step of a plan: a typed action with its inputs. */
export const PlanStep = z.discriminatedUnion('type', [
  /** Waits for people: so many approvals of the plan, from others than the requester. */
  stepShape('gate', {
    gate: z.enum(['start', 'plaintext', 'upgrade', 'deletion', 'vnet-integration']),
    approvals: z.int().min(1),
  }),
  /** Makes a key version like another one, of the same key object. */
  stepShape('create-key-version', { like: z.string(), expiry: KeyExpiry }),
  /** Writes canaries and notes R0, before a switch. */
  stepShape('take-baseline', {}),
  /** Asks ARM for another encryption state. */
  stepShape('set-kms', { expect: EncryptionState, to }),
  /** Waits until every API server writes with the target; `baseline` is null when no switch was made. */
  stepShape('converge', { to, baseline: StepId.nullable() }),
  /**
   * Has the API server store every Secret again. `since` names the converge step. `acceptable`: approvers may accept named
   * Secrets as they are.
   */
  stepShape('rewrite', { to, since: StepId, perSecond, acceptable: z.boolean() }),
  /** Proves it from a fresh list. */
  stepShape('prove', { to, since: StepId, perSecond, acceptable: z.boolean() }),
  /** Compares what Azure reports, and records the proof in the ledger. */
  stepShape('record-proof', { to, proof: StepId }),
  /** Upgrades the control plane by one minor, or within one, while the cluster is in the state `expect`. */
  stepShape('upgrade-control-plane', { from: z.string(), to: z.string(), expect: EncryptionState }),
  /** Upgrades one agent pool to the version of the control plane. */
  stepShape('upgrade-pool', { pool: z.string(), from: z.string(), to: z.string(), expect: EncryptionState }),
  /** Looks whether any cluster that Keyturn can see needs a key version, and whether all Secrets of this one are proven without it (K1). */
  stepShape('check-key-unused', { key: z.string(), state: EncryptionState }),
  /** Disables one key version. It can be enabled again (K4). */
  stepShape('disable-key-version', { key: z.string(), check: StepId }),
  /** Waits, without the lock of the cluster, for what still needs a disabled key version to show. */
  stepShape('soak', { key: z.string(), seconds: z.int().min(0) }),
  /** Soft-deletes the key object of a version if no version of it is needed; otherwise leaves it. Never purges (K4). */
  stepShape('delete-key', { key: z.string(), check: StepId }),
  /** Opens a vault to all networks, or closes its public address. `key` is one of its keys, to see by whether it answers. */
  stepShape('set-vault-network', { vaultId: z.string(), to: VaultNetwork, key: z.string() }),
  /**
   * Gives the cluster's identity the rights to encrypt and decrypt with a key, as the vault gives rights, and waits until Azure shows
   * them. `principalId` null: the identity is made by an earlier step, and the principal that it then has is taken.
   */
  stepShape('grant-key-access', {
    /** ARM id of the vault. */
    vaultId: z.string(),
    /** How the vault gives rights; null: not known yet, as of a deleted vault. */
    permissionModel: z.enum(['rbac', 'access-policy']).nullable(),
    /** Name of the key object. */
    keyName: z.string(),
    /** ARM id of the user-assigned identity. */
    identityId: z.string(),
    principalId: z.string().nullable(),
  }),
  /** Makes a diagnostic setting that sends AuditEvent of a vault to a workspace, unless one does so already. Overwrites none. */
  stepShape('set-vault-diagnostics', { vaultId: z.string(), workspaceId: z.string(), settingName: z.string() }),
  /** Reads back that a setting does so. */
  stepShape('confirm-vault-diagnostics', { vaultId: z.string(), workspaceId: z.string() }),
  /**
   * Makes a vault that is open to all networks, or with private access to none, with soft delete and purge protection; one that
   * `exists` is checked and left as it is.
   */
  stepShape('create-vault', {
    vaultId: z.string(),
    location: z.string(),
    tenantId: z.string(),
    permissionModel: PermissionModel,
    access: z.enum(['Public', 'Private']),
    retentionDays: z.int(),
    exists: z.boolean(),
  }),
  /**
   * Makes an RSA key that permits encrypt and decrypt: through ARM where the vault does not answer. A version that `exists` is checked
   * and left as it is.
   */
  stepShape('create-key', {
    vaultId: z.string(),
    permissionModel: PermissionModel,
    keyName: z.string(),
    keyType: z.enum(['RSA', 'RSA-HSM']),
    sizeInBits: z.int(),
    expiry: KeyExpiry,
    exists: z.string().nullable(),
  }),
  /** Enables a key version that is in a slot. */
  stepShape('enable-key-version', { key: z.string() }),
  /** Has a key version that is in a slot expire later. */
  stepShape('extend-key-expiry', { key: z.string(), expiresOn: z.iso.datetime() }),
  /** Recovers a soft-deleted key with all its versions. */
  stepShape('recover-deleted-key', { key: z.string() }),
  /** Recovers a soft-deleted vault with all its keys. `key` is one of them, to see by whether the vault answers. */
  stepShape('recover-vault', { vaultId: z.string(), location: z.string(), key: z.string() }),
  /** Makes the cluster's managed identity again under its name. It stands for a new principal. */
  stepShape('restore-identity', { identityId: z.string(), location: z.string() }),
  /**
   * Sends the cluster to ARM as it is, so that AKS takes the principal that its identity stands for now in the place of the principal
   * `replaces`, and a cluster that Failed becomes Succeeded. `replaces` null: only the provisioning state matters.
   */
  stepShape('reconcile-cluster', { expect: EncryptionState, replaces: z.string().nullable() }),
  /** Waits until the API servers say that their KMS works. */
  stepShape('await-kms', { state: EncryptionState }),
  /** Makes a user-assigned identity. One of the name that this operation did not make is not used. */
  stepShape('create-identity', { identityId: z.string(), location: z.string() }),
  /**
   * Gives the cluster's identity the right to approve private endpoints of a vault (Key Vault Contributor), and waits until Azure shows
   * it. `principalId` as for `grant-key-access`.
   */
  stepShape('grant-endpoint-approval', {
    vaultId: z.string(),
    identityId: z.string(),
    principalId: z.string().nullable(),
  }),
  /** Makes the cluster of the plan, in the state `to` from the start. Never changes one that is there. */
  stepShape('create-cluster', {
    to,
    location: z.string(),
    identityId: z.string(),
    /** Empty texts, here and for `vmSize`: the default of AKS. */
    kubernetesVersion: z.string(),
    nodeCount: z.int(),
    vmSize: z.string(),
    /** With one, API Server VNet Integration is on. */
    apiServerSubnetId: z.string().nullable(),
    nodeSubnetId: z.string().nullable(),
    dnsPrefix: z.string(),
  }),
  /** Turns API Server VNet Integration on, which cannot be undone. In effect after a stop and a start. */
  stepShape('enable-vnet-integration', { subnetId: z.string(), expect: EncryptionState }),
  /** Stops the cluster. The step after it starts it. */
  stepShape('stop-cluster', { expect: EncryptionState }),
  /** Starts the cluster, also when a person asked for the end of the operation meanwhile. */
  stepShape('start-cluster', { expect: EncryptionState }),
  /** Waits until the API servers answer after a start, with API Server VNet Integration in effect. */
  stepShape('await-api-servers', {}),
  ...CSI_STEPS,
]);
/** One step of a plan. */
export type PlanStep = z.infer<typeof PlanStep>;
/** The types of steps. */
export type StepType = PlanStep['type'];

/** What a step writes to. */
export type Written = 'nothing' | 'vault' | 'cluster' | 'kubernetes';

const WRITES: Readonly<Record<StepType, Written>> = {
  gate: 'nothing',
  'create-key-version': 'vault',
  'take-baseline': 'kubernetes',
  'set-kms': 'cluster',
  converge: 'kubernetes',
  rewrite: 'kubernetes',
  prove: 'kubernetes',
  'record-proof': 'kubernetes',
  'upgrade-control-plane': 'cluster',
  'upgrade-pool': 'cluster',
  'check-key-unused': 'nothing',
  'disable-key-version': 'vault',
  soak: 'nothing',
  'delete-key': 'vault',
  'set-vault-network': 'vault',
  'grant-key-access': 'vault',
  'set-vault-diagnostics': 'vault',
  'confirm-vault-diagnostics': 'nothing',
  'create-vault': 'vault',
  'create-key': 'vault',
  'enable-key-version': 'vault',
  'extend-key-expiry': 'vault',
  'recover-deleted-key': 'vault',
  'recover-vault': 'vault',
  'restore-identity': 'cluster',
  'reconcile-cluster': 'cluster',
  'await-kms': 'nothing',
  'create-identity': 'cluster',
  'grant-endpoint-approval': 'vault',
  'create-cluster': 'cluster',
  'enable-vnet-integration': 'cluster',
  'stop-cluster': 'cluster',
  'start-cluster': 'cluster',
  'await-api-servers': 'nothing',
  'enable-secrets-provider': 'cluster',
  'enable-workload-identity': 'cluster',
  'assign-node-identity': 'cluster',
  'create-federated-credential': 'cluster',
  'grant-vault-read': 'vault',
  'create-service-connection': 'cluster',
  'create-service-account': 'kubernetes',
  'create-secret-provider-class': 'kubernetes',
  'prove-mount': 'kubernetes',
  'prove-rotation': 'vault',
  'delete-secret-provider-class': 'kubernetes',
  'delete-service-account': 'kubernetes',
  'delete-federated-credential': 'cluster',
  'delete-service-connection': 'cluster',
  'disable-secrets-provider': 'cluster',
};

/** What steps of a type write to: nothing, the vault, the managed cluster and its identity in ARM, or Kubernetes objects. */
export function writesTo(type: StepType): Written {
  return WRITES[type];
}

/** A step of one type. */
export type StepOf<T extends StepType> = PlanStep & { readonly type: T };

/** The step with an id, of one of the expected types. @throws Error when the plan has none: what is not planned is not done (O3) */
export function stepOf<T extends StepType>(steps: readonly PlanStep[], id: StepId, ...types: readonly T[]): StepOf<T> {
  const step = steps.find((one) => one.id === id);
  if (step === undefined || !(types as readonly StepType[]).includes(step.type)) {
    throw new Error(`The plan has no step ${id} of the type ${types.join(' or ')}.`);
  }
  return step as StepOf<T>;
}
