/**
 * Why a cluster cannot use the keys of its slots: facts as Azure shows them, and the causes that follow from them. Pure.
 *
 * One list of causes serves the inspection, which names them, and the kind recover-key, which plans their repair: so the two never
 * disagree. What Keyturn could not see is no cause.
 */
import { z } from 'zod';
import { denyingAssignments, IdentityAccess, rightsOf } from './identity-access';
import { KmsHealth } from './kms-health';
import { KeyLookup } from './observed-key';
import { parseKeyId, shortKeyId } from './resource-ids';

/** The vault of a slot's key. */
export const VaultState = z.discriminatedUnion('state', [
  z.object({
    state: z.literal('live'),
    vaultId: z.string(),
    permissionModel: z.enum(['rbac', 'access-policy']),
    openToAllNetworks: z.boolean(),
  }),
  z.object({
    state: z.literal('deleted'),
    vaultId: z.string(),
    location: z.string(),
    /** ISO 8601: from then on nothing can bring it back. */
    scheduledPurgeOn: z.string().optional(),
  }),
  /** There is no such vault, and none that is soft-deleted. */
  z.object({ state: z.literal('purged'), why: z.string() }),
  z.object({ state: z.literal('unknown'), why: z.string() }),
]);
/** The vault of a slot's key. */
export type VaultState = z.infer<typeof VaultState>;

/** The key of one slot. */
export const SlotFacts = z.object({
  slot: z.enum(['current', 'previous']),
  keyId: z.string(),
  key: KeyLookup,
  /** Of a key that the vault does not have: whether it has it as soft-deleted. */
  softDeleted: z.enum(['yes', 'no', 'unknown']).optional(),
  vault: VaultState,
  /** Of the principal that the cluster's identity stands for now. */
  access: IdentityAccess.optional(),
});
/** The key of one slot. */
export type SlotFacts = z.infer<typeof SlotFacts>;

/** What recover-key is planned from. */
export const Recovery = z.object({
  /** The current slot first; the previous one as far as the ledger, or the last evidence, knows it. */
  slots: z.array(SlotFacts),
  identity: z
    .object({
      /** ARM resource id. */
      id: z.string(),
      location: z.string(),
      /** `replaced`: deleted and made again, so that it stands for another principal than the cluster has. */
      state: z.enum(['same', 'replaced', 'missing', 'unknown']),
      /** The principal that it stands for now; absent when it is missing or unknown. */
      principalId: z.string().optional(),
    })
    .optional(),
  /** What the API servers say; absent when none answered. */
  kms: KmsHealth.optional(),
});
/** What recover-key is planned from. */
export type Recovery = z.infer<typeof Recovery>;

/** One reason why API servers cannot use a key. `text` is a whole sentence. */
export type Cause = { readonly text: string } & (
  | { readonly type: 'vault-deleted'; readonly key: string; readonly vaultId: string; readonly location: string }
  | { readonly type: 'vault-closed'; readonly key: string; readonly vaultId: string }
  | { readonly type: 'key-deleted' | 'key-disabled' | 'key-expired'; readonly key: string }
  | {
      readonly type: 'access-missing';
      readonly key: string;
      readonly vaultId: string;
      readonly permissionModel: 'rbac' | 'access-policy';
    }
  | { readonly type: 'identity-replaced' | 'identity-missing' }
  /** Nothing can be done about these. */
  | { readonly type: 'vault-purged' | 'key-purged'; readonly key: string }
  /** A person must act. */
  | { readonly type: 'access-denied'; readonly key: string }
);
/** The types of causes. */
export type CauseType = Cause['type'];

/** Causes that no operation repairs. */
export const NOT_REPAIRABLE: readonly CauseType[] = ['vault-purged', 'key-purged', 'access-denied'];

/** Every cause, in the order in which they are repaired. */
export function causesOf(
  { slots, identity }: Recovery,
  { kms }: { readonly kms: { readonly networkAccess?: string } },
  now: string,
): readonly Cause[] {
  const found: Cause[] = [];
  const name = identity?.id.split('/').at(-1) ?? '';
  if (identity?.state === 'missing') {
    found.push({
      type: 'identity-missing',
      text: `The managed identity ${name} of the cluster is deleted: the cluster gets no token to use its key with.`,
    });
  }
  if (identity?.state === 'replaced') {
    found.push({
      type: 'identity-replaced',
      text: `The managed identity ${name} was deleted and made again: it stands for another principal (${identity.principalId ?? ''}) than the cluster has.`,
    });
  }
  for (const slot of slots) found.push(...causesOfSlot(slot, kms.networkAccess !== 'Private', now));
  // One vault, and one key object, may be in both slots.
  return found.filter((one, index) => found.findIndex((other) => identityOf(other) === identityOf(one)) === index);
}

