/**
 * A SecretProviderClass of the Azure provider: built from typed values, and read back from a cluster.
 *
 * `parameters` of the class are texts only, and `objects` is YAML whose items are YAML again. The reader understands both, so that
 * a class that a person wrote can be compared by meaning, and not by its blanks.
 * Source: github.com/Azure/secrets-store-csi-driver-provider-azure, `pkg/provider/types/const.go`.
 */
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import type { ClassIdentity } from './class-identity';
import { listed } from '../listed';
import { CsiObject } from './objects';

/** What a class says. */
export interface ClassContent {
  readonly vaultName: string;
  readonly tenantId: string;
  /** As the provider spells it; see `csiCloudName`. */
  readonly cloudName: string;
  readonly identity: ClassIdentity;
  readonly objects: readonly CsiObject[];
}

/** A line is a line, as people and the provider's documents write it. */
const UNFOLDED = { lineWidth: 0 };

/** `spec.parameters` of a class. */
export function classParameters({
  vaultName,
  tenantId,
  cloudName,
  identity,
  objects,
}: ClassContent): Record<string, string> {
  const who: Record<string, string> =
    identity.mode === 'workload-identity'
      ? { clientID: identity.clientId }
      : { useVMManagedIdentity: 'true', userAssignedIdentityID: identity.clientId ?? '' };
  return {
    usePodIdentity: 'false',
    ...who,
    keyvaultName: vaultName,
    cloudName,
    objects: stringify({ array: objects.map((object) => stringify(textsOf(object), UNFOLDED)) }, UNFOLDED),
    tenantID: tenantId,
  };
}

/** What a class was read as, or what is wrong with it: one sentence each. */
export type ReadClass =
  { readonly ok: true; readonly content: ClassContent } | { readonly ok: false; readonly problems: readonly string[] };

const Spec = z.looseObject({
  provider: z.string().nullish(),
  parameters: z.record(z.string(), z.string()).nullish(),
});

/** Reads `spec` of a class as the provider does, and says what the provider would refuse. */
export function readClass(spec: unknown): ReadClass {
  const parsed = Spec.safeParse(spec);
  if (!parsed.success) return problem('Its `spec.parameters` are not texts.');
  const { provider, parameters } = parsed.data;
  if (provider !== 'azure')
    return problem(`Its provider is ${provider ? `\`${provider}\`` : 'missing'}, and not \`azure\`.`);
  const given = parameters ?? {};
  const vaultName = given['keyvaultName'] ?? '';
  const tenantId = given['tenantID'] ?? given['tenantId'] ?? '';
  const identity = identityOf(given);
  const objects = objectsOf(given['objects'] ?? '');
  const problems = [
    ...(vaultName === '' ? ['keyvaultName is not provided.'] : []),
    ...(tenantId === '' ? ['tenantID is not provided.'] : []),
    ...(typeof identity === 'string' ? [identity] : []),
    ...(typeof objects === 'string' ? [objects] : []),
  ];
  if (typeof identity === 'string' || typeof objects === 'string' || problems.length > 0) return problem(...problems);
  const cloudName = given['cloudName'] ?? '';
  // The provider takes none as the public cloud.
  return { ok: true, content: { vaultName, tenantId, cloudName: cloudName || 'AzurePublicCloud', identity, objects } };
}

/** What of a class is otherwise than wanted: one sentence each; empty when it means the same. */
export function classDifferences(found: ClassContent, wanted: ClassContent): string[] {
  const differ = (what: string, one: string, other: string): string[] =>
    one.toLowerCase() === other.toLowerCase()
      ? []
      : [`Its ${what} is ${one || 'empty'}, and ${other || 'none'} is wanted.`];
  return [
    ...differ('vault', found.vaultName, wanted.vaultName),
    ...differ('tenant', found.tenantId, wanted.tenantId),
    ...differ('cloud', found.cloudName, wanted.cloudName),
    ...differ('access mode', found.identity.mode, wanted.identity.mode),
    ...differ('client id', found.identity.clientId ?? '', wanted.identity.clientId ?? ''),
    ...objectDifferences(found.objects, wanted.objects),
  ];
}

