/**
 * Microsoft.Insights/diagnosticSettings of vaults, Microsoft.OperationalInsights/workspaces, and the rows that vaults log (facts 2.4).
 *
 * Needs: the vaults, resource groups.
 * Does: keeps settings and workspaces, refuses a sink that another setting of the same vault has for the same category, and keeps a row
 *       for each call of a vault whose AuditEvent is on at that moment.
 * Never does: send rows anywhere, or answer queries: the control API shows them.
 */
import { randomUUID } from 'node:crypto';
import { Router } from 'express';
import { z } from 'zod';
import { AzureError, badRequest, resourceNotFound } from '../errors';
import { describeIssues, objectAt, type JsonObject } from '../json';
import type { VaultRegistry } from '../vault/registry';
import type { ResourceGroups } from './resource-groups';

const SETTINGS = 'Microsoft.Insights/diagnosticSettings';
const WORKSPACES = 'Microsoft.OperationalInsights/workspaces';
/** The log categories of vaults, with the groups that each is in. */
const CATEGORIES: Readonly<Record<string, readonly string[]>> = {
  AuditEvent: ['audit', 'alllogs'],
  AzurePolicyEvaluationDetails: ['alllogs'],
};
const AUDIT = 'AuditEvent';
/** Older rows go: a sandbox may run for days. */
const MOST_ROWS = 20_000;

const logSchema = z.looseObject({
  category: z.string().nullish(),
  categoryGroup: z.string().nullish(),
  enabled: z.boolean(),
});
const settingSchema = z.looseObject({
  workspaceId: z.string().nullish(),
  storageAccountId: z.string().nullish(),
  eventHubAuthorizationRuleId: z.string().nullish(),
  logs: z.array(logSchema).nullish(),
});
const putSettingSchema = z.looseObject({ properties: settingSchema });
const putWorkspaceSchema = z.looseObject({ location: z.string().min(1), properties: z.looseObject({}).optional() });

interface Setting {
  readonly name: string;
  readonly vaultId: string;
  readonly properties: z.infer<typeof settingSchema>;
}

/** One call of a vault, as AuditEvent has it. */
export interface AuditRow {
  /** ISO 8601. */
  readonly time: string;
  /** ARM id of the vault. */
  readonly resourceId: string;
  /** `KeyEncrypt`, `KeyDecrypt`, `KeyGet` … */
  readonly operationName: string;
  readonly resultType: 'Success' | 'Failed';
  readonly resultSignature: string;
  readonly callerIpAddress: string;
  /** Who called: object id and application id. */
  readonly identity: { readonly oid: string; readonly appid: string };
  readonly properties: { readonly id: string; readonly requestUri: string; readonly httpStatusCode: number };
}

/** A call of a vault, for those who tell of it. */
export interface VaultCall {
  readonly vaultId: string;
  readonly operationName: string;
  readonly callerIpAddress: string;
  readonly identity: AuditRow['identity'];
  /** The key, as a URL. */
  readonly id: string;
  readonly requestUri: string;
  readonly httpStatusCode: number;
}

/** All settings, workspaces and rows. */
export class DiagnosticSettings {
  readonly #settings = new Map<string, Setting>();
  readonly #workspaces = new Map<string, JsonObject>();
  #rows: AuditRow[] = [];

