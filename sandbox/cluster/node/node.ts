/**
 * A node of a sandbox cluster, for pods with volumes of the Secrets Store CSI driver, and for no others.
 *
 * Needs: the cluster's API server, the sandbox's proxy, who gives tokens.
 * Does: watches pods; stands for scheduler, kubelet, driver and provider of those that have such a volume; carries out `kubectl exec`.
 * Never does: anything with a pod that has none, or that another node has.
 */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProxyAgent } from 'undici';
import { messageOf } from '../../message-of';
import type { RunningContainer } from './container';
import type { NodeOptions, SandboxNode, SecretsProviderConfig } from './contract';
import { entraTokens } from './entra-tokens';
import { EventRecorder } from './events';
import type { JsonObject } from './json';
import { ApiError, createKubeClient, type KubeClient, type WatchEvent } from './kube-client';
import { startKubeletServer } from './kubelet-server';
import { startMetadataService } from './metadata-service';
import { persist } from './persist';
import { podWithSecrets } from './pod';
import { PodWorker, type PodWorkerOptions } from './pod-worker';
import { provide } from './provider';

const PODS = '/api/v1/pods';
const NODES = '/api/v1/nodes';
const DEFAULT_NAME = 'aks-nodepool1-00000000-vmss000000';
const DEFAULT_RETRY_LIMIT_IN_MS = 5_000;
const PAUSE_IN_MS = 250;

/** Starts a node; resolves when the API server has it. Its driver is off until `setDriver`. */
export async function startSandboxNode(options: NodeOptions): Promise<SandboxNode> {
  const { name = DEFAULT_NAME, azure, instanceTokens } = options;
  const client = createKubeClient(options.cluster);
  const abort = new AbortController();
  const proxy = new ProxyAgent({ uri: azure.proxyUrl, requestTls: { ca: await readFile(azure.caFile) } });
  const { podTokens = entraTokens(proxy) } = options;
  await mkdir(options.directory, { recursive: true });
  const metadata = await startMetadataService(instanceTokens);
  let driver: SecretsProviderConfig | undefined;
  const workers = new Workers({
    client,
    nodeName: name,
    events: new EventRecorder(client, name),
    driver: () => driver,
    provide: (parameters, tokens) => provide(parameters, tokens, { dispatcher: proxy, podTokens, instanceTokens }),
    directory: options.directory,
    azure,
    metadataUrl: metadata.url,
    mountRetryLimitInMs: options.mountRetryLimitInMs ?? DEFAULT_RETRY_LIMIT_IN_MS,
  });
  const kubelet = await startKubeletServer({
    credentials: () => options.cluster.kubelet,
    find: (namespace, pod, container) => workers.running(namespace, pod, container),
  });
  await persist(() => registerNode(client, name, kubelet.port), abort.signal);
  const watching = watchPods(client, workers, abort.signal);
  return {
    name,
    setDriver(config) {
      driver = config;
      workers.wake();
    },
    async close() {
      abort.abort();
      await watching;
      await kubelet.close();
      await workers.close();
      await Promise.all([proxy.destroy(), client.close(), metadata.close()]);
      await rm(options.directory, { recursive: true, force: true });
    },
  };
}

/** The pods of the node, by uid. */
class Workers {
  readonly #workers = new Map<string, PodWorker>();
  /** Of pods that are deleted, and not yet cleaned up. */
  readonly #leaving = new Set<Promise<void>>();
  readonly #options: PodWorkerOptions;

  constructor(options: PodWorkerOptions) {
    this.#options = options;
  }

  wake(): void {
    for (const worker of this.#workers.values()) worker.wake();
  }

  running(namespace: string, pod: string, container: string): RunningContainer | undefined {
    for (const worker of this.#workers.values()) {
      const found = worker.running(namespace, pod, container);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Takes in one version of a pod. */
  see(object: JsonObject): void {
    const pod = podWithSecrets(object);
    if (pod === undefined) return;
    const { nodeName } = pod.spec;
    if (nodeName !== undefined && nodeName !== this.#options.nodeName) return;
    const { uid } = pod.metadata;
    const known = this.#workers.get(uid);
    if (known !== undefined) {
      known.update(pod);
      return;
    }
    if (['Succeeded', 'Failed'].includes(pod.status.phase ?? '')) return;
    const worker = new PodWorker(pod, this.#options);
    this.#workers.set(uid, worker);
    if (pod.metadata.deletionTimestamp === undefined) worker.begin();
    else worker.update(pod);
  }

  /** The API server has no such pod any more. */
  forget(uid: string): void {
    const worker = this.#workers.get(uid);
    this.#workers.delete(uid);
    if (worker === undefined) return;
    const left = worker
      .end({ gone: true })
      .catch((error: unknown) => process.emitWarning(`A pod of the sandbox left something behind: ${messageOf(error)}`))
      .finally(() => this.#leaving.delete(left));
    this.#leaving.add(left);
  }

  /** Forgets all pods but these. */
  retain(uids: ReadonlySet<string>): void {
    for (const uid of this.#workers.keys()) if (!uids.has(uid)) this.forget(uid);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#workers.values()].map((worker) => worker.end({ gone: false })));
    await Promise.all(this.#leaving);
    this.#workers.clear();
  }
}

/** Lists and watches until it is aborted; begins again whenever the server ends the watch. */
async function watchPods(client: KubeClient, workers: Workers, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const { items, metadata } = await client.get(PODS);
      const pods = items as JsonObject[];
      workers.retain(new Set(pods.map(uidOf)));
      for (const pod of pods) workers.see(pod);
      const { resourceVersion } = metadata as { resourceVersion: string };
      await client.watch(PODS, resourceVersion, (event) => take(workers, event), signal);
    } catch {
      // An API server that is being replaced, or a resource version that is too old: list again.
      await sleep(PAUSE_IN_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

function take(workers: Workers, { type, object }: WatchEvent): void {
  if (type === 'ADDED' || type === 'MODIFIED') workers.see(object);
  else if (type === 'DELETED') workers.forget(uidOf(object));
  else if (type === 'ERROR') throw new ApiError(410, String(object['message']));
}

function uidOf(object: JsonObject): string {
  return (object['metadata'] as { uid: string }).uid;
}

/** A Node without the label of an agent pool: it stands for none of the nodes that ARM counts. */
async function registerNode(client: KubeClient, name: string, port: number): Promise<void> {
  const labels = { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' };
  if ((await client.find(`${NODES}/${name}`)) === undefined) {
    await client.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } });
  }
  const ready = { type: 'Ready', status: 'True', reason: 'KubeletReady', lastTransitionTime: new Date().toISOString() };
  await client.patch(`${NODES}/${name}/status`, {
    status: {
      conditions: [ready],
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
    },
  });
}
