/** What the cluster tells of what may not survive an upgrade: deprecated APIs in use, and pods without a disruption budget. */
import { z } from 'zod';
import { LabelSelector, matchesLabels } from '../../domain/label-selector';
import type { DeprecatedApi, UpgradeRisks } from '../../domain/upgrade-risks';
import type { KubeConnection } from './connection';
import { listMetadata } from './metadata-list';
import { labelledSamples } from './metrics';
import { unlessRefused } from './servers';

/** Kubernetes 1.19 and newer: KEP-1693, "warnings"; 1 for each deprecated API that was asked for since the start. */
const DEPRECATED = 'apiserver_requested_deprecated_apis';

const Pod = z.object({
  namespace: z.string(),
  labels: z.record(z.string(), z.string()).optional(),
  ownerReferences: z.array(z.object({ kind: z.string() })).optional(),
});
/** Those that run. */
const NOT_OVER = 'status.phase!=Succeeded,status.phase!=Failed';
const Budgets = z.object({
  items: z
    .array(
      z.object({
        metadata: z.object({ namespace: z.string() }),
        spec: z.object({ selector: LabelSelector.nullish() }),
      }),
    )
    .nullish(),
});
/** Their pods do not move when a node is drained. */
const STAY: readonly string[] = ['DaemonSet', 'Node'];

/** Reads both. @param metrics text of `/metrics`; undefined when it was refused. @throws KubeError of a transient kind */
export async function readUpgradeRisks(
  connection: KubeConnection,
  metrics: string | undefined,
  signal?: AbortSignal,
): Promise<UpgradeRisks> {
  const podsWithoutBudget = await unlessRefused(() => countPodsWithoutBudget(connection, signal));
  return {
    deprecatedApis: metrics === undefined ? null : deprecatedApisInUse(metrics),
    podsWithoutBudget: podsWithoutBudget ?? null,
  };
}

/** What one API server was asked for since its start: the one that answers. */
function deprecatedApisInUse(metrics: string): DeprecatedApi[] {
  const apis = labelledSamples(metrics, DEPRECATED).flatMap(({ labels, value }): DeprecatedApi[] => {
    const { group, version = '', resource = '', removed_release: removedIn } = labels;
    if (value === 0 || !removedIn) return [];
    return [{ api: `${group ? `${group}/` : ''}${version} ${resource}`, removedIn }];
  });
  const byApi = new Map(apis.map((one) => [one.api, one]));
  return [...byApi.values()].sort((a, b) => (a.api < b.api ? -1 : 1));
}

async function countPodsWithoutBudget(
  connection: KubeConnection,
  signal?: AbortSignal,
): Promise<Record<string, number>> {
  const path = '/apis/policy/v1/poddisruptionbudgets';
  const budgets = Budgets.parse(await connection.request({ method: 'GET', path, signal })).items ?? [];
  const counts: Record<string, number> = {};
  const pods = listMetadata(connection, '/api/v1/pods', Pod, { fieldSelector: NOT_OVER, signal });
  for await (const { namespace, labels = {}, ownerReferences = [] } of pods) {
    if (ownerReferences.some(({ kind }) => STAY.includes(kind))) continue;
    const covered = budgets.some(
      ({ metadata, spec }) => metadata.namespace === namespace && spec.selector && matchesLabels(spec.selector, labels),
    );
    if (!covered) counts[namespace] = (counts[namespace] ?? 0) + 1;
  }
  return counts;
}
