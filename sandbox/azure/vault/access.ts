/**
 * Who may do what in a vault.
 *
 * Needs: role assignments, a vault's access policies and network rules.
 * Does: decides, in Key Vault's order: network first, then the permission model that the vault uses.
 * Never does: look at what is inside. A refused caller must not learn whether an object exists.
 */
import type { RoleAssignments } from '../arm/role-assignments';
import type { ServicePrincipal } from '../entra/directory';
import { AzureError } from '../errors';
import { grants, KEY_PERMISSIONS, type KeyPermission, type Right } from './permissions';
import type { Vault } from './registry';

/** Where a call comes from. */
export type CallOrigin =
  | {
      readonly kind: 'internet';
      readonly address: string;
      /** Whether the call comes from a subnet, by its service endpoint. Nodes have subnets, other clients here have none. */
      readonly fromSubnet?: (subnetId: string) => boolean;
    }
  | { readonly kind: 'private-link' };

/** Who calls a vault, and from where. */
export interface VaultCaller {
  readonly principal: ServicePrincipal;
  readonly issuer: string;
  readonly origin: CallOrigin;
}

/** Throws the refusal of the vault's network rules, if they refuse. */
export function checkNetwork(vault: Vault, caller: VaultCaller): void {
  if (caller.origin.kind === 'private-link') return;
  const { publicNetworkAccess, networkAcls } = vault.properties;
  if (publicNetworkAccess === 'Disabled') {
    throw forbidden(
      'ForbiddenByConnection',
      `Public network access is disabled and request is not from a trusted service nor via an approved private link.\r\nCaller: ${callerText(caller)}\r\n${vaultText(vault)}`,
    );
  }
  if (networkAcls?.defaultAction !== 'Deny') return;
  const { address, fromSubnet } = caller.origin;
  if (networkAcls.ipRules.some((rule) => rule.value === address || rule.value === `${address}/32`)) return;
  if (networkAcls.virtualNetworkRules.some(({ id }) => fromSubnet?.(id) === true)) return;
  throw forbidden(
    'ForbiddenByFirewall',
    `Client address is not authorized and caller is not a trusted service.\r\nClient address: ${address}\r\nCaller: ${callerText(caller)}\r\n${vaultText(vault)}`,
  );
}

/** Whether the vault's permission model gives a principal a right, at the vault or at one object. */
export function isGranted(
  vault: Vault,
  assignments: RoleAssignments,
  principal: ServicePrincipal,
  { kind, policyWord, dataAction }: Right,
  name?: string,
): boolean {
  // What is signed is believed for years: that right is never taken for granted, so that its loss can be tried here too.
  if (principal.administrator && dataAction !== KEY_PERMISSIONS.sign.dataAction) return true;
  if (vault.properties.enableRbacAuthorization === true) {
    const resource = resourceOf(vault, kind, name);
    if (assignments.denials.deny(principal.objectId, resource, { dataAction })) return false;
    return assignments.forPrincipal(principal.objectId, resource).some((assignment) => {
      const role = assignments.definitions.find(assignment.roleGuid);
      return role !== undefined && assignment.condition === undefined && grants(role, dataAction);
    });
  }
  return vault.properties.accessPolicies.some(
    (policy) =>
      policy.objectId.toLowerCase() === principal.objectId &&
      (policy.permissions[kind] ?? []).some((word) => ['all', policyWord.toLowerCase()].includes(word.toLowerCase())),
  );
}

/** Whether a principal has a right on keys, at the vault or at one key. */
export function isPermitted(
  vault: Vault,
  assignments: RoleAssignments,
  principal: ServicePrincipal,
  permission: KeyPermission,
  keyName?: string,
): boolean {
  return isGranted(vault, assignments, principal, keyRight(permission), keyName);
}

/**
 * Lets a call pass, or throws the refusal.
 * @throws AzureError 403 with ForbiddenByConnection, ForbiddenByFirewall, ForbiddenByPolicy or ForbiddenByRbac inside.
 */
export function authorizeRight(
  vault: Vault,
  assignments: RoleAssignments,
  caller: VaultCaller,
  right: Right,
  name?: string,
): void {
  checkNetwork(vault, caller);
  if (!isGranted(vault, assignments, caller.principal, right, name)) throw refusalOf(vault, caller, right, name);
}

/** `authorizeRight` for keys. */
export function authorize(
  vault: Vault,
  assignments: RoleAssignments,
  caller: VaultCaller,
  permission: KeyPermission,
  keyName?: string,
): void {
  authorizeRight(vault, assignments, caller, keyRight(permission), keyName);
}

/** The refusal of a caller who lacks a right on keys. */
export function lacksRight(vault: Vault, caller: VaultCaller, permission: KeyPermission, keyName?: string): AzureError {
  return refusalOf(vault, caller, keyRight(permission), keyName);
}

function keyRight(permission: KeyPermission): Right {
  return { kind: 'keys', ...KEY_PERMISSIONS[permission] };
}

/** The refusal of a caller who lacks a right, in the words of the vault's permission model. */
function refusalOf(
  vault: Vault,
  caller: VaultCaller,
  { kind, policyWord, dataAction }: Right,
  name: string | undefined,
): AzureError {
  if (vault.properties.enableRbacAuthorization === true) {
    return forbidden(
      'ForbiddenByRbac',
      `Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: ${callerText(caller)}\r\nAction: '${dataAction}'\r\nResource: '${resourceOf(vault, kind, name)}'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: null \r\n${vaultText(vault)}\r\n`,
    );
  }
  return forbidden(
    'ForbiddenByPolicy',
    `The user, group or application '${callerText(caller)}' does not have ${kind} ${policyWord} permission on key vault '${vault.name};location=${vault.location}'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287`,
  );
}

function forbidden(innerCode: string, message: string): AzureError {
  return new AzureError(403, 'Forbidden', message, { innerCode });
}

function callerText({ principal, issuer }: VaultCaller): string {
  return `appid=${principal.appId};oid=${principal.objectId};iss=${issuer}`;
}

function vaultText(vault: Vault): string {
  return `Vault: ${vault.name};location=${vault.location}`;
}

function resourceOf(vault: Vault, kind: Right['kind'], name: string | undefined): string {
  return name === undefined ? vault.id : `${vault.id}/${kind}/${name}`;
}
