/** The nodes of a cluster, counted by agent pool. */
import { z } from 'zod';
import type { NodeCounts } from '../../domain/rewrite-effects';
import type { KubeConnection } from './connection';
import { unlessRefused } from './servers';

const AS_METADATA_LIST = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';
const NODES_OF_A_PAGE = 500;
/** AKS puts both on each node. */
const POOL_LABELS = ['kubernetes.azure.com/agentpool', 'agentpool'];

const Nodes = z.object({
  metadata: z.object({ continue: z.string().optional() }),
  items: z.array(z.object({ metadata: z.object({ labels: z.record(z.string(), z.string()).nullish() }) })).nullish(),
});

/** @returns undefined when no node names its agent pool, or Keyturn may not list them. @throws KubeError of a transient kind */
export async function nodesByPool(connection: KubeConnection, signal?: AbortSignal): Promise<NodeCounts | undefined> {
  const counts = new Map<string, number>();
  let token: string | undefined;
  do {
    const query = new URLSearchParams({ limit: String(NODES_OF_A_PAGE), ...(token ? { continue: token } : {}) });
    const path = `/api/v1/nodes?${query.toString()}`;
    const answer = await unlessRefused(() =>
      connection.request({ method: 'GET', path, accept: AS_METADATA_LIST, signal }),
    );
    if (answer === undefined) return undefined;
    const { metadata, items } = Nodes.parse(answer);
    for (const { metadata: node } of items ?? []) {
      const pool = POOL_LABELS.map((label) => node.labels?.[label]).find((name) => name !== undefined);
      if (pool !== undefined) counts.set(pool, (counts.get(pool) ?? 0) + 1);
    }
    token = metadata.continue;
  } while (token);
  return counts.size === 0
    ? undefined
    : Object.fromEntries([...counts].sort(([one], [other]) => (one < other ? -1 : 1)));
}
