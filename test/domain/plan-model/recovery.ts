/** Why API servers cannot use their keys, as activities/observe-recovery.ts sees it on the machine. */
import type { IdentityAccess } from '../../../domain/identity-access';
import type { KmsHealth } from '../../../domain/kms-health';
import type { Ledger } from '../../../domain/ledger';
import type { KeyLookup } from '../../../domain/observed';
import type { Recovery, SlotFacts, VaultState } from '../../../domain/recovery';
import { goodKey, VAULT_CONTRIBUTOR } from '../fixtures';
import type { Behaviour } from './behaviour';
import { IDENTITY_ID, type Machine } from './machine';
import { vaultIdOf } from './names';

const CRYPTO_USER = {
  ...VAULT_CONTRIBUTOR,
  name: 'Key Vault Crypto User',
  actions: [],
  dataActions: ['Microsoft.KeyVault/vaults/keys/*'],
};
/** A soft-deleted vault is purged after so long. */
const RETENTION_IN_MS = 90 * 86_400_000;

/** What a vault, or ARM, says of a key version. */
export function lookUp({ azure }: Machine, keyId: string): KeyLookup {
  const vault = azure.vault(keyId);
  if (vault?.state !== 'live') return { found: false, keyId, missing: 'vault', why: 'There is no such vault.' };
  const state = azure.stateOf(keyId);
  const isThere = state === 'enabled' || state === 'disabled';
  const answers = vault.open || azure.reachesClosedVaults;
  if (!isThere)
    return { found: false, keyId, why: 'KeyNotFound', ...(answers ? { missing: 'key' } : { unreachable: true }) };
  const expiresOn = azure.expiryOf(keyId);
  const key = goodKey(keyId, {
    enabled: state === 'enabled',
    ...(expiresOn === undefined ? {} : { expiresOn: new Date(expiresOn).toISOString() }),
    ...(answers ? {} : { seenThrough: 'arm' }),
  });
  return { found: true, key };
}

/** What a principal is granted on a key. */
export function accessOf({ azure }: Machine, keyId: string, principalId: string): IdentityAccess {
  const identity = { name: 'id1', principalId };
  const vault = azure.vault(keyId);
  if (vault?.state !== 'live') return { keyId, identity, vault: { known: false, why: 'There is no such vault.' } };
  const { permissionModel, open: openToAllNetworks } = vault;
  const granted = vault.granted.has(principalId);
  const policyKeys = granted && permissionModel === 'access-policy' ? ['encrypt', 'decrypt'] : [];
  return {
    keyId,
    identity,
    tenantId: TENANT,
    vault: {
      known: true,
      value: {
        vaultId: vaultIdOf(keyId),
        permissionModel,
        policyKeys,
        openToAllNetworks,
        tenantId: TENANT,
        softDelete: true,
        purgeProtection: true,
      },
    },
    // Whoever may approve private endpoints has that right from a scope above.
    roles: { known: true, value: [VAULT_CONTRIBUTOR, ...(granted ? [CRYPTO_USER] : [])] },
    denials: { known: true, value: [] },
  };
}

/** The one of everything. */
const TENANT = 'tenant-1';

/** All that recover-key and an inspection are told. @param ledger as the cluster has it; undefined when it does not answer */
export function recoveryOf(machine: Machine, behaviour: Behaviour, ledger: Ledger | null | undefined): Recovery {
  const { azure } = machine;
  const { principal } = azure;
  const known = ledger === undefined ? lastLedger(machine) : ledger;
  const slots = behaviour.recoveryKeys(machine.observed(), known, machine.at);
  const state = principal === undefined ? 'missing' : principal === machine.clusterPrincipal ? 'same' : 'replaced';
  return behaviour.recoverySeen({
    slots: slots.map(({ slot, keyId }) => slotFacts(machine, slot, keyId)),
    identity: {
      id: IDENTITY_ID,
      location: 'westeurope',
      state,
      ...(principal === undefined ? {} : { principalId: principal }),
    },
    ...(machine.answers ? { kms: healthOf(machine) } : {}),
  });
}

/** The ledger as the last operation that wrote it left it: evidence has it. */
function lastLedger({ evidence }: Machine): Ledger | null {
  for (const { outputs } of [...evidence].reverse()) {
    const output = Object.values(outputs).findLast((one) => 'ledger' in one);
    if (output !== undefined && 'ledger' in output) return output.ledger;
  }
  return null;
}

function healthOf({ kmsWorks }: Machine): KmsHealth {
  return { answers: 1, causes: kmsWorks ? [] : ['The KMS provider fails.'] };
}

function slotFacts(machine: Machine, slot: SlotFacts['slot'], keyId: string): SlotFacts {
  const { azure } = machine;
  const key = lookUp(machine, keyId);
  const softDeleted = !key.found && key.missing === 'key' ? azure.stateOf(keyId) : undefined;
  return {
    slot,
    keyId,
    key,
    ...(softDeleted === undefined ? {} : { softDeleted: softDeleted === 'deleted' ? 'yes' : 'no' }),
    vault: vaultState(machine, keyId),
    ...(azure.principal === undefined ? {} : { access: accessOf(machine, keyId, azure.principal) }),
  };
}

function vaultState({ azure, now }: Machine, keyId: string): VaultState {
  const vault = azure.vault(keyId);
  const vaultId = vaultIdOf(keyId);
  switch (vault?.state) {
    case 'live':
      return { state: 'live', vaultId, permissionModel: vault.permissionModel, openToAllNetworks: vault.open };
    case 'deleted':
      return {
        state: 'deleted',
        vaultId,
        location: 'westeurope',
        scheduledPurgeOn: new Date(now + RETENTION_IN_MS).toISOString(),
      };
    case 'purged':
    case undefined:
      return { state: 'purged', why: 'There is no such vault, and no soft-deleted one.' };
  }
}