function causesOfSlot({ keyId, key, softDeleted, vault, access }: SlotFacts, isPublic: boolean, now: string): Cause[] {
  const name = shortKeyId(keyId);
  if (vault.state === 'deleted') {
    const until = vault.scheduledPurgeOn === undefined ? '' : ` until ${vault.scheduledPurgeOn}`;
    const text = `The vault ${vaultName(keyId)} is deleted, with all its keys. It can be recovered${until}.`;
    return [{ type: 'vault-deleted', key: keyId, vaultId: vault.vaultId, location: vault.location, text }];
  }
  if (vault.state === 'purged') return [{ type: 'vault-purged', key: keyId, text: vault.why }];
  const found: Cause[] = [];
  if (vault.state === 'live' && isPublic && !vault.openToAllNetworks) {
    const text = `The vault ${vaultName(keyId)} is not open to all networks, and API servers use its public address.`;
    found.push({ type: 'vault-closed', key: keyId, vaultId: vault.vaultId, text });
  }
  if (!key.found && softDeleted === 'yes') {
    found.push({
      type: 'key-deleted',
      key: keyId,
      text: `The key of ${name} is deleted, with all its versions. It can be recovered.`,
    });
  }
  if (!key.found && softDeleted === 'no') {
    found.push({
      type: 'key-purged',
      key: keyId,
      text: `The vault ${vaultName(keyId)} does not have ${name}, and not as a deleted key either: it was purged.`,
    });
  }
  if (key.found && !key.key.enabled)
    found.push({ type: 'key-disabled', key: keyId, text: `The key version ${name} is disabled.` });
  if (key.found && key.key.expiresOn !== undefined && key.key.expiresOn <= now)
    found.push({ type: 'key-expired', key: keyId, text: `The key version ${name} expired on ${key.key.expiresOn}.` });
  if (access && vault.state === 'live') found.push(...causesOfAccess(keyId, access, vault));
  return found;
}

function causesOfAccess(
  keyId: string,
  access: IdentityAccess,
  { vaultId, permissionModel }: Extract<VaultState, { state: 'live' }>,
): Cause[] {
  const who = `The cluster's identity ${access.identity.name} (principal ${access.identity.principalId})`;
  const denying = denyingAssignments(access);
  if (denying.length > 0) {
    const text = `${who} may not use ${shortKeyId(keyId)}: the deny assignment ${denying.join(', ')} takes the rights, whatever roles give. Its owner must remove it.`;
    return [{ type: 'access-denied', key: keyId, text }];
  }
  const { missing } = rightsOf(access);
  if (missing.length === 0) return [];
  const text = `${who} may not ${missing.join(' and ')} with ${shortKeyId(keyId)}.`;
  return [{ type: 'access-missing', key: keyId, vaultId, permissionModel, text }];
}

/** What a repair is of: a vault, a key object, a version, or the identity. */
function identityOf(cause: Cause): string {
  switch (cause.type) {
    case 'vault-deleted':
    case 'vault-closed':
      return `${cause.type} ${cause.vaultId.toLowerCase()}`;
    case 'vault-purged':
      return `${cause.type} ${vaultName(cause.key)}`;
    case 'key-deleted':
    case 'access-missing':
    case 'access-denied':
      return `${cause.type} ${keyObject(cause.key)}`;
    case 'key-purged':
    case 'key-disabled':
    case 'key-expired':
      return `${cause.type} ${cause.key.toLowerCase()}`;
    case 'identity-replaced':
    case 'identity-missing':
      return cause.type;
  }
}

function vaultName(keyId: string): string {
  const key = parseKeyId(keyId);
  return 'fault' in key ? keyId : key.vaultName;
}

function keyObject(keyId: string): string {
  const key = parseKeyId(keyId);
  return ('fault' in key ? keyId : `${key.vaultUrl}/keys/${key.name}`).toLowerCase();
}
