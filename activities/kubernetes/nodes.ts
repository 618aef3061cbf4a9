/** The nodes of a cluster, counted by agent pool. */
import { z } from 'zod';
import type { NodeCounts } from '../../domain/rewrite-effects';
import type { KubeConnection } from './connection';
import { listMetadata } from './metadata-list';
import { unlessRefused } from './servers';

/** AKS puts both on each node. */
const POOL_LABELS = ['kubernetes.azure.com/agentpool', 'agentpool'];

const Node = z.object({ labels: z.record(z.string(), z.string()).nullish() });

/** @returns undefined when no node names its agent pool, or Keyturn may not list them. @throws KubeError of a transient kind */
export async function nodesByPool(connection: KubeConnection, signal?: AbortSignal): Promise<NodeCounts | undefined> {
  const counts = await unlessRefused(async () => {
    const byPool = new Map<string, number>();
    for await (const { labels } of listMetadata(connection, '/api/v1/nodes', Node, { signal })) {
      const pool = POOL_LABELS.map((label) => labels?.[label]).find((name) => name !== undefined);
      if (pool !== undefined) byPool.set(pool, (byPool.get(pool) ?? 0) + 1);
    }
    return byPool;
  });
  if (counts === undefined || counts.size === 0) return undefined;
  return Object.fromEntries([...counts].sort(([one], [other]) => (one < other ? -1 : 1)));
}
