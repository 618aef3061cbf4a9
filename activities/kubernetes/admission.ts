/**
 * The admission webhooks and policies of a cluster, as far as they could deny or change an update of a Secret.
 *
 * Does: reads their match rules, in the versions that the API server serves.
 * Never does: treat "may not be read" as "does not exist".
 */
import { z } from 'zod';
import { AdmissionRule, matchesSecretUpdate, type AdmissionSight } from '../../domain/admission';
import type { KubeConnection } from './connection';
import { KubeError } from './errors';

const GROUP = '/apis/admissionregistration.k8s.io';
/** Newest first: one object is served in all of them. */
const VERSIONS = ['v1', 'v1beta1', 'v1alpha1'];

/** A resource of the group: its name in sentences, whether it changes objects, and where its rules are. */
interface Kind {
  readonly resource: string;
  readonly title: string;
  readonly changes: boolean;
}
const KINDS: readonly Kind[] = [
  { resource: 'mutatingwebhookconfigurations', title: 'MutatingWebhookConfiguration', changes: true },
  { resource: 'mutatingadmissionpolicies', title: 'MutatingAdmissionPolicy', changes: true },
  { resource: 'validatingwebhookconfigurations', title: 'ValidatingWebhookConfiguration', changes: false },
  { resource: 'validatingadmissionpolicies', title: 'ValidatingAdmissionPolicy', changes: false },
];

const Group = z.object({ versions: z.array(z.object({ version: z.string() })) });
const Resources = z.object({ resources: z.array(z.object({ name: z.string() })) });
const Rules = z.array(AdmissionRule).nullish();
const List = z.object({
  items: z
    .array(
      z.object({
        metadata: z.object({ name: z.string() }),
        /** Of a webhook configuration. */
        webhooks: z.array(z.object({ name: z.string(), rules: Rules })).nullish(),
        /** Of a policy. */
        spec: z.object({ matchConstraints: z.object({ resourceRules: Rules }).nullish() }).nullish(),
      }),
    )
    .nullish(),
});

/** Reads what could deny or change an update of a Secret. @throws KubeError of a transient kind; the signal's reason */
export async function readAdmission(connection: KubeConnection, signal?: AbortSignal): Promise<AdmissionSight> {
  const read = async (path: string): Promise<unknown> => {
    try {
      return await connection.request({ method: 'GET', path, signal });
    } catch (error) {
      if (!(error instanceof KubeError) || error.transient) throw error;
      return undefined;
    }
  };
  const served = await servedVersions(read);
  const [changing, denying, unread]: [string[], string[], string[]] = [[], [], []];
  for (const kind of KINDS) {
    const version = served?.get(kind.resource) ?? (served ? undefined : 'v1');
    // A kind that is not served cannot be in use.
    if (version === undefined) continue;
    const list = List.safeParse(await read(`${GROUP}/${version}/${kind.resource}`));
    if (!list.success) unread.push(kind.resource);
    else (kind.changes ? changing : denying).push(...namesOf(kind, list.data));
  }
  return { changing: changing.sort(), denying: denying.sort(), unread: unread.sort() };
}

/** The newest version that the API server serves each resource in; undefined when it does not tell. */
async function servedVersions(
  read: (path: string) => Promise<unknown>,
): Promise<ReadonlyMap<string, string> | undefined> {
  const group = Group.safeParse(await read(GROUP));
  if (!group.success) return undefined;
  const versions = group.data.versions.map(({ version }) => version);
  const served = new Map<string, string>();
  for (const version of VERSIONS.filter((one) => versions.includes(one))) {
    const found = Resources.safeParse(await read(`${GROUP}/${version}`));
    if (!found.success) return undefined;
    for (const { name } of found.data.resources) if (!served.has(name)) served.set(name, version);
  }
  return served;
}

function namesOf({ title }: Kind, { items }: z.infer<typeof List>): string[] {
  return (items ?? []).flatMap(({ metadata, webhooks, spec }) => {
    const matching = (webhooks ?? []).filter(({ rules }) => (rules ?? []).some(matchesSecretUpdate));
    const policy = (spec?.matchConstraints?.resourceRules ?? []).some(matchesSecretUpdate);
    return [
      ...matching.map(({ name }) => `webhook ${name} (${title} ${metadata.name})`),
      ...(policy ? [`${title} ${metadata.name}`] : []),
    ];
  });
}
