/**
 * Microsoft.Authorization/denyAssignments.
 *
 * Needs: nothing.
 * Does: keeps deny assignments at any scope and says what they take from a principal. In Azure, stacks and managed applications make
 *       them; the sandbox takes a PUT, so that a test can.
 * Never does: groups.
 */
import { Router } from 'express';
import { z } from 'zod';
import { AzureError, badRequest } from '../errors';
import { describeIssues, type JsonObject } from '../json';
import { among } from '../vault/permissions';
import { covers } from './scopes';

const PROVIDER = 'Microsoft.Authorization';
/** Deny assignments name everybody by this id. */
const EVERYBODY = '00000000-0000-0000-0000-000000000000';

const principalsSchema = z.array(z.looseObject({ id: z.string(), type: z.string().optional() })).default([]);
const words = z.array(z.string()).default([]);
const propertiesSchema = z.looseObject({
  denyAssignmentName: z.string().min(1),
  permissions: z.array(z.looseObject({ actions: words, notActions: words, dataActions: words, notDataActions: words })),
  doNotApplyToChildScopes: z.boolean().default(false),
  principals: principalsSchema,
  excludePrincipals: principalsSchema,
});
const putSchema = z.object({ properties: propertiesSchema });

/** What is taken, from whom, where. */
export interface DenyAssignment {
  readonly name: string;
  /** ARM id of what it covers, without a trailing slash. */
  readonly scope: string;
  readonly properties: z.infer<typeof propertiesSchema>;
}

/** A right in ARM, or one in the data plane of a resource. */
export type Right = { readonly action: string } | { readonly dataAction: string };

/** All deny assignments of the tenant. */
export class DenyAssignments {
  readonly #denials = new Map<string, DenyAssignment>();

  /** Whether a right at a resource is taken from a principal. */
  deny(principalId: string, resourceId: string, right: Right): boolean {
    return this.all().some(({ scope, properties }) => {
      const named = (list: readonly { id: string }[]): boolean =>
        list.some(({ id }) => id === EVERYBODY || id.toLowerCase() === principalId.toLowerCase());
      const here = properties.doNotApplyToChildScopes
        ? scope.toLowerCase() === resourceId.toLowerCase()
        : covers(scope, resourceId);
      if (!here || !named(properties.principals) || named(properties.excludePrincipals)) return false;
      return properties.permissions.some((permission) =>
        'action' in right
          ? among(permission.actions, right.action) && !among(permission.notActions, right.action)
          : among(permission.dataActions, right.dataAction) && !among(permission.notDataActions, right.dataAction),
      );
    });
  }

  all(): readonly DenyAssignment[] {
    return [...this.#denials.values()];
  }

  get(scope: string, name: string): DenyAssignment | undefined {
    return this.#denials.get(`${scope}/${name}`.toLowerCase());
  }

  put(denial: DenyAssignment): void {
    this.#denials.set(`${denial.scope}/${denial.name}`.toLowerCase(), denial);
  }

  remove({ scope, name }: DenyAssignment): void {
    this.#denials.delete(`${scope}/${name}`.toLowerCase());
  }
}

/** The routes below any scope: `{scope}/providers/Microsoft.Authorization/…`. */
export function denyAssignmentsRouter(denials: DenyAssignments): Router {
  const router = Router();
  const one = new RegExp(`^(.*)/providers/${PROVIDER}/denyAssignments/([^/]+)/?$`, 'i');
  const many = new RegExp(`^(.*)/providers/${PROVIDER}/denyAssignments/?$`, 'i');

  router.put(one, (request, response) => {
    const { 0: scope = '', 1: name = '' } = request.params;
    const parsed = putSchema.safeParse(request.body);
    if (!parsed.success) throw badRequest(describeIssues(parsed.error), 'InvalidRequestContent');
    const status = denials.get(scope, name) === undefined ? 201 : 200;
    const denial = { name, scope, properties: parsed.data.properties };
    denials.put(denial);
    response.status(status).json(bodyOf(denial));
  });

  router.get(one, (request, response) => {
    const { 0: scope = '', 1: name = '' } = request.params;
    const denial = denials.get(scope, name);
    if (denial === undefined) {
      throw new AzureError(404, 'DenyAssignmentNotFound', `The deny assignment '${name}' is not found.`);
    }
    response.json(bodyOf(denial));
  });

  router.delete(one, (request, response) => {
    const { 0: scope = '', 1: name = '' } = request.params;
    const denial = denials.get(scope, name);
    if (denial === undefined) {
      response.status(204).end();
      return;
    }
    denials.remove(denial);
    response.json(bodyOf(denial));
  });

  router.get(many, (request, response) => {
    const { 0: scope = '' } = request.params;
    const { $filter: filter } = request.query;
    const atScope = typeof filter === 'string' && /\batScope\(\)/i.test(filter);
    const found = denials.all().filter(({ scope: at }) => covers(at, scope) || (!atScope && covers(scope, at)));
    response.json({ value: found.map(bodyOf) });
  });

  return router;
}

function bodyOf({ name, scope, properties }: DenyAssignment): JsonObject {
  return {
    id: `${scope}/providers/${PROVIDER}/denyAssignments/${name}`,
    name,
    type: `${PROVIDER}/denyAssignments`,
    properties: { ...properties, scope, isSystemProtected: false },
  };
}
