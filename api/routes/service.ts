/** Requests about the API itself: whether it lives, whether it can work, and what it offers. */
import { z } from 'zod';
import type { Request } from 'express';
import type { ApiDeps } from '../deps';
import { DOCS_FILES, DOCS_POLICY, docsFile, docsPage, isKnown, type StaticFile } from '../docs-files';
import type { Missing } from '../operations-gateway';
import { ApiError } from '../problem';
import { publicRoute, type DocumentedAnswer, type Route, type RouteFacts } from '../route';

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

/** `/openapi.json`, `/docs` and the files of the page. The document is made of the table that these routes are in, hence the function. */
export function documentRoutes(document: () => StaticFile): Route[] {
  return [
    fileRoute(
      {
        path: '/openapi.json',
        operationId: 'getApiDocument',
        summary: 'This document',
        description: 'OpenAPI 3.1.',
        mediaType: 'application/json',
        schema: z.looseObject({ openapi: z.string() }),
      },
      document,
    ),
    fileRoute(
      {
        path: '/docs',
        operationId: 'getDocs',
        summary: 'This document, for people',
        description: 'A page that loads nothing from other servers.',
        mediaType: 'text/html; charset=utf-8',
      },
      ({ path }) => docsPage(path),
    ),
    ...DOCS_FILES.map((name) =>
      fileRoute(
        {
          path: `/docs/${name}`,
          operationId: `getDocs${name.replaceAll(/[^a-z]+([a-z])|^([a-z])/g, (_, a = '', b = '') => `${a}${b}`.toUpperCase())}`,
          summary: 'A file of the page for people',
          description: 'Swagger UI, or what starts it.',
          mediaType: docsFile(name).mediaType,
        },
        () => docsFile(name),
      ),
    ),
  ];
}

/** A route to a file that a client may keep, as long as it asks whether the file is still the same. */
function fileRoute(
  facts: Pick<RouteFacts, 'path' | 'operationId' | 'summary'> & Omit<DocumentedAnswer, 'status' | 'headers' | 'empty'>,
  file: (request: Request) => StaticFile,
): Route {
  const { path, operationId, summary, ...answer } = facts;
  const headers = { ETag: 'The digest of the bytes: send it as `If-None-Match`.' };
  return publicRoute({
    method: 'get',
    path,
    operationId,
    summary,
    limitedByAddress: true,
    answers: [
      { status: 200, ...answer, headers },
      { status: 304, description: 'The client has it already (`If-None-Match`).', empty: true, headers },
    ],
    codes: [],
    handle: async ({ request }) => {
      const { bytes, eTag } = file(request);
      const known = isKnown(request.get('if-none-match'), eTag);
      const sent = { ETag: eTag, 'Cache-Control': 'no-cache', 'Content-Security-Policy': DOCS_POLICY };
      return { status: known ? 304 : 200, headers: sent, body: known ? Buffer.alloc(0) : bytes };
    },
  });
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
