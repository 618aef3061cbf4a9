/**
 * Secrets without their values (S1): metadata lists, metadata reads, and patches that change nothing.
 *
 * Every request asks for `PartialObjectMetadata`, so the API server itself leaves the values out.
 */
import { z } from 'zod';
import type { KubeConnection, KubeRequest } from './connection';
import { KubeError } from './errors';

const AS_METADATA = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io';
const AS_METADATA_LIST = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';
/**
 * Strategic, because for a JSON merge patch the API server writes the whole object as JSON and reads it again, which costs it
 * half as much again as everything else about a small Secret. Both mean the same for a patch of metadata.
 */
const PATCH = 'application/strategic-merge-patch+json';
/** Who Keyturn is in `metadata.managedFields`. */
export const FIELD_MANAGER = 'keyturn';
const PAGE_SIZE = 500;

const SecretMetadata = z.object({
  namespace: z.string(),
  name: z.string(),
  uid: z.string(),
  resourceVersion: z.string(),
  /** ISO 8601; there when the Secret waits for finalizers to be deleted. */
  deletionTimestamp: z.string().optional(),
});
/** Which Secret, and which state of it. */
export type SecretMetadata = z.infer<typeof SecretMetadata>;

const DetailedMetadata = SecretMetadata.extend({
  labels: z.record(z.string(), z.string()).default({}),
  managedFields: z.array(z.object({ manager: z.string().default('') })).default([]),
});
/** With who wrote it. */
export type DetailedMetadata = z.infer<typeof DetailedMetadata>;

const PartialObject = z.object({ metadata: SecretMetadata });
const DetailedObject = z.object({ metadata: DetailedMetadata });
const PartialList = z.object({
  metadata: z.object({
    resourceVersion: z.string(),
    continue: z.string().optional(),
    remainingItemCount: z.int().optional(),
  }),
  // A page whose objects the selector all leaves out has null here, not an empty list (kube-apiserver 1.34).
  items: z
    .array(PartialObject)
    .nullish()
    .transform((items) => items ?? []),
});

type PartialList = z.infer<typeof PartialList>;

/** One page of a list. */
export interface SecretPage {
  /** Resource version of the whole list: the same on every page. */
  readonly resourceVersion: string;
  readonly items: readonly SecretMetadata[];
}

/** Options of a request. */
export interface MetadataOptions {
  readonly signal?: AbortSignal;
  readonly fresh?: boolean;
}

/**
 * Lists Secrets of all namespaces, page by page.
 *
 * The next page is asked for while the caller is busy with one, so that nobody waits at its end. When a list has become too
 * old to go on (410), the API server offers a token for going on with a newer one; objects that came meanwhile may be
 * missed, and the caller must be fine with that.
 * @throws KubeError
 */
export async function* listSecretPages(
  connection: KubeConnection,
  { labelSelector, signal }: { readonly labelSelector?: string; readonly signal?: AbortSignal },
): AsyncGenerator<SecretPage> {
  const read = (token?: string): Promise<PartialList> => readPage(connection, { labelSelector, token, signal });
  let coming: Promise<PartialList> | undefined = read();
  while (coming) {
    const { metadata, items }: PartialList = await coming;
    coming = metadata.continue ? read(metadata.continue) : undefined;
    // Whoever stops in the middle does not wait for it: its failure is nobody's then.
    coming?.catch(() => undefined);
    yield { resourceVersion: metadata.resourceVersion, items: items.map((item) => item.metadata) };
  }
}

async function readPage(
  connection: KubeConnection,
  options: { readonly labelSelector?: string; readonly token?: string; readonly signal?: AbortSignal },
): Promise<PartialList> {
  try {
    return await listPage(connection, { ...options, limit: PAGE_SIZE });
  } catch (error) {
    if (!(error instanceof KubeError) || error.status !== 410 || !error.continueToken) throw error;
    return await readPage(connection, { ...options, token: error.continueToken });
  }
}

/** How many Secrets there are, and the resource version of the moment. @throws KubeError */
export async function countSecrets(
  connection: KubeConnection,
  { signal }: MetadataOptions = {},
): Promise<{ readonly resourceVersion: string; readonly count: number }> {
  const page = await listPage(connection, { limit: 1, signal });
  const { resourceVersion, remainingItemCount = 0 } = page.metadata;
  return { resourceVersion, count: page.items.length + remainingItemCount };
}

/** @throws KubeError; 404 when it is gone */
export async function readSecret(
  connection: KubeConnection,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  options: MetadataOptions = {},
): Promise<DetailedMetadata> {
  const answer = await connection.request({
    method: 'GET',
    path: pathOf(namespace, name),
    accept: AS_METADATA,
    ...options,
  });
  return DetailedObject.parse(answer).metadata;
}

