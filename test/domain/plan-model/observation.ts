/** What Keyturn sees of the machine before it plans. */
import type { IdentityAccess } from '../../../domain/identity-access';
import type { Ledger } from '../../../domain/ledger';
import type { KeyLookup, Observation } from '../../../domain/observed';
import { nextKeyId, requestedKeyId, type OperationRequest } from '../../../domain/request';
import { trustedLedger } from '../../../domain/trusted-ledger';
import { CLUSTER, goodKey, identityAccess, VAULT_CONTRIBUTOR } from '../fixtures';
import type { Behaviour } from './behaviour';
import { vaultIdOf, vaultOf, type Machine } from './machine';
import { keyUsage } from './retirement';

/** The ledger as far as evidence confirms it. */
export function believed(machine: Machine, behaviour: Behaviour, ledger: Ledger): Ledger {
  return trustedLedger(ledger, behaviour.isConfirmed(ledger, CLUSTER, machine.evidence));
}

/** The identity has every right, on either plane. */
function access(machine: Machine, keyId: string): IdentityAccess {
  return identityAccess({
    keyId,
    vault: { vaultId: vaultIdOf(keyId), openToAllNetworks: !machine.closedVaults.has(vaultOf(keyId)) },
    roles: { known: true, value: [VAULT_CONTRIBUTOR] },
  });
}

/** All that the planner is told. */
export function observe(machine: Machine, behaviour: Behaviour, request: OperationRequest): Observation {
  const cluster = machine.observed();
  const lookUp = (keyId: string): KeyLookup => {
    const state = machine.vault.get(keyId);
    if (state === undefined || state === 'deleted') return { found: false, keyId, why: 'KeyNotFound' };
    return { found: true, key: goodKey(keyId, { enabled: state === 'enabled' }) };
  };
  const [requested, next] = [requestedKeyId(request), nextKeyId(request)];
  const current = machine.reportedKeyId();
  const granted = requested ?? current;
  const { retires, needs } = behaviour.kindOf(request.kind);
  const retired = retires === 'current-key' ? current : retires === 'requested-key' ? requested : undefined;
  const { kubernetesVersion } = machine;
  return {
    azure: {
      at: machine.at,
      cluster: { found: true, cluster },
      ...(current === null ? {} : { currentKey: lookUp(current) }),
      ...(requested === undefined ? {} : { requestedKey: lookUp(requested) }),
      ...(next === undefined ? {} : { nextKey: lookUp(next) }),
      ...(retired === undefined || retired === null
        ? {}
        : { keyUsers: behaviour.usersOf(keyUsage(machine, behaviour), retired) }),
      ...(needs.includes('identity-access') && granted !== null ? { identityAccess: access(machine, granted) } : {}),
      ...(needs.includes('vault-users') && current !== null
        ? { vaultUsers: behaviour.usersOfVault(keyUsage(machine, behaviour), current, CLUSTER) }
        : {}),
      ...(needs.includes('upgrade-profile')
        ? { upgradeProfile: { current: kubernetesVersion, offered: ['1.26.9', '1.27.3', '1.27.9'] } }
        : {}),
    },
    ledger: machine.ledger && believed(machine, behaviour, machine.ledger),
  };
}
