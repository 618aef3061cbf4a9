/**
 * Which admission webhooks AKS refuses to stop a cluster with: those that must answer and have wildcards where a stop or a start writes.
 * Rules and text: Azure/AKS#4729 and the AKS release notes of 2024-08-27; the code, and what narrows a rule: "Stop and start an AKS cluster".
 */
import type { WebhookConfiguration } from '../../cluster/contract';
import { AzureError } from '../errors';

const RESOURCES = [
  'apiservices',
  'certificatesigningrequests',
  'clusterroles',
  'clusterrolebindings',
  'leases',
  'nodes',
  'subjectaccessreviews',
  'tokenrequests',
  'tokenreviews',
];
/** Of these resources. The list of AKS itself is not published. */
const GROUPS = [
  '',
  'apiregistration.k8s.io',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'certificates.k8s.io',
  'coordination.k8s.io',
  'rbac.authorization.k8s.io',
];

/** @throws AzureError 400 ValidationError with the name of each webhook that is in the way */
export function checkStop(configurations: readonly WebhookConfiguration[]): void {
  const found = configurations.flatMap(({ name, webhooks }) =>
    webhooks.flatMap((webhook) => {
      if (webhook.failurePolicy === 'Ignore') return [];
      const narrowed = Object.values(webhook.namespaceSelector ?? {}).some(
        (part) => Object.keys(part ?? {}).length > 0,
      );
      return (webhook.rules ?? []).flatMap(({ apiGroups = [], resources = [], scope }, index) => {
        if (scope === 'Namespaced' && narrowed) return [];
        const where = wildcards(apiGroups, resources);
        return where === undefined
          ? []
          : [`Webhook configuration '${name}': '${webhook.name}' Rule ${index + 1} has wildcard in ${where}.`];
      });
    }),
  );
  if (found.length === 0) return;
  throw new AzureError(
    400,
    'ValidationError',
    `The managed cluster has the following webhooks, that might prevent stop/start cluster operations, Please remove them before the operation. ${found.map((one, index) => `${index + 1}. ${one}`).join(' ')}`,
    { shape: 'bare' },
  );
}

function wildcards(apiGroups: readonly string[], resources: readonly string[]): string | undefined {
  const names = resources.map((one) => one.split('/')[0] ?? '');
  const [group, resource] = [apiGroups.includes('*'), names.includes('*')];
  if (group && resource) return 'both APIGroups and Resources';
  if (group && names.some((one) => RESOURCES.includes(one))) return 'APIGroups';
  return resource && apiGroups.some((one) => GROUPS.includes(one)) ? 'Resources' : undefined;
}
