/**
 * Subscriptions and resource groups.
 *
 * Needs: nothing.
 * Does: keeps resource groups; refuses unknown, malformed and foreign subscriptions and missing groups in ARM's words. A name of a group
 *       is used once in all subscriptions, so that clusters and vaults can be found by it.
 * Never does: delete a group, but for those that AKS makes for its nodes.
 */
import { Router } from 'express';
import { z } from 'zod';
import { AzureError, badRequest } from '../errors';
import { describeIssues, type JsonObject } from '../json';
import { pageOf } from './paging';

/** A subscription of another tenant. It has nothing in it that a caller could see. */
export const FOREIGN_SUBSCRIPTION = 'f0e1d2c3-b4a5-4968-8776-655443322110';
const FOREIGN_TENANT = '0f1e2d3c-4b5a-4869-8778-96a5b4c3d2e1';
const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** A resource group. */
export interface ResourceGroup {
  readonly name: string;
  readonly location: string;
  readonly subscriptionId: string;
  readonly tags: Readonly<Record<string, unknown>>;
  /** The cluster that AKS made it for. */
  readonly managedBy?: string;
}

const putSchema = z.looseObject({
  location: z.string().min(1),
  tags: z.record(z.string(), z.unknown()).optional(),
});

/** The subscriptions of the sandbox, and their groups. */
export class ResourceGroups {
  readonly #groups = new Map<string, ResourceGroup>();

  constructor(
    readonly subscriptionIds: readonly string[],
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

  /** The group of a cluster's nodes. One that a client made under this name stays the client's. */
  addManaged(group: Omit<ResourceGroup, 'tags' | 'managedBy'>, clusterId: string): void {
    if (this.find(group.name) === undefined) this.put({ ...group, tags: {}, managedBy: clusterId });
  }

  /** Forgets the group of a cluster's nodes. */
  removeManaged(name: string, clusterId: string): void {
    if (this.find(name)?.managedBy === clusterId) this.#groups.delete(name.toLowerCase());
  }

  /** Those of one subscription. */
  of(subscriptionId: string): readonly ResourceGroup[] {
    return [...this.#groups.values()].filter((group) => sameId(group.subscriptionId, subscriptionId));
  }

  /** `/subscriptions/{s}/resourceGroups/{name}`. @throws AzureError 404 ResourceGroupNotFound. */
  idOf(name: string): string {
    return idOfGroup({ subscriptionId: this.require(name).subscriptionId, name });
  }
}

/** Routes of subscriptions and resource groups. */
export function resourceGroupsRouter(groups: ResourceGroups): Router {
  const router = Router();
  const subscriptions = groups.subscriptionIds.map((subscriptionId, index) => ({
    id: `/subscriptions/${subscriptionId}`,
    subscriptionId,
    tenantId: groups.tenantId,
    displayName: `Keyturn sandbox ${index + 1}`,
    state: 'Enabled',
    authorizationSource: 'RoleBased',
  }));

  router.get('/subscriptions', (request, response) => {
    response.json({ ...pageOf(request, subscriptions), count: { type: 'Total', value: subscriptions.length } });
  });

  router.use('/subscriptions/:subscription', (request, _response, next) => {
    const { subscription: id } = request.params;
    if (!GUID.test(id)) {
      const text = `The provided subscription identifier '${id}' is malformed or invalid.`;
      throw new AzureError(400, 'InvalidSubscriptionId', text);
    }
    if (sameId(id, FOREIGN_SUBSCRIPTION)) throw wrongIssuer(groups.tenantId);
    if (!groups.subscriptionIds.some((known) => sameId(known, id))) {
      throw new AzureError(404, 'SubscriptionNotFound', `The subscription '${id}' could not be found.`);
    }
    next();
  });

  router.get('/subscriptions/:subscription', (request, response) => {
    response.json(subscriptions.find(({ subscriptionId }) => sameId(subscriptionId, request.params.subscription)));
  });

  router.get('/subscriptions/:subscription/resourceGroups', (request, response) => {
    response.json({ value: groups.of(request.params.subscription).map(bodyOf) });
  });

  const path = '/subscriptions/:subscription/resourceGroups/:group';
  router.put(path, (request, response) => {
    const parsed = putSchema.safeParse(request.body);
    if (!parsed.success) throw badRequest(describeIssues(parsed.error), 'InvalidRequestContent');
    const before = groups.find(request.params.group);
    if (before !== undefined && !sameId(before.subscriptionId, request.params.subscription)) {
      throw new AzureError(
        409,
        'SandboxGroupNameInUse',
        `The sandbox has a resource group '${before.name}' in another subscription already, and uses a name once.`,
      );
    }
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
      subscriptionId: request.params.subscription.toLowerCase(),
      tags: parsed.data.tags ?? {},
    };
    groups.put(group);
    response.status(before === undefined ? 201 : 200).json(bodyOf(group));
  });

  router.head(path, (request, response) => {
    const { subscription, group: name } = request.params;
    response.status(groups.of(subscription).some((group) => sameId(group.name, name)) ? 204 : 404).end();
  });

  // Everything inside a group needs the group.
  router.use(path, (request, _response, next) => {
    const { subscription, group } = request.params;
    if (!sameId(groups.require(group).subscriptionId, subscription)) {
      throw new AzureError(404, 'ResourceGroupNotFound', `Resource group '${group}' could not be found.`);
    }
    next();
  });

  router.get(path, (request, response) => {
    response.json(bodyOf(groups.require(request.params.group)));
  });
  return router;
}

function sameId(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function idOfGroup({ subscriptionId, name }: Pick<ResourceGroup, 'subscriptionId' | 'name'>): string {
  return `/subscriptions/${subscriptionId}/resourceGroups/${name}`;
}

function bodyOf(group: ResourceGroup): JsonObject {
  return {
    id: idOfGroup(group),
    name: group.name,
    type: 'Microsoft.Resources/resourceGroups',
    location: group.location,
    tags: group.tags,
    ...(group.managedBy === undefined ? {} : { managedBy: group.managedBy }),
    properties: { provisioningState: 'Succeeded' },
  };
}

/** What ARM answers to a token of another tenant than the subscription's. */
function wrongIssuer(tenantId: string): AzureError {
  const issuer = (tenant: string): string => `https://sts.windows.net/${tenant}/`;
  const login = `https://login.windows.net/${FOREIGN_TENANT}`;
  const text = `The access token is from the wrong issuer '${issuer(tenantId)}'. It must match the tenant '${issuer(FOREIGN_TENANT)}' associated with this subscription. Please use the authority (URL) '${login}' to get the token.`;
  const challenge = `Bearer authorization_uri="${login}", error="invalid_token", error_description="The access token is from the wrong issuer."`;
  return new AzureError(401, 'InvalidAuthenticationTokenTenant', text, { headers: { 'WWW-Authenticate': challenge } });
}
