/** What a principal may do in ARM by its role assignments. Pure. Only what AKS asks of a cluster's identity is decided here. */
import { allows } from '../vault/permissions';
import type { RoleAssignments } from './role-assignments';

/**
 * Whether a principal holds an action at a resource: by a role there or above, and no deny assignment takes it.
 * A role with a condition grants nothing.
 */
export function holdsAction(
  assignments: RoleAssignments,
  principalId: string,
  action: string,
  resourceId: string,
): boolean {
  if (assignments.denials.deny(principalId, resourceId, { action })) return false;
  return assignments.forPrincipal(principalId, resourceId).some(({ roleGuid, condition }) => {
    const role = assignments.definitions.find(roleGuid);
    return role !== undefined && condition === undefined && allows(role, action);
  });
}
