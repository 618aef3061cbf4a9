/**
 * `addonProfiles.azureKeyvaultSecretsProvider` of a managed cluster: the add-on of the Secrets Store CSI driver (facts 6). Pure.
 *
 * A disabled add-on is `{config: null, enabled: false, identity: null}`. An enabled one may have `config: null`, which means the
 * defaults (azure-cli-extensions#5056). What a PUT does not name stays, this add-on and all others.
 */
import { z } from 'zod';
import { badRequest, type AzureError } from '../errors';
import { describeIssues, isJsonObject, objectAt, type JsonObject } from '../json';

/** The name of the add-on as the service spells it; clients may spell it in any case. */
const NAME = 'azureKeyvaultSecretsProvider';
const DEFAULT_POLL_INTERVAL = '2m';
const DISABLED = { config: null, enabled: false, identity: null };

const flag = z.enum(['true', 'false']);
const profileSchema = z.looseObject({
  enabled: z.boolean(),
  config: z
    .looseObject({
      enableSecretRotation: flag.optional(),
      // As Go reads a duration: 2m, 30s, 1h30m.
      rotationPollInterval: z
        .string()
        .regex(/^(\d+(\.\d+)?(h|m|s|ms))+$/)
        .optional(),
    })
    .nullish(),
});

/** The identity of the add-on, as the resource shows it. */
export interface AddonIdentity {
  readonly resourceId: string;
  readonly clientId: string;
  readonly objectId: string;
}

/** The add-on of a cluster, when it is on. */
export interface SecretsProvider {
  readonly enableSecretRotation: boolean;
  /** A Go duration, `2m`. */
  readonly rotationPollInterval: string;
  /** Made when the operation that turns the add-on on is carried out. */
  readonly identity?: AddonIdentity;
}

/** The name of the identity that AKS makes for the add-on, in the node resource group. */
export function addonIdentityName(clusterName: string): string {
  return `azurekeyvaultsecretsprovider-${clusterName}`;
}

/** The add-on of a body as ARM has it; undefined when it is off. */
export function secretsProviderOf(body: JsonObject | undefined): SecretsProvider | undefined {
  const profile = addonsOf(body)[NAME];
  if (!isJsonObject(profile) || profile['enabled'] !== true) return undefined;
  const { enableSecretRotation, rotationPollInterval } = objectAt(profile, 'config');
  const identity = profile['identity'];
  return {
    enableSecretRotation: enableSecretRotation === 'true',
    rotationPollInterval: typeof rotationPollInterval === 'string' ? rotationPollInterval : DEFAULT_POLL_INTERVAL,
    ...(isJsonObject(identity) ? { identity: identity as unknown as AddonIdentity } : {}),
  };
}

/** Whether a PUT would turn the add-on off. */
export function disablesSecretsProvider(sent: unknown, before: JsonObject | undefined): boolean {
  if (secretsProviderOf(before) === undefined || !isJsonObject(sent)) return false;
  const asked = Object.entries(addonsOf(sent)).find(([name]) => isSecretsProvider(name))?.[1];
  return isJsonObject(asked) && asked['enabled'] === false;
}

/** What AKS says when it may not be turned off (azure-cli#27965). */
export function secretProviderClassesExist(): AzureError {
  return refuse(
    'BadRequest',
    'AzureKeyvaultSecretsProvider addon cannot be disabled due to more than 0 Secret Provider Classes',
  );
}

/**
 * What a PUT asks for, with the add-ons that it leaves out kept, and the identity that the service has made.
 * @throws AzureError 400 for a config that the add-on does not know
 */
export function withSecretsProvider(sent: JsonObject, before: JsonObject | undefined): JsonObject {
  const old = addonsOf(before);
  const given = addonsOf(sent);
  if (Object.keys(old).length === 0 && Object.keys(given).length === 0) return sent;
  const others = Object.entries(given).filter(([name, profile]) => !isSecretsProvider(name) && profile !== null);
  const asked = Object.entries(given).find(([name]) => isSecretsProvider(name))?.[1];
  const mine = asked === undefined || asked === null ? old[NAME] : profileFor(asked, old[NAME]);
  const addons = { ...old, ...Object.fromEntries(others), ...(mine === undefined ? {} : { [NAME]: mine }) };
  return withAddons(sent, addons);
}

/** The body once the identity of the add-on is there. */
export function withAddonIdentity(body: JsonObject, identity: AddonIdentity): JsonObject {
  const addons = addonsOf(body);
  return withAddons(body, { ...addons, [NAME]: { ...objectAt(addons, NAME), identity } });
}

/** The body with the add-on on, as Service Connector asks for it; one that is on stays as it is. */
export function withAddonEnabled(body: JsonObject): JsonObject {
  if (secretsProviderOf(body) !== undefined) return body;
  return withAddons(body, { ...addonsOf(body), [NAME]: { enabled: true, config: { enableSecretRotation: 'false' } } });
}

function profileFor(asked: unknown, old: unknown): JsonObject {
  const parsed = profileSchema.safeParse(asked);
  if (!parsed.success) {
    throw refuse(
      'SandboxAddonConfigNotValid',
      `addonProfiles.${NAME} is not valid: ${describeIssues(parsed.error)}. enableSecretRotation is "true" or "false", rotationPollInterval a duration like "2m".`,
    );
  }
  const { enabled, config = null } = parsed.data;
  if (!enabled) return DISABLED;
  const { identity } = isJsonObject(old) ? old : {};
  return {
    config:
      config === null
        ? null
        : { enableSecretRotation: 'false', rotationPollInterval: DEFAULT_POLL_INTERVAL, ...config },
    enabled,
    ...(identity === undefined || identity === null ? {} : { identity }),
  };
}

function withAddons(body: JsonObject, addonProfiles: JsonObject): JsonObject {
  return { ...body, properties: { ...objectAt(body, 'properties'), addonProfiles } };
}

function addonsOf(body: JsonObject | undefined): JsonObject {
  return objectAt(body, 'properties', 'addonProfiles');
}

function isSecretsProvider(name: string): boolean {
  return name.toLowerCase() === NAME.toLowerCase();
}

function refuse(code: string, message: string): AzureError {
  return badRequest(message, code, { shape: 'bare' });
}
