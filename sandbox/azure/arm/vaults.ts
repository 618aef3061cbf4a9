/**
 * Microsoft.KeyVault/vaults: the control plane of vaults (facts 2.1).
 *
 * Needs: the registry, resource groups.
 * Does: create, replace, patch, soft-delete, recover and purge vaults, with the rules that Azure has about them.
 * Never does: keys. It answers at once; the real service too, apart from create, which SDKs poll either way.
 */
import { Router, type Request } from 'express';
import { z } from 'zod';
import { hostRole, type AzureCloud } from '../clouds';
import { AzureError, badRequest, resourceNotFound } from '../errors';
import { describeIssues, isJsonObject, mergePatch, objectAt, type JsonObject } from '../json';
import { CertificateBook } from '../vault/certificate-book';
import { KeyRing } from '../vault/key-ring';
import {
  vaultHost,
  vaultPropertiesSchema,
  type Vault,
  type VaultProperties,
  type VaultRegistry,
} from '../vault/registry';
import { SecretBook } from '../vault/secret-book';
import { connectionBody } from './private-endpoint-routes';
import type { PrivateEndpoints } from './private-endpoints';
import type { ResourceGroups } from './resource-groups';
import type { RoleAssignments } from './role-assignments';

const TYPE = 'Microsoft.KeyVault/vaults';
/** From this api-version on, a new vault uses RBAC unless it is told otherwise (facts 0.2). */
const RBAC_BY_DEFAULT_SINCE = '2026-02-01';

const bodySchema = z.looseObject({
  location: z.string().min(1),
  tags: z.record(z.string(), z.unknown()).optional(),
  properties: z.looseObject({ createMode: z.enum(['default', 'recover']).nullish() }).default({}),
});

