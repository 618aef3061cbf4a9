/** What a census asks once: the API server's version, whether Keyturn may patch every Secret, and which namespaces there are. */
import { z } from 'zod';
import type { KubeConnection } from './connection';
import { listMetadata } from './metadata-list';
import { unlessRefused } from './servers';

const Version = z.object({ minor: z.string() });
const AccessReview = z.object({ status: z.object({ allowed: z.boolean() }) });
const Named = z.object({ name: z.string() });

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
  return await unlessRefused(async () => {
    const names = new Set<string>();
    for await (const { name } of listMetadata(connection, '/api/v1/namespaces', Named, { signal })) names.add(name);
    return names;
  });
}
