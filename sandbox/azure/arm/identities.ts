/**
 * Microsoft.ManagedIdentity/userAssignedIdentities.
 *
 * Needs: the directory, where each identity is a principal.
 * Does: PUT, GET, list, delete. What acts as a deleted identity has no rights any more; one made anew has other ids.
 * Never does: hand out tokens: the sandbox's clusters act as their identity inside this process.
 */
import { Router } from 'express';
import { z } from 'zod';
import type { Directory, ServicePrincipal } from '../entra/directory';
import type { FederatedCredentials } from '../entra/federated-credentials';
import { badRequest, resourceNotFound } from '../errors';
import { describeIssues, type JsonObject } from '../json';
import type { ResourceGroups } from './resource-groups';

const TYPE = 'Microsoft.ManagedIdentity/userAssignedIdentities';

/** A user-assigned managed identity. */
export interface UserAssignedIdentity {
  readonly id: string;
  readonly name: string;
  readonly location: string;
  readonly tags: Readonly<Record<string, unknown>>;
  readonly principal: ServicePrincipal;
}

const putSchema = z.looseObject({
  location: z.string().min(1),
  tags: z.record(z.string(), z.unknown()).optional(),
});

/** All user-assigned identities, by ARM id in any case. */
export class Identities {
  readonly #identities = new Map<string, UserAssignedIdentity>();

  find(id: string): UserAssignedIdentity | undefined {
    return this.#identities.get(id.toLowerCase());
  }

  put(identity: UserAssignedIdentity): void {
    this.#identities.set(identity.id.toLowerCase(), identity);
  }

  remove({ id }: UserAssignedIdentity): void {
    this.#identities.delete(id.toLowerCase());
  }

  /** Those whose id starts with a scope. */
  under(scope: string): readonly UserAssignedIdentity[] {
    return [...this.#identities.values()].filter(({ id }) => id.toLowerCase().startsWith(`${scope.toLowerCase()}/`));
  }
}

/** Routes of user-assigned identities. */
export function identitiesRouter(
  identities: Identities,
  groups: ResourceGroups,
  { directory, federations }: { readonly directory: Directory; readonly federations: FederatedCredentials },
): Router {
  const router = Router();
  const list = `/subscriptions/:subscription/resourceGroups/:group/providers/${TYPE}`;

  router.put(`${list}/:name`, (request, response) => {
    const { group, name } = request.params;
    const parsed = putSchema.safeParse(request.body);
    if (!parsed.success) throw badRequest(describeIssues(parsed.error), 'InvalidRequestContent');
    const id = `${groups.idOf(groups.require(group).name)}/providers/${TYPE}/${name}`;
    const before = identities.find(id);
    const identity = {
      id: before?.id ?? id,
      name: before?.name ?? name,
      location: parsed.data.location,
      tags: parsed.data.tags ?? {},
      principal: before?.principal ?? directory.registerManagedIdentity(name),
    };
    identities.put(identity);
    response.status(before === undefined ? 201 : 200).json(bodyOf(identity, directory.tenantId));
  });

  router.get(`${list}/:name`, (request, response) => {
    const { group, name } = request.params;
    const identity = identities.find(`${groups.idOf(group)}/providers/${TYPE}/${name}`);
    if (identity === undefined) throw resourceNotFound(TYPE, name, group);
    response.json(bodyOf(identity, directory.tenantId));
  });

  router.delete(`${list}/:name`, (request, response) => {
    const { group, name } = request.params;
    const identity = identities.find(`${groups.idOf(group)}/providers/${TYPE}/${name}`);
    if (identity !== undefined) {
      identities.remove(identity);
      directory.remove(identity.principal);
      federations.removeAll(identity.principal.objectId);
    }
    response.status(identity === undefined ? 204 : 200).end();
  });

  router.get(list, (request, response) => {
    const found = identities.under(groups.idOf(request.params.group));
    response.json({ value: found.map((identity) => bodyOf(identity, directory.tenantId)) });
  });

  router.get(`/subscriptions/:subscription/providers/${TYPE}`, (request, response) => {
    const found = identities.under(`/subscriptions/${request.params.subscription}`);
    response.json({ value: found.map((identity) => bodyOf(identity, directory.tenantId)) });
  });
  return router;
}

function bodyOf({ id, name, location, tags, principal }: UserAssignedIdentity, tenantId: string): JsonObject {
  return {
    location,
    tags,
    // The real service answers with this segment in lower case.
    id: id.replace('/resourceGroups/', '/resourcegroups/'),
    name,
    type: TYPE,
    properties: { tenantId, principalId: principal.objectId, clientId: principal.appId },
  };
}
