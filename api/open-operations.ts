/**
 * How many operations may be open at the same time, for one caller and on one cluster.
 *
 * The counts are those of Temporal's lists, which lag behind by a moment, so what this process started since is added. Several API
 * processes may together let a few more pass: a limit against loops and mistakes needs no more.
 */
import type { Operation } from '../domain/operation';
import type { OperationsGateway } from './operations-gateway';
import { ApiError } from './problem';

/** Operations that have not ended, at most. */
export interface OpenLimits {
  readonly perCaller: number;
  readonly perCluster: number;
}

/** Unless the settings say otherwise. */
export const DEFAULT_OPEN_LIMITS: OpenLimits = { perCaller: 500, perCluster: 50 };

/** A count is taken anew after this time. */
const COUNT_LASTS_IN_MS = 2_000;
/** An operation ends by a decision of people, or after minutes. */
const RETRY_AFTER_IN_SECONDS = 60;

/** Admits new operations. */
export interface OpenOperations {
  /** Takes a place for an operation; the same one again takes none. @throws ApiError `TooManyOperations`, `TemporalUnavailable` */
  admit(operation: Operation): Promise<void>;
}

/** What was counted, and what was admitted since. */
interface Counted {
  readonly at: number;
  readonly count: Promise<number>;
  readonly since: Set<string>;
}

/** Makes what admits operations in this process. */
export function createOpenOperations(
  gateway: Pick<OperationsGateway, 'countOpen'>,
  limits: OpenLimits,
): OpenOperations {
  const counts = new Map<string, Counted>();

  const counted = (key: string, count: () => Promise<number>): Counted => {
    const known = counts.get(key);
    const now = performance.now();
    if (known !== undefined && now - known.at < COUNT_LASTS_IN_MS) return known;
    for (const [name, { at }] of counts) if (now - at >= COUNT_LASTS_IN_MS) counts.delete(name);
    const fresh = { at: now, count: count(), since: new Set<string>() };
    // One that failed is asked for again by the next request.
    fresh.count.catch(() => counts.delete(key));
    counts.set(key, fresh);
    return fresh;
  };

  return {
    async admit({ id, request: { cluster }, requestedBy }) {
      const { tenantId, objectId } = requestedBy;
      const ofCaller = counted(`caller ${tenantId}/${objectId}`.toLowerCase(), () =>
        gateway.countOpen({ requester: objectId }),
      );
      const ofCluster = counted(`cluster ${cluster}`.toLowerCase(), () => gateway.countOpen({ cluster }));
      const [callerHas, clusterHas] = await Promise.all([ofCaller.count, ofCluster.count]);
      refuse(ofCaller, callerHas, id, limits.perCaller, `${requestedBy.name} has`);
      refuse(ofCluster, clusterHas, id, limits.perCluster, 'The cluster has', '/cluster');
      ofCaller.since.add(id);
      ofCluster.since.add(id);
    },
  };
}

function refuse({ since }: Counted, count: number, id: string, limit: number, who: string, pointer?: string): void {
  if (since.has(id) || count + since.size < limit) return;
  throw new ApiError(
    {
      code: 'TooManyOperations',
      detail: `${who} ${limit} operations that have not ended, which is the limit. Nothing was started. Approve, deny or cancel some of them, then send the request again with the same Idempotency-Key.`,
      ...(pointer === undefined ? {} : { pointer }),
    },
    { retryAfterInSeconds: RETRY_AFTER_IN_SECONDS },
  );
}
