/** What the steps do that change vaults, identities and what they grant, on the machine. */
import { hasProfile } from '../../../domain/cluster-change';
import { profileOf } from '../../../domain/plan/change-of-step';
import { madeKeys, type StepOutput } from '../../../domain/plan/outputs';
import { CLUSTER } from '../fixtures';
import { keyNumber, PROVISIONED, vaultIdOf } from './names';
import { keyUsage } from './retirement';
import { Blocked, type Effect, type Execution } from './running';

/** The types of steps that this file has. */
type OnVaults =
  | 'await-api-servers'
  | 'await-kms'
  | 'confirm-vault-diagnostics'
  | 'create-cluster'
  | 'create-identity'
  | 'create-key'
  | 'create-vault'
  | 'enable-key-version'
  | 'enable-vnet-integration'
  | 'extend-key-expiry'
  | 'grant-endpoint-approval'
  | 'grant-key-access'
  | 'reconcile-cluster'
  | 'recover-deleted-key'
  | 'recover-vault'
  | 'restore-identity'
  | 'set-vault-diagnostics'
  | 'set-vault-network'
  | 'start-cluster'
  | 'stop-cluster';

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

  *'create-vault'({ vaultId, exists }, { machine: { azure } }) {
    const key = keyNumber(0, PROVISIONED);
    if (azure.vault(key) === undefined) azure.makeVault(key);
    else if (azure.vault(key)?.state !== 'live') throw new Blocked('VaultChangeRefused');
    yield;
    return { type: 'create-vault', vaultId, created: !exists };
  },
  *'create-key'(step, { machine, run }) {
    if (machine.azure.vault(keyNumber(0, PROVISIONED))?.state !== 'live') throw new Blocked('CreateKeyRefused');
    const name = `${run.id}/${step.id}`;
    const keyId = step.exists ?? machine.madeBy.get(name) ?? machine.newVersion(PROVISIONED);
    machine.madeBy.set(name, keyId);
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

  *'grant-key-access'({ vaultId, permissionModel, principalId }, { machine: { azure } }) {
    const { principal } = azure;
    const key = azure.keyIds.find((keyId) => vaultIdOf(keyId) === vaultId) ?? '';
    const vault = azure.vault(key);
    const approved = principalId === null || principalId === principal;
    if (vault?.state !== 'live' || principal === undefined || !approved) throw new Blocked('GrantRefused');
    if (permissionModel !== null && permissionModel !== vault.permissionModel) throw new Blocked('GrantRefused');
    const granted = azure.grant(key, principal);
    yield;
    return { type: 'grant-key-access', principalId: principal, granted };
  },

  *'enable-key-version'({ key }, execution) {
    requireThere(key, execution);
    const { azure } = execution.machine;
    const changed = azure.stateOf(key) === 'disabled';
    if (changed) azure.setEnabled(key, true);
    yield;
    return { type: 'enable-key-version', changed };
  },
  *'extend-key-expiry'({ key, expiresOn }, execution) {
    requireThere(key, execution);
    const { azure } = execution.machine;
    const [is, wanted] = [azure.expiryOf(key), Date.parse(expiresOn)];
    const changed = is !== undefined && is < wanted;
    if (changed) azure.setExpiry(key, wanted);
    yield;
    return { type: 'extend-key-expiry', changed, expiresOn };
  },
  *'recover-deleted-key'({ key }, { machine: { azure } }) {
    const state = azure.stateOf(key);
    if (state === 'purged' || azure.vault(key)?.state !== 'live') throw new Blocked('RepairRefused');
    if (state === 'deleted') azure.setObject(key, 'live');
    yield;
    return { type: 'recover-deleted-key', changed: state === 'deleted' };
  },
  *'recover-vault'({ key }, { machine: { azure } }) {
    const state = azure.vault(key)?.state;
    if (state === 'purged') throw new Blocked('RepairRefused');
    if (state === 'deleted') azure.setVault(key, 'live');
    yield;
    return { type: 'recover-vault', changed: state === 'deleted' };
  },
  *'restore-identity'(_step, { machine: { azure } }) {
    const changed = azure.makeIdentity();
    yield;
    return { type: 'restore-identity', changed, principalId: azure.principal ?? '' };
  },
  *'reconcile-cluster'({ expect, replaces }, { machine, run }) {
    const profile = profileOf(expect, madeKeys(run.outputs));
    if (!hasProfile(machine.observed().kms, profile)) throw new Blocked('ClusterChangedOutside');
    if (machine.failed || machine.clusterPrincipal === replaces) {
      if (!machine.accepts(profile)) throw new Blocked('ArmRequestRefused');
      machine.set(profile, 'others');
    }
    yield;
    if (machine.failed) throw new Blocked('ArmOperationFailed');
    return { type: 'reconcile-cluster', armOperations: [] };
  },
  *'await-kms'(_step, { machine }) {
    yield;
    if (!machine.answers || !machine.kmsWorks) throw new Blocked('ClusterUnavailable');
    return { type: 'await-kms', answers: 1 };
  },

  // The machine's cluster has the integration, so that no story asks for it.
  'enable-vnet-integration': noRestart,
  'stop-cluster': noRestart,
  'start-cluster': noRestart,
  'await-api-servers': noRestart,
};

/** The vault answers Keyturn, and has the key. */
function requireThere(key: string, { machine: { azure } }: Execution): void {
  const vault = azure.vault(key);
  const answers = vault?.state === 'live' && (vault.open || azure.reachesClosedVaults);
  const state = azure.stateOf(key);
  if (!answers || state === undefined || state === 'deleted' || state === 'purged') throw new Blocked('RepairRefused');
}

function* noCluster(): Generator<void, StepOutput, void> {
  yield;
  throw new Error('No story makes a cluster.');
}

function* noRestart(): Generator<void, StepOutput, void> {
  yield;
  throw new Error('No story turns API Server VNet Integration on.');
}
