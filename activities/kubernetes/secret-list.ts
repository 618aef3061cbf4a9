/**
 * All Secrets of a cluster without their values (S1), page by page.
 *
 * Metadata may be large: `kubectl apply` keeps a copy of the whole object in an annotation, 256 KiB at most for each. So a
 * page has as many objects as should fit, by the size of the page before it.
 */
import { z } from 'zod';
import type { KubeConnection } from './connection';
import { KubeError, parseAnswer } from './errors';
import { AS_METADATA_LIST } from './metadata-list';
import { ComparableMetadata, MeasuredMetadata, SecretMetadata, type ListedSecret } from './metadata';

/** Objects of a first page: their size is not known yet. */
export const FIRST_PAGE_SIZE = 100;
/** Objects of a page at most, as client-go does it: the API server reads them all, values included, to answer. */
export const LARGEST_PAGE_SIZE = 500;
/** Approximate size of a page's text: two pages at a time are in memory, as text and as objects. */
const PAGE_LENGTH = 4 * 1024 * 1024;

/** What a list tells about each Secret. More detail means more text to read and hash. */
export type ListDetail = 'state' | 'size' | 'content';
const METADATA: Readonly<Record<ListDetail, z.ZodType<ListedSecret>>> = {
  state: SecretMetadata,
  size: MeasuredMetadata,
  content: ComparableMetadata,
};

const PartialList = z.object({
  metadata: z.object({
    resourceVersion: z.string(),
    continue: z.string().optional(),
    remainingItemCount: z.int().optional(),
  }),
  // When the selector leaves out every object of a page, this is null and not an empty list (kube-apiserver 1.34).
  items: z
    .array(z.object({ metadata: z.unknown() }))
    .nullish()
    .transform((items) => items ?? []),
});

/** One answer. */
interface Page {
  readonly list: z.infer<typeof PartialList>;
  /** Of its text. */
  readonly length: number;
}

/** One page of a list. */
export interface SecretPage {
  /** Resource version of the whole list: the same on every page. */
  readonly resourceVersion: string;
  readonly items: readonly ListedSecret[];
}

/** What to list. */
interface PageOptions {
  readonly limit: number;
  /** Where the page before ended. */
  readonly token?: string;
  readonly signal?: AbortSignal;
}

/**
 * Lists Secrets of all namespaces, page by page.
 *
 * It requests the next page while the caller works on one, so that the caller does not wait at its end. When a list has become
 * too old to go on (410), the API server offers a token to go on with a newer one. The list may miss objects that were created
 * meanwhile, and the caller must allow for that.
 * @throws KubeError
 */
export async function* listSecretPages(
  connection: KubeConnection,
  { detail = 'state', ...options }: { readonly signal?: AbortSignal; readonly detail?: ListDetail },
): AsyncGenerator<SecretPage> {
  let coming: Promise<Page> | undefined = readPage(connection, { ...options, limit: FIRST_PAGE_SIZE });
  while (coming) {
    const page: Page = await coming;
    const { resourceVersion, continue: token } = page.list.metadata;
    const items = page.list.items.map(({ metadata }) => METADATA[detail].parse(metadata));
    const limit = nextPageSize(items.length, page.length);
    coming = token ? readPage(connection, { ...options, limit, token }) : undefined;
    // A caller that stops in the middle does not wait for the next page, so its failure is ignored.
    coming?.catch(() => undefined);
    yield { resourceVersion, items };
  }
}

/**
 * How many objects to ask for after a page of this many.
 * @param length of the page's text
 */
export function nextPageSize(items: number, length: number): number {
  if (items === 0) return FIRST_PAGE_SIZE;
  const fitting = Math.floor((items * PAGE_LENGTH) / length);
  return Math.max(1, Math.min(fitting, LARGEST_PAGE_SIZE));
}

/** How many Secrets there are, and the resource version of the moment. @throws KubeError */
export async function countSecrets(
  connection: KubeConnection,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<{ readonly resourceVersion: string; readonly count: number }> {
  const { list } = await askForPage(connection, { limit: 1, signal });
  const { resourceVersion, remainingItemCount = 0 } = list.metadata;
  return { resourceVersion, count: list.items.length + remainingItemCount };
}

async function readPage(connection: KubeConnection, options: PageOptions): Promise<Page> {
  try {
    return await askForPage(connection, options);
  } catch (error) {
    if (!(error instanceof KubeError) || error.status !== 410 || !error.continueToken) throw error;
    return await readPage(connection, { ...options, token: error.continueToken });
  }
}

async function askForPage(connection: KubeConnection, { limit, token, signal }: PageOptions): Promise<Page> {
  const query = new URLSearchParams({ limit: String(limit) });
  if (token !== undefined) query.set('continue', token);
  const path = `/api/v1/secrets?${query.toString()}`;
  const text = await connection.requestText({ method: 'GET', path, accept: AS_METADATA_LIST, signal });
  return { list: PartialList.parse(parseAnswer(text)), length: text.length };
}
