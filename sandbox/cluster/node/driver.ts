/**
 * The Secrets Store CSI driver on one node: publishes volumes, and says in SecretProviderClassPodStatuses what is in them.
 *
 * Needs: the API server, the provider.
 * Does: what pkg/secrets-store of kubernetes-sigs/secrets-store-csi-driver v1.6.0 does, in its order and its words.
 * Never does: decide when. The kubelet's part (pod-worker.ts) calls, for the first mount and for each rotation.
 */
import { mkdir, rm } from 'node:fs/promises';
import { messageOf } from '../../message-of';
import { writeFiles } from './atomic-writer';
import { GROUP } from './crds';
import { ApiError, type KubeClient } from './kube-client';
import { classSchema, type Pod, type SecretProviderClass, type Volume } from './pod';
import type { ServiceAccountTokens } from './parameters';
import type { SecretFile } from './provider';

const NODE_LABEL = 'internal.secrets-store.csi.k8s.io/node-name';

/** The provider of Azure, with the vault and the tokens that it needs. */
export type Provide = (
  parameters: Readonly<Record<string, string>>,
  tokens: ServiceAccountTokens,
) => Promise<readonly SecretFile[]>;

/** What the driver is put together from. */
export interface DriverOptions {
  readonly client: KubeClient;
  readonly nodeName: string;
  readonly provide: Provide;
}

/** One volume of a pod, to be published. */
export interface Publication {
  readonly pod: Pod;
  readonly volume: Volume;
  readonly targetPath: string;
  readonly tokens: ServiceAccountTokens;
}

/** The name of the SecretProviderClassPodStatus of a pod and a class. */
export function podStatusName({ metadata }: Pod, className: string): string {
  return `${metadata.name}-${metadata.namespace}-${className}`;
}

/** The API path of a namespace's SecretProviderClassPodStatuses. */
export function podStatusesPath(namespace: string): string {
  return `/apis/${GROUP}/v1/namespaces/${namespace}/secretproviderclasspodstatuses`;
}

/**
 * Writes the files of a volume, and its SecretProviderClassPodStatus.
 * @returns the class, for the sync of Secrets
 * @throws Error with what the driver answers a kubelet: `rpc error: code = … desc = …`
 */
export async function publishVolume(options: DriverOptions, publication: Publication): Promise<SecretProviderClass> {
  const { pod, volume, targetPath, tokens } = publication;
  const { name, namespace } = pod.metadata;
  const className = volume.csi?.volumeAttributes['secretProviderClass'] ?? '';
  if (className === '') throw rpcError('secretProviderClass is not set');
  const found = await findClass(options.client, namespace, className);
  const { provider, parameters } = found.spec;
  if (provider === '') throw rpcError(`provider not set in ${namespace}/${className}`);
  if (Object.keys(parameters).length === 0) throw rpcError(`parameters not set in ${namespace}/${className}`);
  if (volume.csi?.readOnly !== true) throw rpcError('Readonly is not true in request', 'InvalidArgument');

  const failed = (reason: string): Error =>
    rpcError(`failed to mount secrets store objects for pod ${namespace}/${name}, err: ${reason}`);
  if (!/^[a-zA-Z0-9_-]{0,30}$/.test(provider)) {
    throw failed(`error connecting to provider "${provider}": invalid provider: provider "${provider}"`);
  }
  if (provider !== 'azure') {
    throw failed(`error connecting to provider "${provider}": provider not found: provider "${provider}"`);
  }
  let files: readonly SecretFile[];
  try {
    files = await options.provide(parameters, tokens);
  } catch (error) {
    throw failed(`rpc error: code = Unknown desc = failed to mount objects, error: ${messageOf(error)}`);
  }
  if (files.length === 0) throw failed('missing object versions');
  await mkdir(targetPath, { recursive: true });
  await writeFiles(targetPath, files);
  try {
    await writePodStatus(options, publication, className, files);
  } catch (error) {
    const reason = messageOf(error);
    throw rpcError(`failed to create secret provider class pod status for pod ${namespace}/${name}, err: ${reason}`);
  }
  return found;
}

/** Removes the files of a volume. */
export async function unpublishVolume(targetPath: string): Promise<void> {
  await rm(targetPath, { recursive: true, force: true });
}

async function findClass(client: KubeClient, namespace: string, name: string): Promise<SecretProviderClass> {
  const found = await client.find(`/apis/${GROUP}/v1/namespaces/${namespace}/secretproviderclasses/${name}`);
  if (found !== undefined) return classSchema.parse(found);
  throw rpcError(
    `failed to get secretproviderclass ${namespace}/${name}, error: SecretProviderClass.${GROUP} "${name}" not found`,
  );
}

async function writePodStatus(
  { client, nodeName }: DriverOptions,
  { pod, targetPath }: Publication,
  className: string,
  files: readonly SecretFile[],
): Promise<void> {
  const { name: podName, namespace, uid } = pod.metadata;
  const path = podStatusesPath(namespace);
  const name = podStatusName(pod, className);
  const versions = new Map(files.map(({ id, version }) => [id, version]));
  const object = {
    apiVersion: `${GROUP}/v1`,
    kind: 'SecretProviderClassPodStatus',
    metadata: {
      name,
      namespace,
      labels: { [NODE_LABEL]: nodeName },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: podName, uid }],
    },
    status: {
      podName,
      targetPath,
      mounted: true,
      secretProviderClassName: className,
      objects: [...versions].sort().map(([id, version]) => ({ id, version })),
    },
  };
  try {
    await client.create(path, object);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 409) throw error;
    const { metadata, status } = object;
    const { labels, ownerReferences } = metadata;
    await client.patch(`${path}/${name}`, { metadata: { labels, ownerReferences }, status });
  }
}

/** An error as gRPC prints it. */
function rpcError(description: string, code = 'Unknown'): Error {
  return new Error(`rpc error: code = ${code} desc = ${description}`);
}
