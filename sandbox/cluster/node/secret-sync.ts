/**
 * `secretObjects`: Kubernetes Secrets that have the content of mounted files.
 *
 * Needs: the API server, a volume that is mounted.
 * Does: what the driver's controllers do (controllers/secretproviderclasspodstatus_controller.go, v1.6.0): creates or
 *       replaces each Secret, and has it owned by what owns the pod, or by the pod's SecretProviderClassPodStatus.
 * Never does: read a vault.
 */
import { createPrivateKey } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { readPfx } from '../../pfx';
import { messageOf } from '../../message-of';
import { pemBlock } from './content';
import { GROUP } from './crds';
import { podStatusesPath, podStatusName } from './driver';
import type { EventRecorder } from './events';
import { ApiError, type KubeClient } from './kube-client';
import type { Pod, SecretProviderClass } from './pod';

const MANAGED_LABEL = 'secrets-store.csi.k8s.io/managed';

/** What the sync works with. */
export interface SyncOptions {
  readonly client: KubeClient;
  readonly events: EventRecorder;
}

/** Writes the Secrets of a class. A Secret that cannot be made is an event on the pod, and no error. */
export async function syncSecrets(
  { client, events }: SyncOptions,
  pod: Pod,
  { metadata: { name: className }, spec }: SecretProviderClass,
  targetPath: string,
): Promise<void> {
  if (spec.secretObjects.length === 0) return;
  const { namespace } = pod.metadata;
  const fail = (message: string): Promise<void> =>
    events.record(pod, {
      type: 'Warning',
      reason: 'FailedToCreateSecret',
      message,
      component: 'csi-secrets-store-controller',
    });
  const owners = await ownersOf(client, pod, className);
  for (const { secretName, type, labels, annotations, data } of spec.secretObjects) {
    // The driver logs these three, and makes no event.
    if (secretName === '' || type === '' || data.length === 0) continue;
    const name = secretName.trim();
    let content: Record<string, string>;
    try {
      content = await contentOf(targetPath, type.trim(), data);
    } catch (error) {
      await fail(`failed to get data in spc ${namespace}/${className} for secret ${name}, err: ${messageOf(error)}`);
      continue;
    }
    try {
      await put(client, `/api/v1/namespaces/${namespace}/secrets`, {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: {
          name,
          namespace,
          labels: { ...labels, [MANAGED_LABEL]: 'true' },
          annotations,
          ownerReferences: owners,
        },
        type: type.trim(),
        data: content,
      });
    } catch (error) {
      await fail(messageOf(error));
    }
  }
}

/** What the garbage collector does when a pod is gone: its statuses go, and Secrets that only they own. */
export async function collectGarbage({ client }: SyncOptions, pod: Pod, classNames: readonly string[]): Promise<void> {
  const { namespace } = pod.metadata;
  const statuses = classNames.map((className) => podStatusName(pod, className));
  for (const name of statuses) await client.delete(`${podStatusesPath(namespace)}/${name}`);
  const secrets = `/api/v1/namespaces/${namespace}/secrets`;
  const { items } = await client.get(`${secrets}?labelSelector=${encodeURIComponent(`${MANAGED_LABEL}=true`)}`);
  for (const { metadata } of items as { metadata: { name: string; ownerReferences?: { name: string }[] } }[]) {
    const owners = metadata.ownerReferences ?? [];
    if (owners.length > 0 && owners.every(({ name }) => statuses.includes(name))) {
      await client.delete(`${secrets}/${metadata.name}`);
    }
  }
}

async function ownersOf(client: KubeClient, pod: Pod, className: string): Promise<readonly object[]> {
  const { ownerReferences, namespace } = pod.metadata;
  if (ownerReferences.length > 0) {
    return ownerReferences.map(({ apiVersion, kind, name, uid }) => ({ apiVersion, kind, name, uid }));
  }
  const name = podStatusName(pod, className);
  const status = await client.get(`${podStatusesPath(namespace)}/${name}`);
  const { uid } = status['metadata'] as { uid: string };
  return [{ apiVersion: `${GROUP}/v1`, kind: 'SecretProviderClassPodStatus', name, uid }];
}

interface Named {
  readonly metadata: {
    readonly name: string;
    readonly ownerReferences: readonly object[];
    readonly [member: string]: unknown;
  };
  readonly [member: string]: unknown;
}

/** Other owners stay: pods of the same class share a Secret. */
async function put(client: KubeClient, collection: string, secret: Named): Promise<void> {
  const path = `${collection}/${secret.metadata.name}`;
  try {
    await client.create(collection, secret);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 409) throw error;
    const existing = await client.get(path);
    const { ownerReferences: before = [] } = existing['metadata'] as { ownerReferences?: { name?: string }[] };
    const mine = secret.metadata.ownerReferences as readonly { name?: string }[];
    const others = before.filter(({ name }) => !mine.some((one) => one.name === name));
    await client.replace(path, { ...secret, metadata: { ...secret.metadata, ownerReferences: [...others, ...mine] } });
  }
}

async function contentOf(
  targetPath: string,
  type: string,
  data: readonly { readonly objectName: string; readonly key: string }[],
): Promise<Record<string, string>> {
  const files = await mountedFiles(targetPath);
  const content: Record<string, string> = {};
  for (const { objectName: given, key: givenKey } of data) {
    const [objectName, key] = [given.trim(), givenKey.trim()];
    if (objectName === '') throw new Error('object name in secretObjects.data');
    if (key === '') throw new Error('key in secretObjects.data is empty');
    const file = files.get(objectName);
    if (file === undefined) throw new Error(`file matching objectName ${objectName} not found in the pod`);
    const bytes = await readFile(file);
    content[key] = (type === 'kubernetes.io/tls' ? certificatePart(bytes, key, file) : bytes).toString('base64');
  }
  return content;
}

/** Files by their path below the mount, with the real path of each. */
async function mountedFiles(targetPath: string): Promise<ReadonlyMap<string, string>> {
  const data = join(targetPath, '..data');
  // The link has to be followed: `recursive` does not.
  const entries = await readdir(`${data}/`, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  return new Map(files.map((file) => [relative(data, file), file]));
}

/** The certificates or the private key of a file that has both. */
function certificatePart(bytes: Buffer, key: string, file: string): Buffer {
  const wrong = (reason: string): Error => new Error(`failed to get cert data from file ${file}, err: ${reason}`);
  if (key !== 'tls.key' && key !== 'tls.crt') {
    throw wrong(`key '${key}' is not supported. Only 'tls.key' and 'tls.crt' are supported`);
  }
  let text = bytes.toString();
  if (!text.includes('-----BEGIN ')) {
    try {
      const { key: privateKey, chain } = readPfx(bytes);
      text = pemBlock('PRIVATE KEY', privateKey) + chain.map((cert) => pemBlock('CERTIFICATE', cert)).join('');
    } catch (error) {
      throw wrong(messageOf(error));
    }
  }
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z ]+)-----[^-]+-----END \1-----\n?/g)];
  if (key === 'tls.crt') {
    return Buffer.from(
      blocks
        .filter(([, type]) => type === 'CERTIFICATE')
        .map(([block]) => block)
        .join(''),
    );
  }
  const found = blocks.find(([, type]) => type !== 'CERTIFICATE')?.[0];
  if (found === undefined) throw wrong('there is no private key in it');
  return Buffer.from(createPrivateKey(found).export({ format: 'pem', type: 'pkcs1' }));
}
