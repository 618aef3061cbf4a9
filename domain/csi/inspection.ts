/** How the connections between the pods of a cluster and vaults stand: what is connected, who made it, and what is broken. Pure. */
import { z } from 'zod';
import type { ObservedCluster } from '../observed';
import { resourceName } from '../resource-ids';
import { listed } from '../listed';
import { csiCloudName } from './cloud-name';
import type { CsiFacts, CsiInside, SeenClass } from './facts';
import { lineOfSight } from './line-of-sight';
import { fileOf, listedTypes, policyWords, READ_RIGHTS, typesOf } from './objects';
import { TOKEN_AUDIENCE } from './parameters';
import { denyingNames, missingTypes, uncertainTypes, unknownRights } from './read-rights';

/** One SecretProviderClass. */
const InspectedClass = z.object({
  namespace: z.string(),
  name: z.string(),
  madeByKeyturn: z.boolean().describe('Whether connect-csi made it.'),
  vault: z.string().nullable().describe('Name of the vault; null when the class cannot be read.'),
  mode: z.enum(['workload-identity', 'managed-identity']).nullable(),
  clientId: z
    .string()
    .nullable()
    .describe('Client id of the identity that reads; null: system-assigned, or not readable.'),
  files: z.array(z.string()).describe('What pods see below the mount.'),
  pods: z.array(z.string()).describe('Pods that mount it, as namespace/name.'),
  lineOfSight: z
    .enum(['not-needed', 'seen', 'unknown', 'missing'])
    .nullable()
    .describe(
      'Whether ARM shows a way from the nodes to the vault. not-needed: the vault is open to all networks; null: Keyturn does not see the vault, or cannot read the class.',
    ),
  broken: z.array(z.string()).describe('What keeps it from working, one sentence each.'),
  unknown: z.array(z.string()).describe('What Keyturn could not see, one sentence each.'),
});

/** The answer. */
export const CsiInspection = z.object({
  at: z.iso.datetime().describe('When Keyturn looked.'),
  cluster: z.string().describe('ARM resource id.'),
  addOn: z.object({
    enabled: z.boolean(),
    rotationPollInterval: z.string().nullable().describe('How often mounted files are renewed; null: they are not.'),
    clientId: z.string().nullable().describe('Client id of the identity that AKS made for it.'),
  }),
  issuerUrl: z.string().nullable().describe('Who issues the tokens of service accounts for Entra ID.'),
  workloadIdentity: z.boolean(),
  classes: z.array(InspectedClass),
  broken: z.array(z.string()).describe('What is wrong with the cluster as a whole, one sentence each.'),
  unknown: z.array(z.string()).describe('What Keyturn could not see, one sentence each.'),
});
/** The answer. */
export type CsiInspection = z.infer<typeof CsiInspection>;

/** What it is made from. */
export interface CsiInspectionFacts {
  readonly at: string;
  readonly cluster: ObservedCluster;
  readonly inside: CsiInside | { readonly unreadable: string };
  /** For each class of `inside`, in the same order: absent where the class cannot be read. */
  readonly azure: readonly (CsiFacts | undefined)[];
}

/** Puts the facts together. */
export function inspectCsi({ at, cluster, inside, azure }: CsiInspectionFacts): CsiInspection {
  const { secretsProvider, issuerUrl, workloadIdentity, resourceId } = cluster;
  const seen = 'unreadable' in inside ? undefined : inside;
  const enabled = secretsProvider?.enabled ?? false;
  return {
    at,
    cluster: resourceId,
    addOn: {
      enabled,
      rotationPollInterval: secretsProvider?.pollInterval ?? null,
      clientId: secretsProvider?.identity?.clientId ?? null,
    },
    issuerUrl: issuerUrl ?? null,
    workloadIdentity: workloadIdentity ?? false,
    classes: (seen?.classes ?? []).map((one, index) =>
      inspectClass(one, azure[index], { cluster, accounts: seen?.accounts }),
    ),
    broken: [
      ...(seen?.notReady ?? []),
      ...(enabled ? (seen?.missing ?? []) : []),
      ...(enabled && seen && seen.otherInstallations.length > 0
        ? [`The cluster has another Secrets Store CSI driver beside the add-on: ${seen.otherInstallations.join(', ')}.`]
        : []),
      ...(!enabled && seen && seen.classes.length > 0 && seen.otherInstallations.length === 0
        ? ['The add-on is off, and there are SecretProviderClasses: pods that start cannot mount them.']
        : []),
    ],
    unknown: 'unreadable' in inside ? [inside.unreadable] : [],
  };
}

/** What is the same for all classes. */
interface Around {
  readonly cluster: ObservedCluster;
  readonly accounts: CsiInside['accounts'];
}

function inspectClass(
  { namespace, name, ours, content, problems, pods }: SeenClass,
  facts: CsiFacts | undefined,
  around: Around,
): z.infer<typeof InspectedClass> {
  const found =
    content === undefined || facts === undefined ? undefined : faultsOf({ namespace, content }, facts, around);
  return {
    namespace,
    name,
    madeByKeyturn: ours,
    vault: content?.vaultName ?? null,
    mode: content?.identity.mode ?? null,
    clientId: content?.identity.clientId ?? null,
    files: content?.objects.map(fileOf) ?? [],
    pods,
    lineOfSight: (facts && lineOfSight(facts)?.state) ?? null,
    broken: [...problems, ...(found?.broken ?? [])],
    unknown: found?.unknown ?? [],
  };
}

type ReadableClass = Required<Pick<SeenClass, 'namespace' | 'content'>>;

