/** What the cluster tells of what may not survive an upgrade: deprecated APIs in use, and pods without a disruption budget. */
import { z } from 'zod';
import { LabelSelector, matchesLabels } from '../../domain/label-selector';
import type { DeprecatedApi, UpgradeRisks } from '../../domain/upgrade-risks';
import type { KubeConnection } from './connection';
import { labelledSamples } from './metrics';
import { unlessRefused } from './servers';

const AS_METADATA_LIST = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';
const PODS_OF_A_PAGE = 500;
/** Kubernetes 1.19 and newer: KEP-1693, "warnings"; 1 for each deprecated API that was asked for since the start. */
const DEPRECATED = 'apiserver_requested_deprecated_apis';

const Pods = z.object({
  metadata: z.object({ continue: z.string().optional() }),
  items: z
    .array(
      z.object({
        metadata: z.object({
          namespace: z.string(),
          labels: z.record(z.string(), z.string()).optional(),
          ownerReferences: z.array(z.object({ kind: z.string() })).optional(),
        }),
      }),
    )
    .nullish(),
});
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

/** Reads both. @throws KubeError of a transient kind */
export async function readUpgradeRisks(connection: KubeConnection, signal?: AbortSignal): Promise<UpgradeRisks> {
  const [deprecatedApis, podsWithoutBudget] = await Promise.all([
    unlessRefused(() => deprecatedApisInUse(connection, signal)),
    unlessRefused(() => countPodsWithoutBudget(connection, signal)),
  ]);
  return { deprecatedApis: deprecatedApis ?? null, podsWithoutBudget: podsWithoutBudget ?? null };
}

/** What one API server was asked for since its start: the one that answers. */
async function deprecatedApisInUse(connection: KubeConnection, signal?: AbortSignal): Promise<DeprecatedApi[]> {
  const text = await connection.requestText({ method: 'GET', path: '/metrics', accept: 'text/plain', signal });
  const apis = labelledSamples(text, DEPRECATED).flatMap(({ labels, value }): DeprecatedApi[] => {
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
  let token: string | undefined;
  do {
    const query = new URLSearchParams({
      limit: String(PODS_OF_A_PAGE),
      fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed',
      ...(token ? { continue: token } : {}),
    });
    const page = Pods.parse(
      await connection.request({
        method: 'GET',
        path: `/api/v1/pods?${query.toString()}`,
        accept: AS_METADATA_LIST,
        signal,
      }),
    );
    for (const { metadata } of page.items ?? []) {
      const { namespace, labels = {}, ownerReferences = [] } = metadata;
      if (ownerReferences.some(({ kind }) => STAY.includes(kind))) continue;
      const covered = budgets.some(
        ({ metadata: of, spec }) => of.namespace === namespace && spec.selector && matchesLabels(spec.selector, labels),
      );
      if (!covered) counts[namespace] = (counts[namespace] ?? 0) + 1;
    }
    token = page.metadata.continue;
  } while (token);
  return counts;
}