/** Routes of vaults and deleted vaults. */
export function vaultsRouter(
  registry: VaultRegistry,
  groups: ResourceGroups,
  { endpoints, assignments }: { readonly endpoints: PrivateEndpoints; readonly assignments: RoleAssignments },
): Router {
  const router = Router();
  const list = `/subscriptions/:subscription/resourceGroups/:group/providers/${TYPE}`;
  const bodyOf = (vault: Vault): JsonObject => vaultBody(vault, endpoints.to(vault.id).map(connectionBody));
  const deletedList = '/subscriptions/:subscription/providers/Microsoft.KeyVault/locations/:location/deletedVaults';

  router.put(`${list}/:name`, (request, response) => {
    const { group, name } = request.params;
    const cloud = cloudOf(request);
    const parsed = bodySchema.safeParse(request.body);
    if (!parsed.success) throw badRequest(describeIssues(parsed.error), 'InvalidRequestContent');
    const { createMode, ...properties } = parsed.data.properties;
    const existing = registry.findByName(name, cloud);
    if (createMode === 'recover') {
      const vault = requireDeleted(registry, name, cloud, group);
      vault.deletedAt = undefined;
      response.status(201).json(bodyOf(vault));
      return;
    }
    refuseTakenName(existing, name, group);
    if (existing === undefined) {
      const vault: Vault = {
        name: requireVaultName(name),
        cloud,
        resourceGroup: groups.require(group).name,
        id: `${groups.idOf(groups.require(group).name)}/providers/${TYPE}/${name}`,
        location: parsed.data.location,
        tags: parsed.data.tags ?? {},
        properties: parseProperties(properties, undefined, request),
        keys: new KeyRing(),
        secrets: new SecretBook(),
        certificates: new CertificateBook(),
      };
      registry.add(vault);
      response.status(201).json(bodyOf(vault));
      return;
    }
    existing.properties = parseProperties(properties, existing, request);
    existing.tags = parsed.data.tags ?? {};
    response.json(bodyOf(existing));
  });

  router.patch(`${list}/:name`, (request, response) => {
    const vault = requireLive(registry, request.params.name, cloudOf(request), request.params.group);
    const patched = mergePatch(vault.properties, objectAt(request.body, 'properties'));
    vault.properties = parseProperties(patched, vault, request);
    const { tags } = isJsonObject(request.body) ? request.body : {};
    if (isJsonObject(tags)) vault.tags = tags;
    response.json(bodyOf(vault));
  });

  router.get(`${list}/:name`, (request, response) => {
    response.json(bodyOf(requireLive(registry, request.params.name, cloudOf(request), request.params.group)));
  });

  router.delete(`${list}/:name`, (request, response) => {
    const vault = registry.findByName(request.params.name, cloudOf(request));
    if (vault === undefined || vault.deletedAt !== undefined || !sameName(vault.resourceGroup, request.params.group)) {
      response.status(204).end();
      return;
    }
    vault.deletedAt = new Date();
    // Recovering the vault does not bring them back (Key Vault documents, "soft-delete overview").
    for (const assignment of assignments.all().filter(({ scope }) => isWithin(scope, vault.id))) {
      assignments.remove(assignment);
    }
    response.status(200).end();
  });

  router.put(`${list}/:name/accessPolicies/:kind`, (request, response) => {
    const { name, group, kind } = request.params;
    const vault = requireLive(registry, name, cloudOf(request), group);
    const change = parseProperties(
      { ...vault.properties, accessPolicies: objectAt(request.body, 'properties')['accessPolicies'] },
      vault,
      request,
    ).accessPolicies;
    vault.properties = { ...vault.properties, accessPolicies: changePolicies(vault.properties, change, kind) };
    response.json({
      id: `${vault.id}/accessPolicies/`,
      type: `${TYPE}/accessPolicies`,
      properties: { accessPolicies: vault.properties.accessPolicies },
    });
  });

  router.get(list, (request, response) => {
    const live = registry.all().filter((vault) => vault.deletedAt === undefined);
    response.json({ value: live.filter((vault) => sameName(vault.resourceGroup, request.params.group)).map(bodyOf) });
  });

  router.get(`/subscriptions/:subscription/providers/${TYPE}`, (request, response) => {
    const live = liveIn(registry, request.params.subscription);
    response.json({ value: live.map(bodyOf) });
  });

  // What `az keyvault list` asks: ARM's own list, which leaves out what the caller may not read.
  router.get('/subscriptions/:subscription/resources', (request, response, next) => {
    const filter = request.query['$filter'];
    const match = /^resourceType eq 'Microsoft\.KeyVault\/vaults'(?: and name eq '([^']+)')?$/i.exec(
      typeof filter === 'string' ? filter : '',
    );
    if (match === null) {
      next();
      return;
    }
    const [, wanted] = match;
    const all = liveIn(registry, request.params.subscription);
    const live = all.filter(({ name }) => wanted === undefined || sameName(name, wanted));
    response.json({ value: live.map(({ id, name, location, tags }) => ({ id, name, type: TYPE, location, tags })) });
  });

  router.get('/subscriptions/:subscription/providers/Microsoft.KeyVault/deletedVaults', (request, response) => {
    const deleted = registry.all().filter(isDeleted);
    response.json({ value: deleted.filter(isIn(request.params.subscription)).map(deletedBodyOf) });
  });

  router.get(`${deletedList}/:name`, (request, response) => {
    response.json(deletedBodyOf(requireDeleted(registry, request.params.name, cloudOf(request), '')));
  });

  router.post(`${deletedList}/:name/purge`, (request, response) => {
    const vault = requireDeleted(registry, request.params.name, cloudOf(request), '');
    if (vault.properties.enablePurgeProtection === true) {
      throw new AzureError(
        409,
        'DeletedVaultPurge',
        `Operation "DeletedVaultPurge" is not allowed: the vault '${vault.name}' has purge protection.`,
      );
    }
    registry.purge(vault);
    response.status(200).end();
  });
  return router;
}