function faultsOf(
  seen: ReadableClass,
  facts: CsiFacts,
  around: Around,
): { readonly broken: string[]; readonly unknown: string[] } {
  const { content } = seen;
  const { vault, identity, nodes, credentials } = facts;
  const wantedCloud = csiCloudName({ name: facts.cloud });
  const who = content.identity.clientId ?? 'the system-assigned identity of the nodes';
  const sight = lineOfSight(facts);
  return {
    broken: [
      ...(content.cloudName.toLowerCase() === wantedCloud.toLowerCase()
        ? []
        : [`It names the cloud ${content.cloudName}, and the cluster is in ${wantedCloud}.`]),
      ...(vault.known && vault.value.tenantId.toLowerCase() !== content.tenantId.toLowerCase()
        ? [`It names the tenant ${content.tenantId}, and the vault is in ${vault.value.tenantId}.`]
        : []),
      ...rightFaults(seen, facts, who),
      ...(content.identity.mode === 'workload-identity'
        ? federationFaults(seen, facts, around)
        : nodeFaults(facts, who)),
      ...(sight?.state === 'missing' ? [`${sight.detail} ${sight.remedy}`] : []),
    ],
    unknown: [
      ...(vault.known ? [] : [vault.why]),
      ...(identity.state === 'unknown' ? [identity.why] : []),
      ...unknownRights(facts),
      ...(sight?.state === 'seen' || sight?.state === 'unknown' ? [sight.detail] : []),
      ...uncertainRights(seen, facts, who),
      ...[nodes, credentials].flatMap((lookup) => (lookup?.known === false ? [lookup.why] : [])),
    ],
  };
}

function readingOf({ content: { objects } }: ReadableClass): Parameters<typeof missingTypes>[1] {
  return { types: typesOf(objects), history: listedTypes(objects) };
}

/** What the identity lacks, in the words of the vault's permission model; or who takes it. */
function rightFaults(seen: ReadableClass, facts: CsiFacts, who: string): string[] {
  const { vault, identity } = facts;
  if (!vault.known || identity.state !== 'exists') return [];
  const { types, history = [] } = readingOf(seen);
  const missing = missingTypes(facts, { types, history });
  if (missing.length === 0) return [];
  const may = `The identity ${who} may not read from the vault ${seen.content.vaultName}`;
  const denying = denyingNames(facts, { types, history });
  if (denying.length > 0)
    return [`${may}: the deny assignment ${listed(denying)} takes the right to read ${missing.join(', ')} objects.`];
  const lacking = missing.map((type) => {
    const { policy, role } = READ_RIGHTS[type];
    return vault.value.permissionModel === 'rbac'
      ? `${role.name} (${type})`
      : `${policyWords(type, history).join(' and ')} of ${policy} in the access policies (${type})`;
  });
  return [`${may}: it lacks ${lacking.join(', ')}.`];
}

function uncertainRights(seen: ReadableClass, facts: CsiFacts, who: string): string[] {
  const uncertain = facts.identity.state === 'exists' ? uncertainTypes(facts, readingOf(seen)) : [];
  return uncertain.length === 0
    ? []
    : [
        `Whether the identity ${who} may read ${uncertain.join(', ')} objects of the vault ${seen.content.vaultName} depends on a condition, or on a deny assignment with a condition or with groups.`,
      ];
}

function federationFaults(
  { namespace, content }: ReadableClass,
  { credentials }: CsiFacts,
  { cluster: { issuerUrl }, accounts }: Around,
): string[] {
  if (issuerUrl === undefined)
    return ['The cluster has no OIDC issuer: Entra ID takes no token of its service accounts.'];
  if (credentials?.known !== true) return [];
  const who = `The identity ${content.identity.clientId ?? ''}`;
  const start = `system:serviceaccount:${namespace}:`;
  const ofNamespace = credentials.value.filter(({ subject }) => subject.startsWith(start));
  const ofIssuer = ofNamespace.filter(({ issuer }) => issuer === issuerUrl);
  const usable = ofIssuer.filter(({ audiences }) => audiences.includes(TOKEN_AUDIENCE));
  if (usable.length > 0) {
    const wanted = usable.map(({ subject }) => `${namespace}/${subject.slice(start.length)}`);
    if (accounts === undefined || wanted.some((one) => accounts.includes(one))) return [];
    return [
      `${who} has a federated credential for the service account ${listed(wanted)}, which the cluster does not have: no pod can run as it.`,
    ];
  }
  const others = [...new Set(ofNamespace.map(({ issuer }) => issuer))].filter((issuer) => issuer !== issuerUrl);
  const seen = [
    ...(others.length === 0 ? [] : [` Those of the namespace have other issuers: ${listed(others)}.`]),
    ...ofIssuer.map(
      ({ name, audiences }) =>
        ` ${name} is for the audience ${listed(audiences) || 'none'}, and not ${TOKEN_AUDIENCE}.`,
    ),
  ].join('');
  return [
    `${who} has no federated credential for the issuer ${issuerUrl} and a service account of the namespace ${namespace}.${seen}`,
  ];
}

function nodeFaults({ nodes, identity }: CsiFacts, who: string): string[] {
  if (nodes?.known !== true || identity.state !== 'exists' || identity.resourceId === undefined) return [];
  const id = identity.resourceId.toLowerCase();
  const lacking = nodes.value.filter(({ identities }) => !identities.some((one) => one.toLowerCase() === id));
  return lacking.length === 0
    ? []
    : [
        `${lacking.map(({ resourceId }) => resourceName(resourceId)).join(', ')} does not have the identity ${who}: pods there get no token.`,
      ];
}
