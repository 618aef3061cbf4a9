/**
 * Microsoft.Authorization/roleDefinitions.
 *
 * Needs: nothing.
 * Does: lists and shows the built-in roles of vaults; keeps custom roles.
 * Never does: check `assignableScopes`.
 */
import { Router } from 'express';
import { z } from 'zod';
import { AzureError, badRequest } from '../errors';
import { describeIssues, type JsonObject } from '../json';
import { BUILT_IN_ROLES, type Role } from '../vault/permissions';
import { roleDefinitionId } from './scopes';

const PROVIDER = 'Microsoft.Authorization';

/** The roles of the tenant: built in, and made by its owners. */
export class RoleDefinitions {
  readonly #custom = new Map<string, Role>();

  /** A role by its GUID, any case. */
  find(guid: string): Role | undefined {
    return BUILT_IN_ROLES.find((role) => role.guid === guid.toLowerCase()) ?? this.#custom.get(guid.toLowerCase());
  }

  all(): readonly Role[] {
    return [...BUILT_IN_ROLES, ...this.#custom.values()];
  }

  put(role: Role): void {
    this.#custom.set(role.guid, role);
  }
}

const permissionSchema = z.looseObject({
  actions: z.array(z.string()).default([]),
  notActions: z.array(z.string()).default([]),
  dataActions: z.array(z.string()).default([]),
  notDataActions: z.array(z.string()).default([]),
});
const putSchema = z.object({
  properties: z.looseObject({ roleName: z.string().min(1), permissions: z.tuple([permissionSchema]) }),
});

/** The routes below any scope: `{scope}/providers/Microsoft.Authorization/…`. */
export function roleDefinitionsRouter(definitions: RoleDefinitions): Router {
  const router = Router();
  const one = new RegExp(`^(.*)/providers/${PROVIDER}/roleDefinitions/([^/]+)/?$`, 'i');
  const many = new RegExp(`^(.*)/providers/${PROVIDER}/roleDefinitions/?$`, 'i');

  router.get(many, (request, response) => {
    const filter = typeof request.query['$filter'] === 'string' ? request.query['$filter'] : '';
    const roleName = /roleName eq '([^']+)'/i.exec(filter)?.[1]?.toLowerCase();
    const roles = definitions.all().filter((role) => roleName === undefined || role.name.toLowerCase() === roleName);
    response.json({ value: roles.map((role) => bodyOf(role, request.params['0'] ?? '')) });
  });

  router.get(one, (request, response) => {
    const guid = String(request.params['1'] ?? '');
    const role = definitions.find(guid);
    if (role === undefined) {
      throw new AzureError(
        404,
        'RoleDefinitionDoesNotExist',
        `The specified role definition with ID '${guid}' does not exist.`,
      );
    }
    response.json(bodyOf(role, String(request.params['0'] ?? '')));
  });

  router.put(one, (request, response) => {
    const guid = String(request.params['1'] ?? '').toLowerCase();
    const parsed = putSchema.safeParse(request.body);
    if (!parsed.success) throw badRequest(describeIssues(parsed.error), 'InvalidRequestContent');
    if (BUILT_IN_ROLES.some((role) => role.guid === guid)) {
      throw badRequest('Built-in roles cannot be changed.', 'SandboxRoleDefinitionBuiltIn');
    }
    const { roleName, permissions } = parsed.data.properties;
    const role: Role = { name: roleName, guid, ...permissions[0] };
    definitions.put(role);
    response.status(201).json(bodyOf(role, String(request.params['0'] ?? '')));
  });

  return router;
}

function bodyOf(role: Role, scope: string): JsonObject {
  const { actions = [], notActions = [], dataActions, notDataActions = [] } = role;
  return {
    id: roleDefinitionId(scope, role.guid),
    name: role.guid,
    type: `${PROVIDER}/roleDefinitions`,
    properties: {
      roleName: role.name,
      type: BUILT_IN_ROLES.includes(role) ? 'BuiltInRole' : 'CustomRole',
      assignableScopes: ['/'],
      permissions: [{ actions, notActions, dataActions, notDataActions }],
    },
  };
}