/** Checks `properties` and the one-way rules against what the vault was. */
function parseProperties(given: unknown, before: Vault | undefined, request: Request): VaultProperties {
  const parsed = vaultPropertiesSchema.safeParse(given);
  if (!parsed.success) throw badRequest(describeIssues(parsed.error), 'InvalidRequestContent');
  const properties = parsed.data;
  // Clients send back what they have read; the connections are the service's.
  delete properties['privateEndpointConnections'];
  if (!properties.enableSoftDelete) throw oneWay('enableSoftDelete', 'Enabling soft delete');
  if (before === undefined) {
    if (properties.enablePurgeProtection === false)
      throw oneWay('enablePurgeProtection', 'Enabling the purge protection');
    const apiVersion = z.string().parse(request.query['api-version']); // The front door has seen to it.
    const rbacByDefault = apiVersion >= RBAC_BY_DEFAULT_SINCE;
    return { ...properties, enableRbacAuthorization: properties.enableRbacAuthorization ?? rbacByDefault };
  }
  if (before.properties.enablePurgeProtection === true && properties.enablePurgeProtection === false) {
    throw oneWay('enablePurgeProtection', 'Enabling the purge protection');
  }
  const givenDays = objectAt({ given }, 'given')['softDeleteRetentionInDays'];
  const days = before.properties.softDeleteRetentionInDays;
  if (givenDays !== undefined && givenDays !== days) {
    throw badRequest('The property "softDeleteRetentionInDays" has been set already and it can\'t be modified.');
  }
  return {
    ...properties,
    softDeleteRetentionInDays: days,
    enablePurgeProtection: properties.enablePurgeProtection ?? before.properties.enablePurgeProtection,
    enableRbacAuthorization: properties.enableRbacAuthorization ?? before.properties.enableRbacAuthorization,
  };
}

type Policies = VaultProperties['accessPolicies'];

/** `add` joins permissions of the same principal, `remove` takes them away, `replace` sets the list. */
function changePolicies(before: VaultProperties, change: Policies, kind: string): Policies {
  const ofSame = (policy: { objectId: string }): ((other: { objectId: string }) => boolean) => {
    return (other) => sameName(other.objectId, policy.objectId);
  };
  switch (kind.toLowerCase()) {
    case 'replace':
      return change;
    case 'add': {
      const joined = change.map((policy) => {
        const old = before.accessPolicies.find(ofSame(policy));
        const words = (kind: PolicyKind): string[] => [...new Set([...wordsOf(old, kind), ...wordsOf(policy, kind)])];
        return { ...old, ...policy, permissions: permissionsOf(words) };
      });
      return [...before.accessPolicies.filter((old) => !change.some(ofSame(old))), ...joined];
    }
    case 'remove':
      return before.accessPolicies.flatMap((old) => {
        const gone = change.find(ofSame(old));
        const permissions = permissionsOf((kind) =>
          wordsOf(old, kind).filter((word) => !wordsOf(gone, kind).some((other) => sameName(word, other))),
        );
        return Object.keys(permissions).length === 0 ? [] : [{ ...old, permissions }];
      });
    default:
      throw badRequest(`The operation kind '${kind}' is not one of add, replace, remove.`);
  }
}

type Policy = VaultProperties['accessPolicies'][number];
const POLICY_KINDS = ['keys', 'secrets', 'certificates', 'storage'] as const;
type PolicyKind = (typeof POLICY_KINDS)[number];

function wordsOf(policy: Policy | undefined, kind: PolicyKind): string[] {
  const words: unknown = policy?.permissions[kind];
  return Array.isArray(words) ? words.map(String) : [];
}

/** Kinds without a word are left out. */
function permissionsOf(words: (kind: PolicyKind) => string[]): Policy['permissions'] {
  return Object.fromEntries(
    POLICY_KINDS.map((kind) => [kind, words(kind)] as const).filter(([, all]) => all.length > 0),
  );
}

