/**
 * Admission webhooks that keep AKS from stopping a cluster, or a stopped cluster from starting again.
 *
 * A webhook that must answer (`failurePolicy: Fail`) and whose program runs in the cluster is not there while the cluster starts: what it
 * matches cannot be written, and the nodes do not become ready (gatekeeper#3183, capsule#719). AKS refuses the stop for some of them
 * only (Azure/AKS#4729, AKS release notes of 2024-08-27). Keyturn looks for both before it asks for anything that cannot be undone.
 * Does: evaluates rules, scope and selectors. It does not evaluate `matchConditions`: such a webhook counts as one that matches.
 * Never does: repeat a text of a webhook other than its name.
 */
import { z } from 'zod';
import { AdmissionRule } from './admission';
import { LabelSelector, matchesLabels } from './label-selector';

/** A webhook of a configuration, as far as it matters here. */
export const Webhook = z.object({
  name: z.string(),
  failurePolicy: z.string().nullish(),
  rules: z.array(AdmissionRule).nullish(),
  namespaceSelector: LabelSelector.nullish(),
  objectSelector: LabelSelector.nullish(),
  /** With a service, its program runs in the cluster; without one it is reached by a URL. */
  clientConfig: z.object({ service: z.object({ namespace: z.string() }).nullish() }).nullish(),
});
/** A webhook of a configuration. */
export type Webhook = z.infer<typeof Webhook>;

/** The labels of a namespace; undefined when they could not be read. */
export type LabelsOf = (namespace: string) => Readonly<Record<string, string>> | undefined;

/** What AKS names in its check of wildcards (Azure/AKS#4729), with the API group of each. */
const CRITICAL: readonly (readonly [group: string, resource: string])[] = [
  ['apiregistration.k8s.io', 'apiservices'],
  ['certificates.k8s.io', 'certificatesigningrequests'],
  ['rbac.authorization.k8s.io', 'clusterroles'],
  ['rbac.authorization.k8s.io', 'clusterrolebindings'],
  ['coordination.k8s.io', 'leases'],
  ['', 'nodes'],
  ['authorization.k8s.io', 'subjectaccessreviews'],
  ['authentication.k8s.io', 'tokenrequests'],
  ['authentication.k8s.io', 'tokenreviews'],
];
const CRITICAL_GROUPS = new Set(CRITICAL.map(([group]) => group));
const CRITICAL_RESOURCES = new Set(CRITICAL.map(([, resource]) => resource));

/** What is written before nodes are ready and the pods of a webhook run again. */
interface Written {
  readonly group: string;
  readonly resource: string;
  /** Where; absent for what belongs to no namespace. */
  readonly namespaces?: readonly string[];
  /** Also in the namespace of the webhook's own pods. */
  readonly own?: true;
}
const WRITTEN_ON_START: readonly Written[] = [
  { group: '', resource: 'nodes' },
  { group: '', resource: 'nodes/status' },
  { group: 'certificates.k8s.io', resource: 'certificatesigningrequests' },
  { group: 'certificates.k8s.io', resource: 'certificatesigningrequests/approval' },
  { group: 'rbac.authorization.k8s.io', resource: 'clusterroles' },
  { group: 'rbac.authorization.k8s.io', resource: 'clusterrolebindings' },
  { group: 'coordination.k8s.io', resource: 'leases', namespaces: ['kube-node-lease', 'kube-system'] },
  { group: '', resource: 'pods', namespaces: ['kube-system'], own: true },
  { group: '', resource: 'pods/binding', namespaces: ['kube-system'], own: true },
];

/** Why a webhook hinders, to complete "…, which …"; undefined when it does not. */
export function hindranceOf(webhook: Webhook, labelsOf: LabelsOf): string | undefined {
  if (webhook.failurePolicy === 'Ignore') return undefined;
  const rules = webhook.rules ?? [];
  const wild = rules.findIndex((rule) => isWild(rule) && !isNarrowed(rule, webhook));
  if (wild >= 0) return `has wildcards in rule ${wild + 1}, for which AKS refuses the stop`;
  const matched = WRITTEN_ON_START.find((written) => rules.some((rule) => matches(rule, written, webhook, labelsOf)));
  return matched && `must answer before a starting cluster can write ${matched.resource}, and runs in the cluster`;
}

/** As AKS checks it: whatever the operations, versions and object selectors of the rule. */
function isWild({ apiGroups, resources }: AdmissionRule): boolean {
  const groups = apiGroups ?? [];
  const names = (resources ?? []).map((one) => one.split('/')[0] ?? '');
  const [anyGroup, anyResource] = [groups.includes('*'), names.includes('*')];
  return (
    (anyGroup && (anyResource || names.some((one) => CRITICAL_RESOURCES.has(one)))) ||
    (anyResource && groups.some((one) => CRITICAL_GROUPS.has(one)))
  );
}

/** What AKS advises to do about wildcards. */
function isNarrowed({ scope }: AdmissionRule, { namespaceSelector }: Webhook): boolean {
  return scope === 'Namespaced' && !isEmpty(namespaceSelector);
}

function matches(rule: AdmissionRule, written: Written, webhook: Webhook, labelsOf: LabelsOf): boolean {
  const own = webhook.clientConfig?.service?.namespace;
  if (own === undefined || !namesIt(rule, written)) return false;
  // What is written bears no labels of the webhook's users: a selector that asks for one leaves it out.
  if (webhook.objectSelector && !matchesLabels(webhook.objectSelector, {})) return false;
  const { namespaces } = written;
  // A namespace selector leaves out nothing that belongs to no namespace.
  if (namespaces === undefined) return rule.scope !== 'Namespaced';
  if (rule.scope === 'Cluster') return false;
  return [...namespaces, ...(written.own ? [own] : [])].some((one) => {
    const labels = labelsOf(one);
    return (
      isEmpty(webhook.namespaceSelector) || labels === undefined || matchesLabels(webhook.namespaceSelector, labels)
    );
  });
}

function namesIt({ apiGroups, operations, resources }: AdmissionRule, { group, resource }: Written): boolean {
  const [name = '', below = ''] = resource.split('/');
  return (
    (apiGroups ?? []).some((one) => one === '*' || one === group) &&
    (operations ?? []).some((one) => one === '*' || one === 'CREATE' || one === 'UPDATE') &&
    (resources ?? []).some((one) => {
      const [named, sub = ''] = one.split('/');
      return (named === '*' || named === name) && (sub === '*' || sub === below);
    })
  );
}

function isEmpty(selector: LabelSelector | null | undefined): selector is null | undefined {
  if (!selector) return true;
  return Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions ?? []).length === 0;
}