  /** Keeps a row, if AuditEvent of the vault is on. */
  log({ vaultId, id, requestUri, httpStatusCode, ...call }: VaultCall): void {
    const isOn = this.ofVault(vaultId).some(({ properties }) => enabledCategories(properties).includes(AUDIT));
    if (!isOn) return;
    const row: AuditRow = {
      time: new Date().toISOString(),
      resourceId: vaultId,
      ...call,
      resultType: httpStatusCode < 400 ? 'Success' : 'Failed',
      resultSignature: httpStatusCode < 400 ? 'OK' : httpStatusCode === 403 ? 'Forbidden' : 'Error',
      properties: { id, requestUri, httpStatusCode },
    };
    this.#rows.push(row);
    if (this.#rows.length > MOST_ROWS) this.#rows = this.#rows.slice(-MOST_ROWS / 2);
  }

  /** The rows of one vault, oldest first. */
  rows(vaultId: string): readonly AuditRow[] {
    return this.#rows.filter(({ resourceId }) => sameId(resourceId, vaultId));
  }

  ofVault(vaultId: string): readonly Setting[] {
    return [...this.#settings.values()].filter((setting) => sameId(setting.vaultId, vaultId));
  }

  get(vaultId: string, name: string): Setting | undefined {
    return this.#settings.get(keyOf(vaultId, name));
  }

  put(setting: Setting): void {
    this.#settings.set(keyOf(setting.vaultId, setting.name), setting);
  }

  remove(vaultId: string, name: string): boolean {
    return this.#settings.delete(keyOf(vaultId, name));
  }

  workspace(id: string): JsonObject | undefined {
    return this.#workspaces.get(id.toLowerCase());
  }

  putWorkspace(id: string, body: JsonObject): void {
    this.#workspaces.set(id.toLowerCase(), body);
  }
}

/** Routes of settings, below any vault, and of workspaces. */
export function diagnosticSettingsRouter(
  diagnostics: DiagnosticSettings,
  registry: VaultRegistry,
  groups: ResourceGroups,
): Router {
  const router = Router();
  const many = new RegExp(`^(.*/providers/Microsoft.KeyVault/vaults/[^/]+)/providers/${SETTINGS}/?$`, 'i');
  const one = new RegExp(`^(.*/providers/Microsoft.KeyVault/vaults/[^/]+)/providers/${SETTINGS}/([^/]+)/?$`, 'i');

  router.put(one, (request, response) => {
    const [vaultId, name] = [requireVault(registry, request.params['0']), String(request.params['1'])];
    const parsed = putSettingSchema.safeParse(request.body);
    if (!parsed.success) throw badRequest(describeIssues(parsed.error), 'InvalidRequestContent');
    const { properties } = parsed.data;
    checkCategories(properties);
    const { workspaceId } = properties;
    if (sinksOf(properties).length === 0) {
      throw badRequest('At least one data sink needs to be specified.');
    }
    if (workspaceId && diagnostics.workspace(workspaceId) === undefined) {
      const [, , , group = '', , , , workspace = ''] = workspaceId.split('/').slice(1);
      throw resourceNotFound(WORKSPACES, workspace, group);
    }
    for (const other of diagnostics.ofVault(vaultId)) {
      if (!sameId(other.name, name)) refuseTakenSink(properties, other);
    }
    const before = diagnostics.get(vaultId, name);
    const setting = { name: before?.name ?? name, vaultId, properties };
    diagnostics.put(setting);
    response.json(settingBody(setting));
  });

  router.get(one, (request, response) => {
    const [vaultId, name] = [requireVault(registry, request.params['0']), String(request.params['1'])];
    const setting = diagnostics.get(vaultId, name);
    if (setting === undefined) {
      throw new AzureError(404, 'ResourceNotFound', `The diagnostic setting '${name}' was not found.`);
    }
    response.json(settingBody(setting));
  });

  router.get(many, (request, response) => {
    response.json({ value: diagnostics.ofVault(requireVault(registry, request.params['0'])).map(settingBody) });
  });

  router.delete(one, (request, response) => {
    const removed = diagnostics.remove(requireVault(registry, request.params['0']), String(request.params['1']));
    response.status(removed ? 200 : 204).end();
  });

  const workspace = `/subscriptions/:subscription/resourceGroups/:group/providers/${WORKSPACES}/:name`;
  router.put(workspace, (request, response) => {
    const { group, name } = request.params;
    const parsed = putWorkspaceSchema.safeParse(request.body);
    if (!parsed.success) throw badRequest(describeIssues(parsed.error), 'InvalidRequestContent');
    const id = `${groups.idOf(groups.require(group).name)}/providers/${WORKSPACES}/${name}`;
    const known = diagnostics.workspace(id);
    const { location, properties = {} } = parsed.data;
    // By this id, not by the resource's, agents know a workspace.
    const { customerId = randomUUID() } = objectAt(known, 'properties');
    const body = {
      id,
      name,
      type: WORKSPACES,
      location,
      properties: { retentionInDays: 30, ...properties, customerId, provisioningState: 'Succeeded' },
    };
    diagnostics.putWorkspace(id, body);
    response.status(known === undefined ? 201 : 200).json(body);
  });

  router.get(workspace, (request, response) => {
    const { group, name } = request.params;
    const found = diagnostics.workspace(`${groups.idOf(group)}/providers/${WORKSPACES}/${name}`);
    if (found === undefined) throw resourceNotFound(WORKSPACES, name, group);
    response.json(found);
  });
  return router;
}

/** The vault that a path names, as ARM spells it. @throws AzureError 404 */
function requireVault(registry: VaultRegistry, path: string | string[] | undefined): string {
  const wanted = String(path ?? '');
  const vault = registry.all().find(({ id, deletedAt }) => deletedAt === undefined && sameId(id, wanted));
  if (vault !== undefined) return vault.id;
  const [, group = '', name = ''] = /\/resourceGroups\/([^/]+)\/.*\/vaults\/([^/]+)$/i.exec(wanted) ?? [];
  throw resourceNotFound('Microsoft.KeyVault/vaults', name, group);
}

function checkCategories({ logs }: Setting['properties']): void {
  for (const { category, categoryGroup } of logs ?? []) {
    if (category && CATEGORIES[category] === undefined) throw badRequest(`Category '${category}' is not supported.`);
    if (categoryGroup && !Object.values(CATEGORIES).some((all) => all.includes(categoryGroup.toLowerCase())))
      throw badRequest(`Category group '${categoryGroup}' is not supported.`);
  }
}

/**
 * Source of the sentence: terraform-provider-azurerm#21161. Whether a category that a setting lists as off counts is not documented;
 * here it does, which is the harder case.
 */
function refuseTakenSink(properties: Setting['properties'], other: Setting): void {
  const sink = sinksOf(properties).find((one) => sinksOf(other.properties).some((taken) => sameId(one, taken)));
  if (sink === undefined) return;
  const taken = listedCategories(other.properties);
  const category = listedCategories(properties).find((wanted) => taken.includes(wanted));
  if (category === undefined) return;
  throw new AzureError(
    409,
    'Conflict',
    `Data sink '${sink}' is already used in diagnostic setting '${other.name}' for category '${category}'. Data sinks can't be reused in different settings on the same category for the same resource.`,
  );
}

function sinksOf({ workspaceId, storageAccountId, eventHubAuthorizationRuleId }: Setting['properties']): string[] {
  return [workspaceId, storageAccountId, eventHubAuthorizationRuleId].flatMap((id) => (id ? [id] : []));
}

function listedCategories({ logs }: Setting['properties']): string[] {
  return (logs ?? []).flatMap(categoriesOf);
}

function enabledCategories({ logs }: Setting['properties']): string[] {
  return (logs ?? []).filter(({ enabled }) => enabled).flatMap(categoriesOf);
}

function categoriesOf({ category, categoryGroup }: z.infer<typeof logSchema>): string[] {
  if (category) return [category];
  const group = categoryGroup?.toLowerCase() ?? '';
  return Object.entries(CATEGORIES).flatMap(([name, groups]) => (groups.includes(group) ? [name] : []));
}

function settingBody({ name, vaultId, properties }: Setting): JsonObject {
  return {
    id: `${vaultId}/providers/${SETTINGS}/${name}`,
    name,
    type: SETTINGS,
    properties: { metrics: [], logAnalyticsDestinationType: null, ...properties },
  };
}

function keyOf(vaultId: string, name: string): string {
  return `${vaultId}/${name}`.toLowerCase();
}

function sameId(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
