/**
 * Admission webhooks and policies that apply to an update of a Secret: which of them could deny or change it.
 *
 * Does: evaluates match rules as the API server does. It does not evaluate what narrows a match further (selectors, conditions,
 *       bindings, named resources, excluded rules): such a webhook or policy counts as one that could apply.
 * Never does: repeat a text of a webhook or policy. Names only.
 * Source: apiserver `pkg/admission/plugin/webhook/predicates/rules`.
 */
import { z } from 'zod';

/** What could deny or change an update of a Secret. */
export const AdmissionSight = z.object({
  /** Mutating webhooks and policies, by name, sorted. */
  changing: z.array(z.string()),
  /** Validating webhooks and policies, by name, sorted. */
  denying: z.array(z.string()),
  /** Resources of the API group that could not be read, sorted: what they hold could apply. */
  unread: z.array(z.string()),
});
/** What could deny or change an update of a Secret. */
export type AdmissionSight = z.infer<typeof AdmissionSight>;

/** `RuleWithOperations` of a webhook or policy. */
export const AdmissionRule = z.object({
  apiGroups: z.array(z.string()).nullish(),
  apiVersions: z.array(z.string()).nullish(),
  operations: z.array(z.string()).nullish(),
  resources: z.array(z.string()).nullish(),
  scope: z.string().nullish(),
});
/** `RuleWithOperations` of a webhook or policy. */
export type AdmissionRule = z.infer<typeof AdmissionRule>;

/** Whether a rule matches an update of a Secret, which a patch is too. */
export function matchesSecretUpdate({ apiGroups, apiVersions, operations, resources, scope }: AdmissionRule): boolean {
  return (
    has(apiGroups, '') &&
    has(apiVersions, 'v1') &&
    has(operations, 'UPDATE') &&
    (resources ?? []).some(isSecrets) &&
    (scope ?? '*') !== 'Cluster'
  );
}

/** Whether anything could deny or change an update of a Secret. */
export function couldApply({ changing, denying, unread }: AdmissionSight): boolean {
  return changing.length + denying.length + unread.length > 0;
}

/** Whether anything could change a Secret on update. */
export function couldChange({ changing, unread }: AdmissionSight): boolean {
  return changing.length > 0 || unread.some(isMutating);
}

/** For sentences: what could change a Secret on update, by name. */
export function describeChanging({ changing, unread }: AdmissionSight): string {
  const unknown = unread.filter(isMutating);
  const known = changing.length === 0 ? '' : changing.join(', ');
  const rest = unknown.length === 0 ? '' : `one that Keyturn cannot see (it may not read ${unknown.join(', ')})`;
  return [known, rest].filter(Boolean).join('; ') || 'none that the cluster shows';
}

/** For sentences: everything that applies to an update of a Secret, by name. */
export function describeApplying({ changing, denying, unread }: AdmissionSight): string {
  const rest = unread.length === 0 ? [] : [`what Keyturn may not read (${unread.join(', ')})`];
  return [...changing, ...denying, ...rest].join(', ') || 'none that the cluster shows';
}

function isMutating(resource: string): boolean {
  return resource.startsWith('mutating');
}

/** `secrets/*` names the Secret itself as well as whatever is below it. */
function isSecrets(rule: string): boolean {
  const [resource, subresource = ''] = rule.split('/');
  return (resource === '*' || resource === 'secrets') && (subresource === '*' || subresource === '');
}

function has(values: readonly string[] | null | undefined, value: string): boolean {
  return (values ?? []).some((one) => one === '*' || one === value);
}