/** Their order means nothing: each is a file of its own. */
function objectDifferences(found: readonly CsiObject[], wanted: readonly CsiObject[]): string[] {
  const without = (some: readonly CsiObject[], others: readonly CsiObject[]): string[] => {
    const meanings = others.map((one) => JSON.stringify(meaningOf(one)));
    return some
      .filter((one) => !meanings.includes(JSON.stringify(meaningOf(one))))
      .map(({ objectType, objectName }) => `${objectType} ${objectName}`);
  };
  const lacking = without(wanted, found);
  const more = without(found, wanted);
  if (lacking.length === 0 && more.length === 0) return [];
  const words = [
    ...(lacking.length === 0 ? [] : [`it lacks ${listed(lacking)} as wanted`]),
    ...(more.length === 0 ? [] : [`it has ${listed(more)}`]),
  ];
  return [`Its objects are others than those that are wanted: ${words.join(', and ')}.`];
}

/** Which identity the provider would take: the rules of its `parseAzureIdentity…`. @returns a sentence when it takes none */
function identityOf(given: Readonly<Record<string, string>>): ClassIdentity | string {
  const isOn = (name: string): boolean => given[name]?.trim().toLowerCase() === 'true';
  const modes = ['usePodIdentity', 'useVMManagedIdentity', 'useAzureTokenProxy'].filter(isOn);
  if (modes.length > 1) return `only one identity mode can be enabled at a time: ${modes.join(', ')}.`;
  if (isOn('usePodIdentity')) return 'usePodIdentity is on: pod-managed identity is gone from AKS.';
  if (isOn('useAzureTokenProxy')) return 'useAzureTokenProxy is on: Keyturn does not know identity bindings.';
  if (isOn('useVMManagedIdentity')) {
    const clientId = given['userAssignedIdentityID'] ?? '';
    return { mode: 'managed-identity', ...(clientId === '' ? {} : { clientId }) };
  }
  const clientId = given['clientID'] ?? '';
  if (clientId === '') return 'clientID is not provided, and no identity of the nodes is asked for.';
  return { mode: 'workload-identity', clientId };
}

const Objects = z.object({ array: z.array(z.string()) });

/** @returns a sentence when the provider would refuse it */
function objectsOf(text: string): CsiObject[] | string {
  if (text.trim() === '') return 'objects is not set.';
  const list = Objects.safeParse(yaml(text));
  if (!list.success) return 'objects is not YAML with a list `array` of texts.';
  const objects: CsiObject[] = [];
  for (const [index, item] of list.data.array.entries()) {
    const read = CsiObject.safeParse(withoutEmpty(yaml(item)));
    if (!read.success) {
      const [issue] = read.error.issues;
      return `Item ${index + 1} of objects cannot be read: ${issue?.path.join('.') || 'it'}: ${issue?.message ?? ''}`;
    }
    objects.push(read.data);
  }
  return objects.length === 0 ? 'objects has no item.' : objects;
}

/** Numbers stay texts where they are names: `objectName: 123`. */
function yaml(text: string): unknown {
  try {
    return parse(text, { schema: 'failsafe' });
  } catch {
    return undefined;
  }
}

function withoutEmpty(item: unknown): unknown {
  if (typeof item !== 'object' || item === null) return item;
  const members = Object.entries(item).filter(([, value]) => value !== '' && value !== null);
  return Object.fromEntries(
    members.map(([name, value]) => [
      name,
      name === 'objectVersionHistory' && typeof value === 'string' && /^\d+$/.test(value)
        ? Number(value)
        : (value as unknown),
    ]),
  );
}

/** All members as texts, in the order of the provider's documents. */
function textsOf(object: CsiObject): Record<string, string | number> {
  return Object.fromEntries(
    Object.keys(CsiObject.shape).flatMap((name) => {
      const value = object[name as keyof CsiObject];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** Defaults written out, so that an absent member and its default are the same. */
function meaningOf(object: CsiObject): Required<CsiObject> {
  return {
    objectName: object.objectName.toLowerCase(),
    objectType: object.objectType,
    objectAlias: object.objectAlias ?? '',
    objectVersion: object.objectVersion?.toLowerCase() ?? '',
    objectVersionHistory: (object.objectVersionHistory ?? 0) > 1 ? (object.objectVersionHistory ?? 0) : 0,
    objectFormat: object.objectFormat ?? 'pem',
    objectEncoding: object.objectEncoding ?? 'utf-8',
    filePermission: (object.filePermission ?? '0644').padStart(4, '0'),
  };
}

function problem(...problems: string[]): ReadClass {
  return { ok: false, problems };
}
