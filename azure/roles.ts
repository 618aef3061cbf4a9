/**
 * What Azure RBAC grants to a principal at a scope.
 *
 * Does: reads role assignments at the scope and above it, those of the principal's groups included, the data actions of their
 *       roles, and deny assignments.
 * Never does: change any. What Keyturn may not read is an answer, not an error.
 */
import { AuthorizationManagementClient, type DenyAssignment, type Principal } from '@azure/arm-authorization';
import type { TokenCredential } from '@azure/core-auth';
import type { HttpClient } from '@azure/core-rest-pipeline';
import type { Cloud } from '../domain/clouds';
import type { Permission, PermissionsLookup } from '../domain/identity-access';
import { armScope } from './credentials';
import { ArmError, isNotForUs, translateError } from './errors';
import type { CallOptions } from './call-options';

/** Deny assignments name everybody by this id. Source: Azure RBAC documents, "List Azure deny assignments". */
const EVERYONE = '00000000-0000-0000-0000-000000000000';

/** Whose rights, and where. */
export interface RolesQuery {
  readonly principalId: string;
  /** ARM id of the resource. */
  readonly scope: string;
}

/** What a role gives, or a deny assignment takes away, on both planes. */
type Actions = Partial<Pick<Permission, 'actions' | 'notActions' | 'dataActions' | 'notDataActions'>>;

/** What Keyturn asks of Azure RBAC. Everything throws `ArmError` or `TokenError`. */
export interface Roles {
  /** Permissions that roles give. */
  granted(query: RolesQuery, options?: CallOptions): Promise<PermissionsLookup>;
  /** Permissions that deny assignments take away. */
  denied(query: RolesQuery, options?: CallOptions): Promise<PermissionsLookup>;
}

/** Makes the client; sends nothing yet. */
export function createRoles(cloud: Cloud, credential: TokenCredential, httpClient: HttpClient): Roles {
  // Every call names its scope, so that the client's own subscription plays no part.
  const client = new AuthorizationManagementClient(credential, '', {
    endpoint: cloud.resourceManager,
    credentialScopes: armScope(cloud),
    httpClient,
    retryOptions: { maxRetries: 0 },
  });
  const call = async <T>(what: string, { abortSignal }: CallOptions, work: () => Promise<T>): Promise<T> =>
    await work().catch((error: unknown) => {
      throw translateError(error, ArmError, what, abortSignal);
    });
  const permissionsOf = async (
    roleDefinitionId: string,
    conditional: boolean,
    options: CallOptions,
  ): Promise<Permission[]> => {
    try {
      const definition = await call(`Role ${roleDefinitionId}`, options, () =>
        client.roleDefinitions.getById(relative(roleDefinitionId), options),
      );
      return (definition.permissions ?? []).map((permission) => ({
        name: definition.roleName ?? roleDefinitionId,
        ...actionsOf(permission),
        uncertain: conditional,
      }));
    } catch (error) {
      if (!isNotForUs(error)) throw error;
      // It may give anything.
      return [{ name: roleDefinitionId, ...actionsOf({ dataActions: ['*'], actions: ['*'] }), uncertain: true }];
    }
  };

  return {
    async granted({ principalId, scope }, options = {}) {
      try {
        const assignments = await call(`Role assignments at ${scope}`, options, () =>
          all(
            client.roleAssignments.listForScope(relative(scope), {
              ...options,
              filter: `atScope() and assignedTo('${principalId}')`,
            }),
          ),
        );
        const found = await Promise.all(
          assignments.map(({ roleDefinitionId = '', condition }) =>
            permissionsOf(roleDefinitionId, (condition ?? '') !== '', options),
          ),
        );
        return { known: true, value: found.flat() };
      } catch (error) {
        if (!isNotForUs(error)) throw error;
        const why =
          'Keyturn may not read the role assignments of the vault (Microsoft.Authorization/roleAssignments/read).';
        return { known: false, why };
      }
    },

    async denied({ principalId, scope }, options = {}) {
      try {
        const denials = await call(`Deny assignments at ${scope}`, options, () =>
          all(client.denyAssignments.listForScope(relative(scope), { ...options, filter: 'atScope()' })),
        );
        return { known: true, value: denials.flatMap((denial) => denialsOf(denial, principalId, scope)) };
      } catch (error) {
        if (!isNotForUs(error)) throw error;
        const why =
          'Keyturn may not read the deny assignments of the vault (Microsoft.Authorization/denyAssignments/read).';
        return { known: false, why };
      }
    },
  };
}

/** What a deny assignment takes from a principal at a scope; nothing when it does not concern it. */
export function denialsOf(denial: DenyAssignment, principalId: string, scope: string): Permission[] {
  const {
    principals = [],
    excludePrincipals = [],
    condition,
    permissions = [],
    denyAssignmentName = 'unnamed',
  } = denial;
  const names = (list: readonly Principal[], id: string): boolean =>
    list.some((principal) => principal.id?.toLowerCase() === id.toLowerCase());
  const hasGroup = (list: readonly Principal[]): boolean => list.some(({ type }) => type === 'Group');
  if (names(excludePrincipals, principalId)) return [];
  if (denial.doNotApplyToChildScopes === true && denial.scope?.toLowerCase() !== scope.toLowerCase()) return [];
  const concerns = names(principals, principalId) || names(principals, EVERYONE);
  if (!concerns && !hasGroup(principals)) return [];
  const uncertain = !concerns || hasGroup(excludePrincipals) || (condition ?? '') !== '';
  return permissions.map((permission) => ({ name: denyAssignmentName, ...actionsOf(permission), uncertain }));
}

function actionsOf({
  actions = [],
  notActions = [],
  dataActions = [],
  notDataActions = [],
}: Actions): Required<Actions> {
  return { actions, notActions, dataActions, notDataActions };
}

/** The client puts a slash before every id. */
function relative(id: string): string {
  return id.replace(/^\//, '');
}

async function all<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of pages) found.push(one);
  return found;
}
