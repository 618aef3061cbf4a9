/**
 * The Azure resources outside the cluster that a plan changes: what a right on the cluster does not cover.
 *
 * Does: names, for every type of step, what it writes, gives rights on, hands out or makes. Pure.
 * Never does: name the cluster, what is below it, or the machines in its node resource group: they are the cluster. What a step only
 * reads, or checks and leaves as it is, is not named either.
 */
import { assertNever } from '../assert-never';
import { parseKeyId, resourceName, sameText } from '../resource-ids';
import { covers } from '../scope';
import type { Plan } from './plan';
import type { PlanStep, StepId } from './steps';

/** A resource that a plan changes. */
export interface ChangedResource {
  /** The first step that changes it. */
  readonly step: StepId;
  /** Its ARM id; null for a vault that Keyturn does not see in ARM: only its name is known, from the id of a key. */
  readonly id: string | null;
  /** The ARM id, or the name of the vault in words: to complete "the step changes …". */
  readonly name: string;
}

/** What of a plan says what it changes. */
type Changing = Pick<Plan, 'cluster' | 'from' | 'steps' | 'vaults'>;

/** What a step changes: an ARM id, or the vault of a key. */
type Changed = { readonly id: string } | { readonly vaultOf: string };

/** Each resource once, in the order of the steps. */
export function resourcesChanged(plan: Changing): ChangedResource[] {
  const { cluster, from, steps, vaults = {} } = plan;
  const all = steps.flatMap((step) =>
    changedBy(step, from).map((changed): ChangedResource => {
      if ('id' in changed) return { step: step.id, id: changed.id, name: changed.id };
      const vaultName = vaultNameOf(changed.vaultOf);
      const id = vaults[vaultName];
      // A map that names another vault is no answer.
      if (id !== undefined && sameText(resourceName(id), vaultName)) return { step: step.id, id, name: id };
      return { step: step.id, id: null, name: `the vault ${vaultName}` };
    }),
  );
  return all
    .filter(({ id }) => id === null || !covers(cluster, id))
    .filter(({ name }, index, kept) => kept.findIndex((one) => sameText(one.name, name)) === index);
}

/** The vaults, by name in lower case, that steps change and name by a key only: a plan has their ARM ids in `vaults`. */
export function vaultsNamedByKey({ from, steps }: Pick<Plan, 'from' | 'steps'>): string[] {
  const names = steps.flatMap((step) =>
    changedBy(step, from).flatMap((changed) => ('vaultOf' in changed ? [vaultNameOf(changed.vaultOf)] : [])),
  );
  return [...new Set(names)].sort();
}

/** The name of a key's vault, in lower case: names of vaults are unique in a cloud, and have no case. */
export function vaultNameOf(keyId: string): string {
  const key = parseKeyId(keyId);
  return ('fault' in key ? keyId : key.vaultName).toLowerCase();
}

function changedBy(step: PlanStep, from: Plan['from']): readonly Changed[] {
  switch (step.type) {
    // People decide, or Keyturn looks.
    case 'gate':
    case 'check-key-unused':
    case 'soak':
    case 'confirm-vault-diagnostics':
    case 'await-kms':
    case 'await-api-servers':
      return [];
    // Inside the cluster.
    case 'take-baseline':
    case 'converge':
    case 'rewrite':
    case 'prove':
    case 'record-proof':
    case 'create-service-account':
    case 'create-secret-provider-class':
    case 'prove-mount':
    case 'delete-secret-provider-class':
    case 'delete-service-account':
      return [];
    // The cluster itself.
    case 'upgrade-control-plane':
    case 'upgrade-pool':
    case 'reconcile-cluster':
    case 'stop-cluster':
    case 'start-cluster':
    case 'enable-secrets-provider':
    case 'enable-workload-identity':
    case 'disable-secrets-provider':
      return [];

    case 'set-kms':
      return newEndpointAt(step.to, from);
    // The rotation itself: a new version takes nothing from the versions that others use.
    case 'create-key-version':
      return from.mode === 'on' && typeof from.key === 'string' && vaultNameOf(from.key) === vaultNameOf(step.like)
        ? []
        : [{ vaultOf: step.like }];
    case 'disable-key-version':
    case 'delete-key':
    case 'enable-key-version':
    case 'extend-key-expiry':
    case 'recover-deleted-key':
      return [{ vaultOf: step.key }];

    case 'set-vault-network':
    case 'grant-key-access':
    case 'grant-endpoint-approval':
    case 'recover-vault':
    case 'grant-vault-read':
      return [{ id: step.vaultId }];
    // A probe is made in the vault, and deleted.
    case 'prove-rotation':
      return [{ id: step.vaultId }];
    // Service Connector gives rights at the vault; a connection that exists and failed is asked for again.
    case 'create-service-connection':
    case 'delete-service-connection':
      return [{ id: step.vaultId }];
    // The workspace gets what the vault logs, at its owner's cost.
    case 'set-vault-diagnostics':
      return [{ id: step.vaultId }, { id: step.workspaceId }];
    // What exists is checked, and left as it is.
    case 'create-vault':
      return step.exists ? [] : [{ id: step.vaultId }];
    case 'create-key':
      return step.exists === null ? [{ id: step.vaultId }] : [];

    case 'restore-identity':
    case 'create-identity':
      return [{ id: step.identityId }];
    // The machines are the cluster's; every pod on them can then be the identity.
    case 'assign-node-identity':
    case 'create-federated-credential':
    case 'delete-federated-credential':
      return [{ id: step.identityId }];
    // The cluster gets the identity, and its machines and API servers a place in the subnets.
    case 'create-cluster':
      return [
        { id: step.identityId },
        ...[step.apiServerSubnetId, step.nodeSubnetId].flatMap((id) => (id === null ? [] : [{ id }])),
        ...newEndpointAt(step.to, from),
      ];
    // AKS delegates the subnet to the API servers.
    case 'enable-vnet-integration':
      return [{ id: step.subnetId }];
    default:
      return assertNever(step);
  }
}

/** With private access AKS makes a private endpoint of the vault; the one that the cluster has already is the cluster's. */
function newEndpointAt(to: Plan['to'], from: Plan['from']): readonly Changed[] {
  if (to.mode === 'off' || to.access === 'Public' || to.vaultId === undefined) return [];
  const has = from.mode === 'on' && from.access === 'Private' && sameText(from.vaultId, to.vaultId);
  return has ? [] : [{ id: to.vaultId }];
}
