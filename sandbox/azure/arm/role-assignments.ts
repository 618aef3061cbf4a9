/**
 * Microsoft.Authorization, as much of it as Key Vault RBAC needs.
 *
 * Needs: the directory, to know who exists.
 * Does: keeps role assignments at any scope and finds those that cover a resource.
 * Never does: groups, or ARM's own authorization. An assignment with a condition grants nothing here.
 */
import { Router } from 'express';
import { z } from 'zod';
import type { Directory } from '../entra/directory';
import { callerOf } from './authentication';
import { AzureError, badRequest } from '../errors';
import { describeIssues, type JsonObject } from '../json';
import { DenyAssignments } from './deny-assignments';
import { RoleDefinitions } from './role-definitions';
import { covers, roleDefinitionId } from './scopes';

const PROVIDER = 'Microsoft.Authorization';

/** One role given to one principal at one scope. */
export interface RoleAssignment {
  readonly name: string;
  /** ARM id of what it covers, without a trailing slash. */
  readonly scope: string;
  readonly roleGuid: string;
  readonly principalId: string;
  readonly principalType: string;
  /** An ABAC condition; the sandbox keeps it and does not evaluate it. */
  readonly condition?: string;
  readonly createdOn: Date;
  /** Object id of who made it. */
  readonly createdBy: string;
}

/** All role assignments of the tenant. */
export class RoleAssignments {
  readonly #assignments = new Map<string, RoleAssignment>();
  /** The roles that can be assigned. */
  readonly definitions = new RoleDefinitions();
  /** What is taken from principals whatever roles they have. */
  readonly denials = new DenyAssignments();

  /** Those of a principal at the resource or above it. */
  forPrincipal(principalId: string, resourceId: string): readonly RoleAssignment[] {
    return this.all().filter(
      (assignment) =>
        assignment.principalId.toLowerCase() === principalId.toLowerCase() && covers(assignment.scope, resourceId),
    );
  }

  all(): readonly RoleAssignment[] {
    return [...this.#assignments.values()];
  }

  get(scope: string, name: string): RoleAssignment | undefined {
    return this.#assignments.get(keyOf(scope, name));
  }

  add(assignment: RoleAssignment): void {
    this.#assignments.set(keyOf(assignment.scope, assignment.name), assignment);
  }

  remove(assignment: RoleAssignment): void {
    this.#assignments.delete(keyOf(assignment.scope, assignment.name));
  }
}

const putSchema = z.object({
  properties: z.looseObject({
    roleDefinitionId: z.string(),
    principalId: z.string(),
    principalType: z.string().default('ServicePrincipal'),
    condition: z.string().nullish(),
  }),
});

/** The routes below any scope: `{scope}/providers/Microsoft.Authorization/…`. */
export function roleAssignmentsRouter(assignments: RoleAssignments, directory: Directory): Router {
  const router = Router();
  const one = new RegExp(`^(.*)/providers/${PROVIDER}/roleAssignments/([^/]+)/?$`, 'i');
  const many = new RegExp(`^(.*)/providers/${PROVIDER}/roleAssignments/?$`, 'i');

  router.put(one, (request, response) => {
    const [scope, name] = scopeAndName(request.params);
    const parsed = putSchema.safeParse(request.body);
    if (!parsed.success) throw badRequest(describeIssues(parsed.error), 'InvalidRequestContent');
    const { roleDefinitionId: roleId, principalId, principalType, condition } = parsed.data.properties;
    const roleGuid = roleId.split('/').at(-1)?.toLowerCase() ?? '';
    if (assignments.definitions.find(roleGuid) === undefined) {
      throw badRequest(
        `The specified role definition with ID '${roleGuid}' does not exist.`,
        'RoleDefinitionDoesNotExist',
      );
    }
    if (!directory.has(principalId)) {
      throw badRequest(
        `Principal ${principalId} does not exist in the directory ${directory.tenantId}.`,
        'PrincipalNotFound',
      );
    }
    const existing = assignments.get(scope, name);
    const same = assignments
      .all()
      .find(
        (other) =>
          other.scope.toLowerCase() === scope.toLowerCase() &&
          other.roleGuid === roleGuid &&
          other.principalId.toLowerCase() === principalId.toLowerCase(),
      );
    if (same !== undefined && same !== existing) {
      throw new AzureError(
        409,
        'RoleAssignmentExists',
        `The role assignment already exists. The ID of the existing role assignment is ${same.name.replaceAll('-', '')}.`,
      );
    }
    const { createdOn = new Date(), createdBy = callerOf(response).objectId } = existing ?? {};
    const assignment = {
      ...{ name, scope, roleGuid, principalId, principalType, condition: condition ?? undefined },
      ...{ createdOn, createdBy },
    };
    assignments.add(assignment);
    response.status(existing === undefined ? 201 : 200).json(assignmentBody(assignment));
  });

  router.get(one, (request, response) => {
    response.json(assignmentBody(existingAssignment(request.params)));
  });

  router.delete(one, (request, response) => {
    const [scope, name] = scopeAndName(request.params);
    const assignment = assignments.get(scope, name);
    if (assignment === undefined) {
      response.status(204).end();
      return;
    }
    assignments.remove(assignment);
    response.json(assignmentBody(assignment));
  });

  router.get(many, (request, response) => {
    const scope = request.params['0'] ?? '';
    const filter = filterOf(request.query['$filter']);
    const atScope = /\batScope\(\)/i.test(filter);
    // There are no groups here, so that assignedTo, which follows them, is the same as principalId.
    const principalId = /(?:principalId eq |assignedTo\()'([^']+)'/i.exec(filter)?.[1]?.toLowerCase();
    const value = assignments
      .all()
      .filter(({ scope: at }) => covers(at, scope) || (!atScope && covers(scope, at)))
      .filter((assignment) => principalId === undefined || assignment.principalId.toLowerCase() === principalId)
      .map(assignmentBody);
    response.json({ value });
  });

  function existingAssignment(params: Record<string, string | string[] | undefined>): RoleAssignment {
    const [scope, name] = scopeAndName(params);
    const assignment = assignments.get(scope, name);
    if (assignment !== undefined) return assignment;
    throw new AzureError(404, 'RoleAssignmentNotFound', `The role assignment '${name}' is not found.`);
  }

  return router;
}

function scopeAndName(params: Record<string, string | string[] | undefined>): [string, string] {
  return [String(params['0'] ?? ''), String(params['1'] ?? '')];
}

function filterOf(query: unknown): string {
  return typeof query === 'string' ? query : '';
}

function keyOf(scope: string, name: string): string {
  return `${scope}/${name}`.toLowerCase();
}

function assignmentBody(assignment: RoleAssignment): JsonObject {
  const { scope, name, roleGuid, principalId, principalType, condition = null, createdOn, createdBy } = assignment;
  return {
    id: `${scope}/providers/${PROVIDER}/roleAssignments/${name}`,
    name,
    type: `${PROVIDER}/roleAssignments`,
    properties: {
      roleDefinitionId: roleDefinitionId(scope, roleGuid),
      principalId,
      principalType,
      scope,
      condition,
      conditionVersion: condition === null ? null : '2.0',
      createdOn: createdOn.toISOString(),
      updatedOn: createdOn.toISOString(),
      createdBy,
      updatedBy: createdBy,
    },
  };
}
