/**
 * API Server VNet Integration, as requests ask for it and as the cluster itself shows it. Pure.
 *
 * ARM reports the integration from the request for it on; it takes effect with the next stop and start (AKS documents, "API Server VNet
 * Integration"). Whether it did, only the cluster tells: with it, kube-system has no konnectivity-agent (AKS documents on KMS etcd
 * encryption, "Enable KMS for a private key vault").
 */
import { z } from 'zod';
import type { ObservedCluster } from './observed';

/** What a cluster shows of it, and of what would keep it from a stop and a start. */
export const VnetSight = z.object({
  /** Whether konnectivity-agent is there: API servers reach nodes through its tunnel. Null when Keyturn may not look. */
  tunnel: z.boolean().nullable(),
  /** Webhooks that would keep the cluster from stopping or starting: name and reason, sorted. */
  hindrances: z.array(z.string()),
  /** Resources that could not be read, sorted: what they hold could hinder. */
  unread: z.array(z.string()),
});
/** What a cluster shows of it. */
export type VnetSight = z.infer<typeof VnetSight>;

/** What a request says of it. */
export interface WithVnetIntegration {
  readonly vaultAccess?: 'Public' | 'Private';
  readonly enableVnetIntegration?: boolean;
  readonly apiServerSubnetId?: string;
}

/** Whether the API servers work with it, as far as ARM and the cluster tell. */
export function isInEffect({ vnetIntegration }: ObservedCluster, sight: VnetSight): boolean {
  return vnetIntegration === true && sight.tunnel !== true;
}

const MOST_NAMED = 5;

/** For sentences: what would keep the cluster from stopping and starting; undefined when nothing would. */
export function describeHindrances({
  hindrances,
  unread,
}: Pick<VnetSight, 'hindrances' | 'unread'>): string | undefined {
  const more = hindrances.length - MOST_NAMED;
  const known = hindrances.slice(0, MOST_NAMED).join('; ') + (more > 0 ? `; and ${more} more` : '');
  const rest = unread.length === 0 ? '' : `Keyturn may not read ${unread.join(' and ')}, which could hold one`;
  return [known, rest].filter(Boolean).join('. ') || undefined;
}

/** What to do about webhooks that hinder. */
export const FREE_THE_STOP =
  'Narrow the rules of these webhooks, give them `scope: Namespaced` with a namespaceSelector that leaves out kube-system and their own namespace, or set `failurePolicy: Ignore`; or remove them until the cluster runs again.';
