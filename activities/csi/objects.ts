/** The Kubernetes objects that connections consist of: their paths, and what Keyturn reads of them. */
import { z } from 'zod';
import type { KubeConnection } from '../kubernetes/connection';
import { KubeError } from '../kubernetes/errors';
import { isOurs } from './label';

/** The name of the driver in volumes, and of its CSIDriver. */
export const DRIVER = 'secrets-store.csi.k8s.io';
/** Which identity a service account is, for workload identity. */
export const CLIENT_ID = 'azure.workload.identity/client-id';
/** The tenant of that identity. */
export const TENANT_ID = 'azure.workload.identity/tenant-id';
/** All SecretProviderClasses. */
export const ALL_CLASSES = '/apis/secrets-store.csi.x-k8s.io/v1/secretproviderclasses';
/** Keyturn's name in `metadata.managedFields`. */
export const AS_KEYTURN = '?fieldManager=keyturn';
const PAGE = 250;

const texts = z.record(z.string(), z.string()).nullish();

/** What every object has. */
export const Metadata = z.object({
  namespace: z.string(),
  name: z.string(),
  uid: z.string(),
  resourceVersion: z.string(),
  creationTimestamp: z.string().default(''),
  labels: texts,
  annotations: texts,
  deletionTimestamp: z.string().optional(),
});

/** A SecretProviderClass or a service account. */
export const Part = z.object({ metadata: Metadata, spec: z.unknown().optional() });
/** A SecretProviderClass or a service account. */
export type Part = z.infer<typeof Part>;

const Volume = z.object({
  csi: z.object({ driver: z.string(), volumeAttributes: texts }).nullish(),
});
const Pod = z.object({
  metadata: z.object({ namespace: z.string(), name: z.string(), labels: texts }),
  spec: z.object({ serviceAccountName: z.string().default('default'), volumes: z.array(Volume).nullish() }),
});
const Page = z.object({
  metadata: z.object({ continue: z.string().optional() }),
  items: z.array(z.unknown()).nullish(),
});

/** A pod that is not over, as far as connections go. */
export interface UsingPod {
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  /** Names of the SecretProviderClasses of its namespace that it mounts. */
  readonly classes: readonly string[];
}

/** The path of the SecretProviderClasses of a namespace, or of one. */
export function classPath(namespace: string, name?: string): string {
  const group = `/apis/secrets-store.csi.x-k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/secretproviderclasses`;
  return name === undefined ? group : `${group}/${encodeURIComponent(name)}`;
}

/** The path of the service accounts of a namespace, or of one. */
export function accountPath(namespace: string, name?: string): string {
  const group = `/api/v1/namespaces/${encodeURIComponent(namespace)}/serviceaccounts`;
  return name === undefined ? group : `${group}/${encodeURIComponent(name)}`;
}

/** An object, or undefined when there is none (and when the cluster does not know its kind). @throws KubeError */
export async function findPart(
  connection: KubeConnection,
  path: string,
  signal: AbortSignal,
): Promise<Part | undefined> {
  const answer = await unlessMissing(() => connection.request({ method: 'GET', path, signal }));
  return answer === undefined ? undefined : Part.parse(answer);
}

/** @returns undefined for a 404 */
export async function unlessMissing<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof KubeError && error.status === 404) return undefined;
    throw error;
  }
}

/** The objects of a collection, page by page. @param path with its query, if any @throws KubeError */
export async function* listObjects(
  connection: KubeConnection,
  path: string,
  signal: AbortSignal,
  query: Readonly<Record<string, string>> = {},
): AsyncGenerator<unknown> {
  const asked = new URLSearchParams({ limit: String(PAGE), ...query });
  for (;;) {
    const page = Page.parse(await connection.request({ method: 'GET', path: `${path}?${asked.toString()}`, signal }));
    yield* page.items ?? [];
    if (!page.metadata.continue) return;
    asked.set('continue', page.metadata.continue);
  }
}

/**
 * The pods of all namespaces, or of one, that are not over. Those that Keyturn made to try a mount do not count.
 * @throws KubeError
 */
export async function* listPods(
  connection: KubeConnection,
  signal: AbortSignal,
  namespace?: string,
): AsyncGenerator<UsingPod> {
  const path = namespace === undefined ? '/api/v1/pods' : `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`;
  const query = { fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed' };
  for await (const object of listObjects(connection, path, signal, query)) {
    const { metadata, spec } = Pod.parse(object);
    if (isOurs(metadata)) continue;
    const classes = (spec.volumes ?? []).flatMap(({ csi }) =>
      csi?.driver === DRIVER ? (csi.volumeAttributes?.['secretProviderClass'] ?? []) : [],
    );
    yield { namespace: metadata.namespace, name: metadata.name, serviceAccount: spec.serviceAccountName, classes };
  }
}
