/** What a rewrite does to others, as warnings of a plan: to controllers that watch Secrets, to writes that take long, to agent pools. */
import { describeApplying, type AdmissionSight } from './admission';
import type { ObservedCluster } from './observed';
import type { Warning } from './plan/plan';
import type { PlanStep } from './plan/steps';
import { CEILING_TAG } from './rewrite-pace';

/** An answer to a write that takes longer than this is slow. */
const SLOW_WRITE_IN_MS = 1_000;

/** That every Secret gets another resource version, and how fast. */
export function versionWarnings(steps: readonly PlanStep[], perSecond: number | null): Warning[] {
  if (!steps.some(({ type }) => type === 'prove')) return [];
  const rewrites = steps.filter(({ type }) => type === 'rewrite').length;
  const which = rewrites === 0 ? 'every Secret that is stale once' : `every Secret ${times(rewrites)}`;
  const pace = perSecond === null ? 'as fast as the API servers take it' : `at most ${perSecond} of them a second`;
  return [
    {
      code: 'SecretsChangeVersion',
      detail: `The rewrite changes the resource version of ${which}, ${pace}, and no content. Controllers that react to every version of a Secret may load it again or restart pods. To go slower, set the tag ${CEILING_TAG} of the cluster, then ask again.`,
    },
  ];
}

function times(count: number): string {
  if (count === 1) return 'once';
  return count === 2 ? 'twice' : `${count} times`;
}

/** How long the API server took to answer writes. */
export interface MeasuredWrites {
  readonly medianInMs: number;
  /** Writes at the same time, at most. */
  readonly inFlight: number;
}

/** That writes take long, and how long the rewrite takes then. */
export function slowWriteWarnings(
  secrets: number,
  writes: MeasuredWrites | undefined,
  admission: AdmissionSight | undefined,
): Warning[] {
  if (writes === undefined || writes.medianInMs < SLOW_WRITE_IN_MS) return [];
  const { medianInMs, inFlight } = writes;
  const each = medianInMs / 1000;
  const seconds = Math.ceil(Math.ceil(secrets / inFlight) * each);
  const names = admission === undefined ? 'unknown' : describeApplying(admission);
  return [
    {
      code: 'WritesAreSlow',
      detail: `An update of a Secret takes about ${each.toFixed(1)} s here, so the rewrite of ${secrets} Secrets takes ${seconds} s or more, with ${inFlight} at a time. A webhook that does not answer and fails open keeps each write until its timeout. Webhooks and policies that match: ${names}. Repair the one that is down, or wait: the proof is the same.`,
    },
  ];
}

/** etcd's documents name 8 GiB as the most that its database should have; AKS sets its quota to that. */
const STORAGE_LIMIT_IN_BYTES = 8 * 1024 ** 3;
/** From this share of it on, a rewrite may fill what is left before etcd compacts. */
const STORAGE_IS_LARGE = 0.5;

/**
 * That etcd has little room: until it compacts, which AKS lets it do every five minutes, it keeps the old and the new record of each
 * Secret. No metadata tells how large Secrets are, and Keyturn reads no values (docs/decisions/022).
 */
export function storageWarnings(
  bytes: number | undefined,
  secrets: number | undefined,
  steps: readonly PlanStep[],
): Warning[] {
  if (bytes === undefined || bytes < STORAGE_IS_LARGE * STORAGE_LIMIT_IN_BYTES) return [];
  if (!steps.some(({ type }) => type === 'prove')) return [];
  const gib = (bytes / 1024 ** 3).toFixed(1);
  const each = secrets === undefined ? 'every Secret' : `${secrets} Secrets`;
  return [
    {
      code: 'StorageNearlyFull',
      detail: `The cluster's etcd has ${gib} GiB, and takes 8 GiB at most. The rewrite stores ${each} once more, and etcd keeps the old records until it compacts, every five minutes. If it fills, nothing is lost and the operation is blocked (ClusterStorageFull). To leave it time, set a lower rate with the tag ${CEILING_TAG}; better, delete first what fills etcd.`,
    },
  ];
}

/** Nodes by the name of their agent pool, as the API server has them; undefined when it shows none. */
export type NodeCounts = Readonly<Record<string, number>>;

/** That a PUT of the cluster may scale agent pools: AKS goes by its own count, not by the nodes that another client added. */
export function nodeWarnings(
  { agentPools }: Pick<ObservedCluster, 'agentPools'>,
  nodes: NodeCounts | undefined,
  steps: readonly PlanStep[],
): Warning[] {
  const puts = steps.some(({ type }) => ['set-kms', 'upgrade-control-plane', 'upgrade-pool'].includes(type));
  if (nodes === undefined || !puts) return [];
  const differing = agentPools.flatMap(({ name, count, autoscaled }) => {
    const there = nodes[name] ?? 0;
    return there === count || autoscaled === true ? [] : [`${name} has ${there} node(s) and a count of ${count}`];
  });
  if (differing.length === 0) return [];
  return [
    {
      code: 'NodesDifferFromPools',
      detail: `Nodes of the cluster are not as many as Azure's own count says: ${differing.join('; ')}. Every change of the cluster in Azure may scale these pools to that count. If another autoscaler than that of AKS runs, set the counts in Azure first, or stop it for the time of the operation.`,
    },
  ];
}
