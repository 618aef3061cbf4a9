/** What a census asks once: the API server's version, whether Keyturn may patch every Secret, and which namespaces there are. */
import { z } from 'zod';
import type { KubeConnection } from './connection';
import { unlessRefused } from './servers';

const AS_METADATA_LIST = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';
const NAMESPACES_OF_A_PAGE = 500;

const Version = z.object({ minor: z.string() });
const AccessReview = z.object({ status: z.object({ allowed: z.boolean() }) });
const Namespaces = z.object({
  metadata: z.object({ continue: z.string().optional() }),
  items: z.array(z.object({ metadata: z.object({ name: z.string() }) })).nullish(),
});

/** @returns the minor version of the API server that answers. @throws KubeError */
export async function minorVersion(connection: KubeConnection, signal?: AbortSignal): Promise<number> {
  const { minor } = Version.parse(await connection.request({ method: 'GET', path: '/version', signal }));
  return Number.parseInt(minor, 10);
}

/** Whether authorization lets Keyturn patch the Secrets of all namespaces. @throws KubeError of a transient kind */
export async function mayPatchSecrets(connection: KubeConnection, signal?: AbortSignal): Promise<boolean> {
  const review = await unlessRefused(() =>
    connection.request({
      method: 'POST',
      path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      body: {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: { resourceAttributes: { verb: 'patch', group: '', resource: 'secrets' } },
      },
      signal,
    }),
  );
  return review !== undefined && AccessReview.parse(review).status.allowed;
}

/** The names of all namespaces; undefined when Keyturn may not list them. @throws KubeError of a transient kind */
export async function namespaceNames(
  connection: KubeConnection,
  signal?: AbortSignal,
): Promise<ReadonlySet<string> | undefined> {
  const names = new Set<string>();
  let token: string | undefined;
  do {
    const query = new URLSearchParams({ limit: String(NAMESPACES_OF_A_PAGE), ...(token ? { continue: token } : {}) });
    const path = `/api/v1/namespaces?${query.toString()}`;
    const answer = await unlessRefused(() =>
      connection.request({ method: 'GET', path, accept: AS_METADATA_LIST, signal }),
    );
    if (answer === undefined) return undefined;
    const { metadata, items } = Namespaces.parse(answer);
    for (const item of items ?? []) names.add(item.metadata.name);
    token = metadata.continue;
  } while (token);
  return names;
}
