/** What the steps do that change vaults, identities and what they grant, on the machine. */
import type { StepOutput } from '../../../domain/plan/outputs';
import { CLUSTER } from '../fixtures';
import { keyUsage } from './retirement';
import { Blocked, type Effect } from './running';

/** The types of steps that this file has. */
type OnVaults =
  | 'await-kms'
  | 'confirm-vault-diagnostics'
  | 'create-cluster'
  | 'create-identity'
  | 'create-key'
  | 'create-vault'
  | 'enable-key-version'
  | 'extend-key-expiry'
  | 'grant-endpoint-approval'
  | 'grant-key-access'
  | 'reconcile-cluster'
  | 'recover-deleted-key'
  | 'recover-vault'
  | 'restore-identity'
  | 'set-vault-diagnostics'
  | 'set-vault-network';

/** One effect for each. */
export const EFFECTS_ON_VAULTS: { readonly [T in OnVaults]: Effect<T> } = {
  *'set-vault-network'({ key, to, vaultId }, { machine, behaviour }) {
    // Looked at again right before: others may have moved this cluster, or another one to the vault.
    const { kms } = machine.observed();
    if (to === 'closed' && behaviour.looksBeforeClosing) {
      if (kms.networkAccess !== 'Private' || kms.vaultId !== vaultId || !kms.enabled)
        throw new Blocked('ClusterChangedOutside');
      const { clusters } = behaviour.usersOfVault(keyUsage(machine, behaviour), key, CLUSTER);
      if (clusters.length > 0) throw new Blocked('VaultInUse');
    }
    const changed = machine.setVaultNetwork(key, to);
    yield;
    return { type: 'set-vault-network', changed };
  },

  // A new vault and a key of it are none of those that the machine's cluster knows.
  *'create-vault'({ vaultId }) {
    yield;
    return { type: 'create-vault', vaultId, created: true };
  },
  *'create-key'(step, { machine }) {
    const keyId = step.exists ?? machine.newVersion('https://kv9.vault.azure.net/keys/k9');
    yield;
    return { type: 'create-key', keyId, created: step.exists === null };
  },

  // The machine has one cluster, which is there.
  'create-identity': noCluster,
  'grant-endpoint-approval': noCluster,
  'create-cluster': noCluster,

  // The machine's vaults log nothing: neither keys nor Secrets change.
  *'set-vault-diagnostics'({ settingName }) {
    yield;
    return { type: 'set-vault-diagnostics', settingName, created: true };
  },
  *'confirm-vault-diagnostics'() {
    yield;
    return { type: 'confirm-vault-diagnostics', settingName: 'audit' };
  },

  // The machine's vault refuses no cluster: who may use a key is no part of it.
  *'grant-key-access'(step) {
    yield;
    return { type: 'grant-key-access', principalId: step.principalId ?? 'made', granted: true };
  },

  *'enable-key-version'({ key }, { machine }) {
    const changed = machine.vault.get(key) === 'disabled';
    if (changed) machine.vault.set(key, 'enabled');
    yield;
    return { type: 'enable-key-version', changed };
  },

  // The machine has keys that are enabled, disabled or deleted, and no other reason why they would not work.
  *'extend-key-expiry'({ expiresOn }) {
    yield;
    return { type: 'extend-key-expiry', changed: false, expiresOn };
  },
  *'recover-deleted-key'({ key }, { machine }) {
    const changed = machine.vault.get(key) === 'deleted';
    if (changed) machine.vault.set(key, 'disabled');
    yield;
    return { type: 'recover-deleted-key', changed };
  },
  *'recover-vault'() {
    yield;
    return { type: 'recover-vault', changed: false };
  },
  *'restore-identity'() {
    yield;
    return { type: 'restore-identity', changed: false, principalId: 'made' };
  },
  *'reconcile-cluster'() {
    yield;
    return { type: 'reconcile-cluster', armOperations: [] };
  },
  *'await-kms'() {
    yield;
    return { type: 'await-kms', answers: 1 };
  },
};

function* noCluster(): Generator<void, StepOutput, void> {
  yield;
  throw new Error('No story makes a cluster.');
}
