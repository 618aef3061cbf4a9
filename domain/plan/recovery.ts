/**
 * A recovery: the steps that repair every cause, in an order in which each finds what it needs: identity, vault, its network, key
 * object, key version, grants, the cluster itself. Then the API servers are seen to use KMS again. Nothing is ever weakened.
 */
import type { EncryptionState } from '../encryption';
import { mustParseKeyId, sameKeyObject, shortKeyId, resourceName } from '../resource-ids';
import type { Cause, Recovery } from '../recovery';
import type { PlanStep } from './steps';

/** What a recovery is made of. */
export interface RecoveryOptions {
  /** Those that can be repaired. */
  readonly causes: readonly Cause[];
  /** False where a purged key keeps the KMS of the API servers from working whatever is repaired. */
  readonly awaitsKms: boolean;
  readonly recovery: Recovery;
  /** The state that the cluster is in. */
  readonly state: EncryptionState;
  readonly provisioningState: string;
  /** The principal that the cluster has for its identity. */
  readonly clusterPrincipal: string | null;
  /** When an expired key version is to expire. */
  readonly expiresOn: string;
}

/** @returns the repairs, and the wait for KMS where that may end */
export function recoverySteps(options: RecoveryOptions): PlanStep[] {
  const { causes, state } = options;
  const identity = causes.flatMap((cause) => identityStep(cause, options));
  // Numbered among those of one type.
  const place = (cause: Cause): number => causes.filter(({ type }) => type === cause.type).indexOf(cause);
  const vaults = causes.flatMap((cause) => vaultStep(cause, place(cause)));
  const keys = causes.flatMap((cause) => keyStep(cause, place(cause), options.expiresOn));
  return [
    ...identity,
    ...vaults,
    ...keys,
    ...unseenSteps(options),
    ...grantSteps(options),
    ...reconcileStep(options),
    ...(options.awaitsKms ? [awaitStep(state)] : []),
  ];
}

function awaitStep(state: EncryptionState): PlanStep {
  return {
    id: 'repair.await-kms',
    type: 'await-kms',
    state,
    title: 'Wait until the API servers say that their KMS works',
    reason:
      'Azure may take minutes until a repair works everywhere, and an API server that was started without its key is not ready until then. Only the API servers know.',
  };
}

/** A deleted key object shows nothing of its versions: one that was disabled before is disabled when it comes back. */
function unseenSteps({ causes, recovery: { slots } }: RecoveryOptions): PlanStep[] {
  const unseen = slots.filter(
    ({ key, keyId }) =>
      !key.found && causes.some((cause) => cause.type === 'key-deleted' && sameKeyObject(cause.key, keyId)),
  );
  return unseen.map(({ keyId }, index) => ({
    id: idOf('repair.enable-recovered-key', index),
    type: 'enable-key-version',
    key: keyId,
    title: `Enable ${shortKeyId(keyId)} if it is disabled`,
    reason: 'A deleted key does not show its versions, and a version that was disabled before comes back disabled.',
  }));
}

function identityStep(cause: Cause, { recovery: { identity } }: RecoveryOptions): PlanStep[] {
  if (cause.type !== 'identity-missing' || identity === undefined) return [];
  return [
    {
      id: 'repair.restore-identity',
      type: 'restore-identity',
      identityId: identity.id,
      location: identity.location,
      title: `Make the managed identity ${resourceName(identity.id)} again`,
      reason: `${cause.text} It gets a new principal, which has none of the grants of the old one.`,
    },
  ];
}

function vaultStep(cause: Cause, index: number): PlanStep[] {
  if (cause.type !== 'vault-deleted' && cause.type !== 'vault-closed') return [];
  const { key, vaultId } = cause;
  const { vaultName } = mustParseKeyId(key);
  if (cause.type === 'vault-deleted') {
    return [
      {
        id: idOf('repair.recover-vault', index),
        type: 'recover-vault',
        vaultId,
        location: cause.location,
        key,
        title: `Recover the deleted vault ${vaultName}`,
        reason: `${cause.text} Azure brings its keys, settings and access policies back as they were.`,
      },
    ];
  }
  return [
    {
      id: idOf('repair.open-vault', index),
      type: 'set-vault-network',
      vaultId,
      to: 'open',
      key,
      title: `Open the vault ${vaultName} to all networks`,
      reason: `${cause.text} AKS reaches it from addresses that no firewall rule can name. Rules for single networks stay in the list.`,
    },
  ];
}

