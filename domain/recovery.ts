/**
 * Why a cluster cannot use the keys of its slots: facts as Azure shows them, and the causes that follow from them. Pure.
 *
 * One list of causes serves the inspection, which names them, and the kind recover-key, which plans their repair: so the two never
 * disagree. What Keyturn could not see is no cause.
 */
import { z } from 'zod';
import { denyingAssignments, IdentityAccess, rightsOf } from './identity-access';
import { KmsHealth } from './kms-health';
import { currentGeneration, type Ledger } from './ledger';
import { KeyLookup, type ObservedKey } from './observed-key';
import { mustParseKeyId, parseKeyId, shortKeyId } from './resource-ids';
import type { ObservedCluster } from './observed';
import { minutesAfter } from './times';

/** Before a key expires: then every other kind refuses to begin, as an operation may take hours. */
const A_DAY_IN_MINUTES = 24 * 60;
/** With KMS off no rotation takes a key out of its slot before it expires. */
const A_MONTH_IN_MINUTES = 30 * A_DAY_IN_MINUTES;

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
  /** `needed`: it may be in the second slot, or Secrets may be under it: nobody knows since a key was set by hand. */
  slot: z.enum(['current', 'previous', 'needed']),
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
  /** The current slot first; the others as far as the ledger, or the last evidence, knows them: domain/recovery-keys.ts. */
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
  | { readonly type: 'key-deleted' | 'key-disabled' | 'key-expired' | 'key-expires-soon'; readonly key: string }
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
  | { readonly type: 'access-denied' | 'key-out-of-reach'; readonly key: string }
);
/** The types of causes. */
export type CauseType = Cause['type'];

/** Causes that no operation repairs. */
export const NOT_REPAIRABLE: readonly CauseType[] = ['vault-purged', 'key-purged', 'access-denied', 'key-out-of-reach'];

/** Every cause, in the order in which they are repaired. */
export function causesOf(
  { slots, identity, kms: health }: Recovery,
  { kms }: { readonly kms: Partial<ObservedCluster['kms']> },
  now: string,
): readonly Cause[] {
  // Without a key nobody needs the identity for KMS.
  if (slots.length === 0) return [];
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
  // How the API servers reach another vault than that of the profile, only they can tell.
  const works = health !== undefined && health.causes.length === 0;
  const needsOpenVault = (keyId: string): boolean =>
    kms.keyId === undefined || vaultName(keyId) === vaultName(kms.keyId) ? kms.networkAccess !== 'Private' : !works;
  const soon = minutesAfter(now, kms.enabled === false ? A_MONTH_IN_MINUTES : A_DAY_IN_MINUTES);
  for (const slot of slots) found.push(...causesOfSlot(slot, needsOpenVault(slot.keyId), { at: now, soon }));
  // One vault, and one key object, may be in both slots.
  return found.filter((one, index) => found.findIndex((other) => identityOf(other) === identityOf(one)) === index);
}

function causesOfSlot(
  { keyId, key, softDeleted, vault, access }: SlotFacts,
  needsOpenVault: boolean,
  { at: now, soon }: { readonly at: string; readonly soon: string },
): Cause[] {
  const name = shortKeyId(keyId);
  if (vault.state === 'deleted') {
    const until = vault.scheduledPurgeOn === undefined ? '' : ` until ${vault.scheduledPurgeOn}`;
    const text = `The vault ${vaultName(keyId)} is deleted, with all its keys. It can be recovered${until}.`;
    return [{ type: 'vault-deleted', key: keyId, vaultId: vault.vaultId, location: vault.location, text }];
  }
  if (vault.state === 'purged') return [{ type: 'vault-purged', key: keyId, text: vault.why }];
  const found: Cause[] = [];
  if (vault.state === 'live' && needsOpenVault && !vault.openToAllNetworks) {
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
  if (key.found) {
    const causes = causesOfVersion(key.key, { at: now, soon });
    // A vault that is opened answers Keyturn too. One that stays private may not.
    const unreachable = key.key.seenThrough === 'arm' && !found.some(({ type }) => type === 'vault-closed');
    found.push(
      ...(unreachable
        ? causes.map((cause) => ({
            type: 'key-out-of-reach' as const,
            key: keyId,
            text: `${cause.text} ${outOfReach(keyId, cause.type)}`,
          }))
        : causes),
    );
  }
  if (access && vault.state === 'live') found.push(...causesOfAccess(keyId, access, vault));
  return found;
}

/** A key version is enabled, or its expiry moved, by its vault alone: ARM shows it and does not change it. */
function outOfReach(key: string, type: CauseType): string {
  const { vaultName: vault, name, version } = mustParseKeyId(key);
  const change = type === 'key-disabled' ? '--enabled true' : '--expires …';
  return `The vault does not answer from where Keyturn runs. Run Keyturn in a network with a private endpoint of the vault, or from there: az keyvault key set-attributes --vault-name ${vault} --name ${name} --version ${version} ${change}.`;
}

function causesOfVersion(
  { keyId, enabled, expiresOn }: ObservedKey,
  { at, soon }: { readonly at: string; readonly soon: string },
): (Cause & { readonly key: string })[] {
  const name = shortKeyId(keyId);
  const causes: (Cause & { readonly key: string })[] = [];
  if (!enabled) causes.push({ type: 'key-disabled', key: keyId, text: `The key version ${name} is disabled.` });
  if (expiresOn !== undefined && expiresOn <= at)
    causes.push({ type: 'key-expired', key: keyId, text: `The key version ${name} expired on ${expiresOn}.` });
  else if (expiresOn !== undefined && expiresOn <= soon) {
    const text = `The key version ${name} expires soon, on ${expiresOn}.`;
    causes.push({ type: 'key-expires-soon', key: keyId, text });
  }
  return causes;
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

/**
 * Whether a cluster that Failed leaves that state when it is sent to Azure as it is. Not when others have set its key: AKS evicts a key for
 * it, which Secrets may be under.
 * @param ledger as it agrees with what Azure reports
 */
export function mayBeSentAgain({ provisioningState }: { readonly provisioningState: string }, ledger: Ledger): boolean {
  return provisioningState === 'Failed' && currentGeneration(ledger)?.origin === 'operation';
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
    case 'key-out-of-reach':
    case 'key-disabled':
    case 'key-expired':
    case 'key-expires-soon':
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
