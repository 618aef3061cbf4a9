/** Requests about the API itself: whether it lives, whether it can work, and what it offers. */
import { z } from 'zod';
import type { ApiDeps } from '../deps';
import type { Missing } from '../operations-gateway';
import { ApiError } from '../problem';
import { publicRoute, type Route } from '../route';

/** Several probes may come at once; those within this time share one result. */
const READINESS_LASTS_IN_MS = 1_000;

/** `/healthz` and `/readyz`. */
export function probeRoutes({ gateway }: Pick<ApiDeps, 'gateway'>): Route[] {
  const missing = shared(() => gateway.missing(), READINESS_LASTS_IN_MS);
  return [
    publicRoute({
      method: 'get',
      path: '/healthz',
      operationId: 'getHealth',
      summary: 'Whether the process lives',
      answers: [{ status: 200, description: 'It does.', schema: z.object({ status: z.literal('ok') }) }],
      codes: [],
      handle: () => Promise.resolve({ status: 200, body: { status: 'ok' } }),
    }),
    publicRoute({
      method: 'get',
      path: '/readyz',
      operationId: 'getReadiness',
      summary: 'Whether operations can be run: Temporal answers, and a worker polls',
      answers: [{ status: 200, description: 'They can.', schema: z.object({ status: z.literal('ready') }) }],
      codes: ['TemporalUnavailable', 'WorkerUnavailable'],
      handle: async () => {
        const [first, ...others] = await missing();
        if (first) throw new ApiError([first, ...others]);
        return { status: 200, body: { status: 'ready' } };
      },
    }),
  ];
}

/** `/openapi.json` and `/docs`. The document is made of the table that these routes are in, hence the functions. */
export function documentRoutes(document: () => object, page: () => string): Route[] {
  return [
    publicRoute({
      method: 'get',
      path: '/openapi.json',
      operationId: 'getApiDocument',
      summary: 'This document',
      answers: [{ status: 200, description: 'OpenAPI 3.1.', schema: z.looseObject({ openapi: z.string() }) }],
      codes: [],
      handle: () => Promise.resolve({ status: 200, body: document() }),
    }),
    publicRoute({
      method: 'get',
      path: '/docs',
      operationId: 'getDocs',
      summary: 'This document, for people',
      answers: [
        {
          status: 200,
          description: 'A page that loads nothing from other servers.',
          mediaType: 'text/html; charset=utf-8',
        },
      ],
      codes: [],
      handle: () => Promise.resolve({ status: 200, body: Buffer.from(page()) }),
    }),
  ];
}

/** Lets calls that come within a time share one answer. */
function shared(find: () => Promise<readonly Missing[]>, lastsInMs: number): () => Promise<readonly Missing[]> {
  let latest: { readonly until: number; readonly found: Promise<readonly Missing[]> } | undefined;
  return () => {
    if (latest === undefined || performance.now() >= latest.until) {
      const found = find();
      latest = { until: Number.POSITIVE_INFINITY, found };
      const settled = (): void => void (latest = { until: performance.now() + lastsInMs, found });
      found.then(settled, settled);
    }
    return latest.found;
  };
}
