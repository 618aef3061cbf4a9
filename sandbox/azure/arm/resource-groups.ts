/**
 * Subscription and resource groups.
 *
 * Needs: nothing.
 * Does: keeps resource groups; refuses other subscriptions and missing groups in ARM's words.
 * Never does: delete a group.
 */
import { Router } from 'express';
import { z } from 'zod';
import { AzureError, badRequest } from '../errors';
import { describeIssues, type JsonObject } from '../json';
import { pageOf } from './paging';

/** A resource group. */
export interface ResourceGroup {
  readonly name: string;
  readonly location: string;
  readonly tags: Readonly<Record<string, unknown>>;
}

const putSchema = z.looseObject({
  location: z.string().min(1),
  tags: z.record(z.string(), z.unknown()).optional(),
});

/** The one subscription of the sandbox, and its groups. */
export class ResourceGroups {
  readonly #groups = new Map<string, ResourceGroup>();

  constructor(
    readonly subscriptionId: string,
    readonly tenantId: string,
  ) {}

  /** @throws AzureError 404 ResourceGroupNotFound. */
  require(name: string): ResourceGroup {
    const group = this.#groups.get(name.toLowerCase());
    if (group !== undefined) return group;
    throw new AzureError(404, 'ResourceGroupNotFound', `Resource group '${name}' could not be found.`);
  }

  find(name: string): ResourceGroup | undefined {
    return this.#groups.get(name.toLowerCase());
  }

  put(group: ResourceGroup): void {
    this.#groups.set(group.name.toLowerCase(), group);
  }

  all(): readonly ResourceGroup[] {
    return [...this.#groups.values()];
  }

  /** `/subscriptions/{s}/resourceGroups/{name}`. */
  idOf(name: string): string {
    return `/subscriptions/${this.subscriptionId}/resourceGroups/${name}`;
  }
}

/** Routes of subscriptions and resource groups. */
export function resourceGroupsRouter(groups: ResourceGroups): Router {
  const router = Router();
  const subscription = {
    id: `/subscriptions/${groups.subscriptionId}`,
    subscriptionId: groups.subscriptionId,
    tenantId: groups.tenantId,
    displayName: 'Keyturn sandbox',
    state: 'Enabled',
    authorizationSource: 'RoleBased',
  };

  router.get('/subscriptions', (request, response) => {
    response.json({ ...pageOf(request, [subscription]), count: { type: 'Total', value: 1 } });
  });

  router.use('/subscriptions/:subscription', (request, _response, next) => {
    const { subscription: id } = request.params;
    if (id.toLowerCase() !== groups.subscriptionId) {
      throw new AzureError(404, 'SubscriptionNotFound', `The subscription '${id}' could not be found.`);
    }
    next();
  });

  router.get('/subscriptions/:subscription', (_request, response) => {
    response.json(subscription);
  });

  router.get('/subscriptions/:subscription/resourceGroups', (_request, response) => {
    response.json({ value: groups.all().map((group) => bodyOf(groups, group)) });
  });

  const path = '/subscriptions/:subscription/resourceGroups/:group';
  router.put(path, (request, response) => {
    const parsed = putSchema.safeParse(request.body);
    if (!parsed.success) throw badRequest(describeIssues(parsed.error), 'InvalidRequestContent');
    const before = groups.find(request.params.group);
    if (before !== undefined && before.location !== parsed.data.location) {
      throw new AzureError(
        409,
        'InvalidResourceGroupLocation',
        `Invalid resource group location '${parsed.data.location}'. The Resource group already exists in location '${before.location}'.`,
      );
    }
    const group = {
      name: before?.name ?? request.params.group,
      location: parsed.data.location,
      tags: parsed.data.tags ?? {},
    };
    groups.put(group);
    response.status(before === undefined ? 201 : 200).json(bodyOf(groups, group));
  });

  router.head(path, (request, response) => {
    response.status(groups.find(request.params.group) === undefined ? 404 : 204).end();
  });

  router.get(path, (request, response) => {
    response.json(bodyOf(groups, groups.require(request.params.group)));
  });

  // Everything inside a group needs the group.
  router.use(`${path}/providers`, (request, _response, next) => {
    groups.require(request.params.group);
    next();
  });
  return router;
}

function bodyOf(groups: ResourceGroups, group: ResourceGroup): JsonObject {
  return {
    id: groups.idOf(group.name),
    name: group.name,
    type: 'Microsoft.Resources/resourceGroups',
    location: group.location,
    tags: group.tags,
    properties: { provisioningState: 'Succeeded' },
  };
}
