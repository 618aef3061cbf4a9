/** What may not survive an upgrade, as far as the cluster itself tells. None of it is ours to judge: approvers are told. */
import { z } from 'zod';
import { minorOf } from './encryption';
import type { Warning } from './plan/plan';

/** An API that clients asked for since the API servers were started, and that a later minor has no more. */
export const DeprecatedApi = z.object({
  /** `storage.k8s.io/v1beta1 csistoragecapacities` */
  api: z.string(),
  /** `1.27` */
  removedIn: z.string(),
});
/** An API that clients asked for, and that a later minor has no more. */
export type DeprecatedApi = z.infer<typeof DeprecatedApi>;

/** What a cluster tells of it. */
export const UpgradeRisks = z.object({
  /** Null when Keyturn may not read metrics. */
  deprecatedApis: z.array(DeprecatedApi).nullable(),
  /** Pods that no disruption budget selects, by namespace; those of DaemonSets and static pods do not count. Null when Keyturn may not list them. */
  podsWithoutBudget: z.record(z.string(), z.int()).nullable(),
});
/** What a cluster tells of what may not survive an upgrade. */
export type UpgradeRisks = z.infer<typeof UpgradeRisks>;

const MOST_NAMED = 10;

/** Warnings about an upgrade to a version. They tell of one moment, so that they are not under the plan's digest. */
export function upgradeRiskWarnings({ deprecatedApis, podsWithoutBudget }: UpgradeRisks, to: string): Warning[] {
  const removed = deprecatedApis?.filter(({ removedIn }) => minorOf(removedIn) <= minorOf(to)) ?? [];
  const namespaces = Object.entries(podsWithoutBudget ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const pods = namespaces.reduce((sum, [, count]) => sum + count, 0);
  return [
    ...(removed.length > 0
      ? [
          volatile(
            'RemovedApisInUse',
            `Since the API servers were started, clients asked for APIs that ${to} does not have: ${named(removed.map(({ api, removedIn }) => `${api} (removed in ${removedIn})`))}. These clients stop working with the upgrade.`,
          ),
        ]
      : []),
    ...(pods > 0
      ? [
          volatile(
            'PodsWithoutDisruptionBudget',
            `${pods} pod(s) have no disruption budget, so that all replicas of a workload may stop at the same time when nodes are drained: ${named(namespaces.map(([name, count]) => `${name} (${count})`))}.`,
          ),
        ]
      : []),
    ...(deprecatedApis === null || podsWithoutBudget === null
      ? [
          volatile(
            'UpgradeRisksUnknown',
            `Keyturn may not read ${[deprecatedApis === null && '/metrics', podsWithoutBudget === null && 'pods and disruption budgets'].filter(Boolean).join(' and ')}, so that it cannot tell which removed APIs are in use or which pods have no disruption budget.`,
          ),
        ]
      : []),
  ];
}

function named(all: readonly string[]): string {
  const more = all.length - MOST_NAMED;
  return all.slice(0, MOST_NAMED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function volatile(code: string, detail: string): Warning {
  return { code, detail, volatile: true };
}
