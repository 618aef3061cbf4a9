/**
 * One Secret without its values (S1): metadata reads, and patches that change nothing.
 *
 * Every request asks for `PartialObjectMetadata`, so the API server itself leaves the values out.
 */
import { z } from 'zod';
import { canonicalJson, digestOf } from '../../domain/canonical';
import type { KubeConnection, KubeRequest } from './connection';
import { KubeError } from './errors';

const AS_METADATA = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io';
/**
 * Strategic, because for a JSON merge patch the API server writes the whole object as JSON and reads it again. For a small
 * Secret that adds half of the cost of everything else. Both kinds mean the same for a patch of metadata.
 */
const PATCH = 'application/strategic-merge-patch+json';
/** Keyturn's name in `metadata.managedFields`. */
export const FIELD_MANAGER = 'keyturn';

/** A Secret in one of its states, by its `metadata`. */
export const SecretMetadata = z.object({
  namespace: z.string(),
  name: z.string(),
  uid: z.string(),
  resourceVersion: z.string(),
  /** ISO 8601; present when the Secret is being deleted and waits for finalizers. */
  deletionTimestamp: z.string().optional(),
});
export type SecretMetadata = z.infer<typeof SecretMetadata>;

const DetailedInput = z.looseObject({
  ...SecretMetadata.shape,
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
});
const DetailedMetadata = DetailedInput.transform((metadata) => ({
  ...SecretMetadata.parse(metadata),
  labels: metadata.labels,
  annotations: metadata.annotations,
  content: contentOf(metadata),
}));
/**
 * With its labels and annotations, and a digest of all metadata except the resource version. An API server that only stores the
 * record under another key changes none of them. A changed value shows here only when its field gets another manager
 * (`managedFields`); the values of an immutable Secret never change.
 */
export type DetailedMetadata = z.infer<typeof DetailedMetadata>;

/** As a list shows it. */
export interface ListedSecret extends SecretMetadata {
  /** Names and values of all annotations, in bytes; only when the list was asked for it. */
  readonly annotationBytes?: number;
  /** As `DetailedMetadata` has it; only when the list was asked for it. */
  readonly content?: string;
}

/** A Secret of a list with the size of its annotations. */
export const MeasuredMetadata = DetailedInput.transform((metadata): ListedSecret => ({
  ...SecretMetadata.parse(metadata),
  annotationBytes: annotationBytes(metadata),
}));
/** A Secret of a list with everything that is known about its content without a value. */
export const ComparableMetadata = DetailedInput.transform((metadata): ListedSecret => ({
  ...SecretMetadata.parse(metadata),
  annotationBytes: annotationBytes(metadata),
  content: contentOf(metadata),
}));

const PartialObject = z.object({ metadata: SecretMetadata });
const DetailedObject = z.object({ metadata: DetailedMetadata });

/** Options of a request. */
export interface MetadataOptions {
  readonly signal?: AbortSignal;
  readonly fresh?: boolean;
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
 * Sends a Secret an empty patch, fenced: it applies only to the known object in the known state. The API server stores the
 * record again exactly when it is stale under its current write key: then the resource version changes. With annotations it
 * is stored again in any case.
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
 * A dry run of `patchFenced`, for any state of the object; stores nothing.
 * @param changes labels and annotations, as if the object had them
 * @returns the object as it would be stored
 * @throws KubeError; 409 when it is another object, 404 when it is gone
 */
export async function patchDryRun(
  connection: KubeConnection,
  { namespace, name, uid }: SecretMetadata,
  options: MetadataOptions = {},
  changes: Partial<Pick<DetailedMetadata, 'labels' | 'annotations'>> = {},
): Promise<DetailedMetadata> {
  const answer = await connection.request({
    ...patchOf({ namespace, name }, { uid, ...changes }, '&dryRun=All'),
    ...options,
  });
  return DetailedObject.parse(answer).metadata;
}

/** Patches the object in any state, with nothing or with annotations. @throws KubeError */
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

/** A Secret to create. */
export interface NewSecret {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly immutable?: boolean;
  readonly stringData: Readonly<Record<string, string>>;
}

/** Creates an Opaque Secret. @throws KubeError; 409 when the name exists */
export async function createSecret(
  connection: KubeConnection,
  secret: NewSecret,
  options: MetadataOptions = {},
): Promise<DetailedMetadata> {
  return DetailedObject.parse(await connection.request({ ...creationOf(secret), ...options })).metadata;
}

/** Whether `createSecret` would be refused; stores nothing. @throws KubeError when it would */
export async function createDryRun(
  connection: KubeConnection,
  secret: NewSecret,
  options: MetadataOptions = {},
): Promise<void> {
  await connection.request({ ...creationOf(secret, '&dryRun=All'), ...options });
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
 * The request of `patchFenced`; the benchmark lets a load generator send exactly the same.
 * @param annotations a change, for clusters where a patch that changes nothing has no effect
 */
export function fencedPatch(
  { namespace, name, uid, resourceVersion }: SecretMetadata,
  annotations?: Readonly<Record<string, string>>,
): KubeRequest {
  return patchOf({ namespace, name }, { uid, resourceVersion, ...(annotations ? { annotations } : {}) });
}

function creationOf(secret: NewSecret, query = ''): KubeRequest {
  const namespace = encodeURIComponent(secret.metadata.namespace);
  return {
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/secrets?fieldManager=${FIELD_MANAGER}${query}`,
    accept: AS_METADATA,
    body: { apiVersion: 'v1', kind: 'Secret', type: 'Opaque', ...secret },
  };
}

function patchOf(
  { namespace, name }: { readonly namespace: string; readonly name: string },
  metadata: Readonly<Record<string, unknown>>,
  query = '',
): KubeRequest {
  return {
    method: 'PATCH',
    // The API server need not check the stored object for unknown fields: only Keyturn would get the warnings.
    path: `${pathOf(namespace, name)}?fieldManager=${FIELD_MANAGER}&fieldValidation=Ignore${query}`,
    accept: AS_METADATA,
    contentType: PATCH,
    body: { metadata },
  };
}

function pathOf(namespace: string, name: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets/${encodeURIComponent(name)}`;
}

function contentOf({ resourceVersion: _, managedFields, ...rest }: Readonly<Record<string, unknown>>): string {
  // Their order has no meaning.
  const managers = Array.isArray(managedFields) ? managedFields.map((one) => canonicalJson(one)).sort() : [];
  return digestOf({ ...rest, managers });
}

function annotationBytes({ annotations }: { readonly annotations: Readonly<Record<string, string>> }): number {
  return Object.entries(annotations).reduce((sum, pair) => sum + Buffer.byteLength(pair.join('')), 0);
}
