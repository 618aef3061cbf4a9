/** What Keyturn sees of the machine before it plans. */
import type { Census } from '../../../domain/census';
import { isChangedSinceProof, trustedLedger, type LedgerTrust } from '../../../domain/trusted-ledger';
import type { Ledger } from '../../../domain/ledger';
import type { AzureObservation, Observation } from '../../../domain/observed';
import { nextKeyId, requestedKeyId, type OperationRequest } from '../../../domain/request';
import { CLUSTER, provisioning } from '../fixtures';
import type { Behaviour } from './behaviour';
import type { Machine } from './machine';
import { keyNumber, objectOf, PROVISIONED, vaultIdOf } from './names';
import { accessOf, lookUp, recoveryOf } from './recovery';
import { keyUsage } from './retirement';

/** What signed evidence and Azure say of what the ledger claims. */
export function trustOf(machine: Machine, behaviour: Behaviour, ledger: Ledger): LedgerTrust {
  const { evidence, eTag } = machine;
  const confirmed = behaviour.isConfirmed(ledger, CLUSTER, evidence);
  const changedSinceProof = confirmed && eTag !== undefined && isChangedSinceProof(ledger, CLUSTER, evidence, eTag);
  return { confirmed, changedSinceProof };
}

/** The ledger as far as evidence confirms it. */
export function believed(machine: Machine, behaviour: Behaviour, ledger: Ledger): Ledger {
  const { confirmed, changedSinceProof } = trustOf(machine, behaviour, ledger);
  return trustedLedger(ledger, confirmed && !changedSinceProof);
}

/** All that the planner is told; undefined: the cluster does not answer, and the kind cannot do without. */
export function observe(machine: Machine, behaviour: Behaviour, request: OperationRequest): Observation | undefined {
  const cluster = machine.observed();
  const [requested, next] = [requestedKeyId(request), nextKeyId(request)];
  const current = machine.reportedKeyId();
  const granted = requested ?? current;
  const { retires, needs } = behaviour.kindOf(request.kind);
  const retired = retires === 'current-key' ? current : retires === 'requested-key' ? requested : undefined;
  const { kubernetesVersion, clusterPrincipal } = machine;
  if (needs.includes('census') && !machine.answers) return undefined;
  const unreadable = needs.includes('census') ? machine.unreadable() : [];
  const ledger = machine.ledger && believed(machine, behaviour, machine.ledger);
  const inside = machine.answers ? { ledger } : { unreadable: 'No API server answers.' };
  return {
    azure: {
      at: machine.at,
      cluster: { found: true, cluster },
      ...(current === null || needs.includes('recovery') ? {} : { currentKey: lookUp(machine, current) }),
      ...(requested === undefined ? {} : { requestedKey: lookUp(machine, requested) }),
      ...(next === undefined ? {} : { nextKey: lookUp(machine, next) }),
      ...(retired === undefined || retired === null
        ? {}
        : { keyUsers: behaviour.usersOf(keyUsage(machine, behaviour), retired) }),
      ...(needs.includes('identity-access') && granted !== null
        ? { identityAccess: accessOf(machine, granted, clusterPrincipal) }
        : {}),
      ...(needs.includes('vault-users') && current !== null
        ? { vaultUsers: behaviour.usersOfVault(keyUsage(machine, behaviour), current, CLUSTER) }
        : {}),
      ...(needs.includes('upgrade-profile')
        ? { upgradeProfile: { current: kubernetesVersion, offered: ['1.26.9', '1.27.3', '1.27.9'] } }
        : {}),
      ...(needs.includes('vault-diagnostics') && current !== null
        ? {
            vaultDiagnostics: {
              known: true as const,
              vaultId: vaultIdOf(current),
              settings: [],
              workspaceFound: true,
            },
          }
        : {}),
      ...(needs.includes('provisioning') ? provisioned(machine) : {}),
      ...(needs.includes('recovery') ? { recovery: recoveryOf(machine, behaviour, inside.ledger) } : {}),
    },
    ...inside,
    ...(unreadable.length > 0 ? { census: censusOf(unreadable) } : {}),
  };
}

function censusOf(secrets: string[]): Census {
  const problem = { reason: 'Unreadable' as const, count: secrets.length, secrets, message: '' };
  return { secrets: secrets.length, problems: [problem], finalizing: { count: 0, secrets: [] } };
}

/** What there is of the vault and the key that `provision-kms` makes. */
function provisioned(machine: Machine): Pick<AzureObservation, 'provisioning' | 'provisionedKey'> {
  const { azure } = machine;
  const key = azure.keyIds.findLast((keyId) => objectOf(keyId) === PROVISIONED) ?? keyNumber(0, PROVISIONED);
  const vault = azure.vault(key);
  const vaultId = vaultIdOf(key);
  if (vault?.state === 'deleted')
    return { provisioning: provisioning({ vaultId, vault: { state: 'soft-deleted', why: 'It is deleted.' } }) };
  if (vault?.state !== 'live') return { provisioning: provisioning({ vaultId }) };
  const found = {
    location: 'westeurope',
    tenantId: 'tenant-1',
    permissionModel: vault.permissionModel,
    softDelete: true,
    purgeProtection: true,
    openToAllNetworks: vault.open,
  };
  const lookup = lookUp(machine, key);
  const state = lookup.found ? 'exists' : azure.stateOf(key) === 'deleted' ? 'soft-deleted' : 'none';
  return {
    provisioning: provisioning({ vaultId, vault: { state: 'exists', vault: found }, key: state }),
    ...(lookup.found ? { provisionedKey: lookup.key } : {}),
  };
}
