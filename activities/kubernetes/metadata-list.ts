/** Lists of objects of any kind without what is in them, page by page. Secrets have a list of their own (secret-list.ts). */
import { z } from 'zod';
import type { KubeConnection } from './connection';

/** The form of a list that has metadata only. */
export const AS_METADATA_LIST = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';
const OBJECTS_OF_A_PAGE = 500;

const Page = z.object({
  metadata: z.object({ continue: z.string().optional() }),
  items: z.array(z.object({ metadata: z.unknown() })).nullish(),
});

/**
 * The metadata of every object of a collection.
 * @param path of the collection: `/api/v1/pods`
 * @throws KubeError
 */
export async function* listMetadata<Metadata>(
  connection: KubeConnection,
  path: string,
  metadataOf: z.ZodType<Metadata>,
  { fieldSelector, signal }: { readonly fieldSelector?: string; readonly signal?: AbortSignal } = {},
): AsyncGenerator<Metadata> {
  const query = new URLSearchParams({
    limit: String(OBJECTS_OF_A_PAGE),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  });
  for (;;) {
    const page = Page.parse(
      await connection.request({
        method: 'GET',
        path: `${path}?${query.toString()}`,
        accept: AS_METADATA_LIST,
        signal,
      }),
    );
    for (const { metadata } of page.items ?? []) yield metadataOf.parse(metadata);
    if (!page.metadata.continue) return;
    query.set('continue', page.metadata.continue);
  }
}
