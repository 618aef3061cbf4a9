/** A small policy and those that it is about. */
import type { Subject } from '../../../api/policy/decide';
import type { Policy } from '../../../api/policy/policy';
import { readPolicy } from '../../../api/policy/read-policy';
import type { PlanStep } from '../../../domain/plan/steps';

export const SUBSCRIPTION = '/subscriptions/11111111-2222-3333-4444-555555555555';
export const clusterIn = (group: string, name = 'aks1'): string =>
  `${SUBSCRIPTION}/resourceGroups/${group}/providers/Microsoft.ContainerService/managedClusters/${name}`;

export const vaultIn = (group: string): string =>
  `${SUBSCRIPTION}/resourceGroups/${group}/providers/Microsoft.KeyVault/vaults/kv-${group}`;

/** A step that changes a vault. */
export const changing = (vaultId: string): PlanStep => ({
  id: 'grant',
  type: 'grant-vault-read',
  vaultId,
  permissionModel: 'rbac',
  identity: { from: 'add-on' },
  types: ['secret'],
  title: 'Let the add-on read',
  reason: 'Pods need it.',
});

/** A policy from its text; members that are left out are the empty ones. */
export function policyOf(text: string): Policy {
  const { policy, faults } = readPolicy(text);
  if (policy === null) throw new Error(faults.join('\n'));
  return policy;
}

export const subject = (change: Partial<Subject> = {}): Subject => ({
  objectId: 'oid-olga',
  roles: [],
  groups: [],
  ...change,
});