/**
 * Patches a Secret with nothing, only if it still is the object and the state that is known. The API server stores the
 * record anew exactly when it is stale under its current write key: then the resource version changes. With annotations
 * it is stored anew in any case.
 * @throws KubeError; 409 when it is another object or state, 404 when it is gone
 */
export async function patchFenced(
  connection: KubeConnection,
  secret: SecretMetadata,
  options: MetadataOptions & { readonly annotations?: Readonly<Record<string, string>> } = {},
): Promise<SecretMetadata> {
  const { annotations, ...rest } = options;
  const answer = await connection.request({ ...fencedPatch(secret, annotations), ...rest });
  return PartialObject.parse(answer).metadata;
}

/**
 * What `patchFenced` would meet, whatever state the object is in; stores nothing.
 * @throws KubeError; 409 when it is another object, 404 when it is gone
 */
export async function patchDryRun(
  connection: KubeConnection,
  { namespace, name, uid }: SecretMetadata,
  options: MetadataOptions = {},
): Promise<void> {
  await connection.request({ ...patchOf({ namespace, name }, { uid }, '&dryRun=All'), ...options });
}

/** Patches whatever state the object is in, with nothing or with annotations. @throws KubeError */
export async function patchByUid(
  connection: KubeConnection,
  { namespace, name, uid }: Pick<SecretMetadata, 'namespace' | 'name' | 'uid'>,
  options: MetadataOptions & { readonly annotations?: Readonly<Record<string, string>> } = {},
): Promise<DetailedMetadata> {
  const { annotations, ...rest } = options;
  const metadata = annotations ? { uid, annotations } : { uid };
  const answer = await connection.request({ ...patchOf({ namespace, name }, metadata), ...rest });
  return DetailedObject.parse(answer).metadata;
}

/** Makes an Opaque Secret. @throws KubeError; 409 when there is one of that name */
export async function createSecret(
  connection: KubeConnection,
  secret: {
    readonly metadata: {
      readonly namespace: string;
      readonly name: string;
      readonly labels: Readonly<Record<string, string>>;
    };
    readonly stringData: Readonly<Record<string, string>>;
  },
  options: MetadataOptions = {},
): Promise<DetailedMetadata> {
  const answer = await connection.request({
    method: 'POST',
    path: `/api/v1/namespaces/${encodeURIComponent(secret.metadata.namespace)}/secrets?fieldManager=${FIELD_MANAGER}`,
    accept: AS_METADATA,
    body: { apiVersion: 'v1', kind: 'Secret', type: 'Opaque', ...secret },
    ...options,
  });
  return DetailedObject.parse(answer).metadata;
}

/** Deletes a Secret; one that is gone is fine. @throws KubeError */
export async function deleteSecret(
  connection: KubeConnection,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  { signal }: MetadataOptions = {},
): Promise<void> {
  try {
    // The answer to a delete may be the object itself: ask for its metadata only.
    await connection.request({ method: 'DELETE', path: pathOf(namespace, name), accept: AS_METADATA, signal });
  } catch (error) {
    if (!(error instanceof KubeError) || error.status !== 404) throw error;
  }
}

/**
 * The request of `patchFenced`; the benchmark lets a load generator send the very same.
 * @param annotations a change, for where a patch that changes nothing does nothing
 */
export function fencedPatch(
  { namespace, name, uid, resourceVersion }: SecretMetadata,
  annotations?: Readonly<Record<string, string>>,
): KubeRequest {
  return patchOf({ namespace, name }, { uid, resourceVersion, ...(annotations ? { annotations } : {}) });
}

function patchOf(
  { namespace, name }: { readonly namespace: string; readonly name: string },
  metadata: Readonly<Record<string, unknown>>,
  query = '',
): KubeRequest {
  return {
    method: 'PATCH',
    // The fields of the stored object need no second look for unknown ones: nobody but Keyturn would read the warnings.
    path: `${pathOf(namespace, name)}?fieldManager=${FIELD_MANAGER}&fieldValidation=Ignore${query}`,
    accept: AS_METADATA,
    contentType: PATCH,
    body: { metadata },
  };
}

async function listPage(
  connection: KubeConnection,
  options: {
    readonly limit: number;
    readonly labelSelector?: string;
    readonly token?: string;
    readonly signal?: AbortSignal;
  },
): Promise<PartialList> {
  const query = new URLSearchParams({ limit: String(options.limit) });
  if (options.labelSelector !== undefined) query.set('labelSelector', options.labelSelector);
  if (options.token !== undefined) query.set('continue', options.token);
  const path = `/api/v1/secrets?${query.toString()}`;
  return PartialList.parse(
    await connection.request({ method: 'GET', path, accept: AS_METADATA_LIST, signal: options.signal }),
  );
}

function pathOf(namespace: string, name: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets/${encodeURIComponent(name)}`;
}