function keyStep(cause: Cause, index: number, expiresOn: string): PlanStep[] {
  const { type, text: reason } = cause;
  if (type !== 'key-deleted' && type !== 'key-disabled' && type !== 'key-expired' && type !== 'key-expires-soon')
    return [];
  const { key } = cause;
  const name = shortKeyId(key);
  switch (type) {
    case 'key-deleted': {
      const { vaultName, name: object } = mustParseKeyId(key);
      const title = `Recover the deleted key ${vaultName}/${object} with all its versions`;
      return [{ id: idOf('repair.recover-key', index), type: 'recover-deleted-key', key, title, reason }];
    }
    case 'key-disabled':
      return [
        { id: idOf('repair.enable-key', index), type: 'enable-key-version', key, title: `Enable ${name}`, reason },
      ];
    case 'key-expired':
    case 'key-expires-soon':
      return [
        {
          id: idOf(type === 'key-expired' ? 'repair.extend-key' : 'repair.extend-key-in-time', index),
          type: 'extend-key-expiry',
          key,
          expiresOn,
          title: `Have ${name} expire on ${expiresOn}`,
          reason: `${reason} API servers need this version until the cluster was rotated twice: rotate the key once it works again.`,
        },
      ];
  }
}

/** Where rights are missing, and where they may be gone: role assignments do not survive the deletion of a vault or an identity. */
function grantSteps({ causes, recovery: { slots, identity } }: RecoveryOptions): PlanStep[] {
  if (identity === undefined) return [];
  const missing = causes.some(({ type }) => type === 'identity-missing');
  const deletedVaults = causes.flatMap((cause) => (cause.type === 'vault-deleted' ? [cause.vaultId] : []));
  const lacking = causes.flatMap((cause) => (cause.type === 'access-missing' ? [cause.key] : []));
  const wanted = slots.filter(({ keyId, vault }) => {
    if (vault.state !== 'live' && vault.state !== 'deleted') return false;
    return missing || deletedVaults.includes(vault.vaultId) || lacking.some((key) => sameKeyObject(key, keyId));
  });
  const once = wanted.filter(
    (slot, index) => wanted.findIndex(({ keyId }) => sameKeyObject(keyId, slot.keyId)) === index,
  );
  return once.flatMap((slot, index): PlanStep[] => {
    const { keyId, vault, access } = slot;
    if (vault.state !== 'live' && vault.state !== 'deleted') return [];
    const { vaultName, name: keyName } = mustParseKeyId(keyId);
    const principalId = missing ? null : (identity.principalId ?? access?.identity.principalId ?? null);
    return [
      {
        id: idOf('repair.grant-key-access', index),
        type: 'grant-key-access',
        vaultId: vault.vaultId,
        permissionModel: vault.state === 'live' ? vault.permissionModel : null,
        keyName,
        identityId: identity.id,
        principalId,
        title: `Have the identity ${resourceName(identity.id)} encrypt and decrypt with ${vaultName}/${keyName}`,
        reason: missing
          ? 'A new principal has no grants.'
          : deletedVaults.includes(vault.vaultId)
            ? 'Azure deletes the role assignments of a vault with the vault, and does not bring them back. What is there already stays as it is.'
            : (causes.find((cause) => cause.type === 'access-missing' && sameKeyObject(cause.key, keyId))?.text ?? ''),
      },
    ];
  });
}

function reconcileStep({ causes, state, provisioningState, clusterPrincipal }: RecoveryOptions): PlanStep[] {
  const gone = causes.find(({ type }) => type === 'identity-missing' || type === 'identity-replaced');
  if (gone === undefined && provisioningState === 'Succeeded') return [];
  return [
    {
      id: 'repair.reconcile-cluster',
      type: 'reconcile-cluster',
      expect: state,
      replaces: gone === undefined ? null : clusterPrincipal,
      title: 'Send the cluster to Azure as it is',
      reason:
        gone === undefined
          ? `Azure reports the cluster as ${provisioningState}: AKS leaves that state when it is asked for the same again.`
          : 'AKS keeps the principal that the identity had when the cluster was sent last, and takes the new one now.',
    },
  ];
}

/** The first of several has no number. */
function idOf(id: string, index: number): string {
  return index === 0 ? id : `${id}-${index + 1}`;
}