function refuseTakenName(existing: Vault | undefined, name: string, group: string): void {
  if (existing === undefined || (existing.deletedAt === undefined && sameName(existing.resourceGroup, group))) return;
  throw new AzureError(
    409,
    'VaultAlreadyExists',
    existing.deletedAt === undefined
      ? `The vault name '${name}' is already in use. Vault names are globally unique so it is possible that the name is already taken.`
      : `A vault with the name '${name}' already exists in deleted state. You need to either recover or purge existing key vault.`,
  );
}

function requireVaultName(name: string): string {
  if (/^[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]$/.test(name) && !name.includes('--')) return name;
  throw badRequest(
    `The vault name '${name}' is invalid. A vault's name must be between 3-24 alphanumeric characters. The name must begin with a letter, end with a letter or digit, and not contain consecutive hyphens.`,
    'VaultNameNotValid',
  );
}

function requireLive(registry: VaultRegistry, name: string, cloud: AzureCloud, group: string): Vault {
  const vault = registry.findByName(name, cloud);
  if (vault !== undefined && vault.deletedAt === undefined && sameName(vault.resourceGroup, group)) return vault;
  throw resourceNotFound(TYPE, name, group);
}

function requireDeleted(registry: VaultRegistry, name: string, cloud: AzureCloud, group: string): Vault {
  const vault = registry.findByName(name, cloud);
  if (vault !== undefined && isDeleted(vault) && (group === '' || sameName(vault.resourceGroup, group))) return vault;
  throw new AzureError(404, 'DeletedVaultNotFound', `No soft-deleted vault with the name '${name}' was found.`);
}

function isWithin(scope: string, vaultId: string): boolean {
  return `${scope}/`.toLowerCase().startsWith(`${vaultId}/`.toLowerCase());
}

function isDeleted(vault: Vault): boolean {
  return vault.deletedAt !== undefined;
}

const isIn =
  (subscriptionId: string) =>
  ({ id }: Vault): boolean =>
    id.toLowerCase().startsWith(`/subscriptions/${subscriptionId}/`.toLowerCase());

function liveIn(registry: VaultRegistry, subscriptionId: string): Vault[] {
  return registry.all().filter((vault) => !isDeleted(vault) && isIn(subscriptionId)(vault));
}

function oneWay(property: string, what: string): AzureError {
  return badRequest(
    `The property "${property}" cannot be set to false. ${what} for a vault is an irreversible action.`,
  );
}

function cloudOf(request: Request): AzureCloud {
  const role = hostRole(request.hostname);
  if (role === undefined) throw badRequest(`${request.hostname} is not a host of ARM.`);
  return role.cloud;
}

function sameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

function vaultBody(vault: Vault, connections: readonly JsonObject[]): JsonObject {
  return {
    id: vault.id,
    name: vault.name,
    type: TYPE,
    location: vault.location,
    tags: vault.tags,
    properties: {
      ...vault.properties,
      vaultUri: `https://${vaultHost(vault)}/`,
      provisioningState: 'Succeeded',
      ...(connections.length === 0 ? {} : { privateEndpointConnections: connections }),
    },
  };
}

function deletedBodyOf(vault: Vault): JsonObject {
  const deletionDate = vault.deletedAt ?? new Date();
  const days = vault.properties.softDeleteRetentionInDays;
  return {
    id: `${vault.id.split('/').slice(0, 3).join('/')}/providers/Microsoft.KeyVault/locations/${vault.location}/deletedVaults/${vault.name}`,
    name: vault.name,
    type: 'Microsoft.KeyVault/deletedVaults',
    properties: {
      vaultId: vault.id,
      location: vault.location,
      tags: vault.tags,
      deletionDate: deletionDate.toISOString(),
      scheduledPurgeDate: new Date(deletionDate.getTime() + days * 86_400_000).toISOString(),
      purgeProtectionEnabled: vault.properties.enablePurgeProtection ?? undefined,
    },
  };
}
