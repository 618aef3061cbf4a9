/**
 * The kubelet's part: the life of one pod on the node.
 *
 * Needs: volumes, containers, the API server.
 * Does: binds the pod, mounts its volumes again and again until they are there, runs its containers, publishes the driver's volumes
 *       again at the poll interval while they run, and cleans up.
 * Never does: init containers, probes or logs.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../message-of';
import type { RunningContainer } from './container';
import { PodContainers } from './pod-containers';
import { unpublishVolume } from './driver';
import { persist } from './persist';
import { podPath, type Pod } from './pod';
import { podStatus, type PodFailure } from './pod-status';
import type { AzureAccess } from './contract';
import { collectGarbage } from './secret-sync';
import { isSecretsVolume, mountVolume, publishSecrets, volumePath, type VolumeOptions } from './volumes';

const FIRST_RETRY_IN_MS = 500;
const DEFAULT_POLL_INTERVAL_IN_MS = 120_000;
const DEFAULT_GRACE_IN_SECONDS = 30;

/** What pods are run with. */
export interface PodWorkerOptions extends VolumeOptions {
  /** Of all pods. */
  readonly directory: string;
  readonly azure: AzureAccess;
  /** Where the node's metadata service is. */
  readonly metadataUrl: string;
  readonly mountRetryLimitInMs: number;
}

/** One pod on the node. */
export class PodWorker {
  readonly #options: PodWorkerOptions;
  readonly #directory: string;
  readonly #startedAt = new Date().toISOString();
  readonly #abort = new AbortController();
  readonly #containers: PodContainers;
  /** Ends the pause before the next rotation, when the add-on's configuration changes. */
  #wake = new AbortController();
  #pod: Pod;
  #failure: PodFailure | undefined;
  #writes: Promise<unknown> = Promise.resolve();
  #life: Promise<void> = Promise.resolve();
  #ending: Promise<void> | undefined;

  constructor(pod: Pod, options: PodWorkerOptions) {
    this.#pod = pod;
    this.#options = options;
    this.#directory = join(options.directory, 'pods', pod.metadata.uid);
    this.#containers = new PodContainers({
      ...options,
      pod,
      podDirectory: this.#directory,
      signal: this.#abort.signal,
      onChange: () => this.#writeStatus(),
    });
  }

  /** Begins the pod's life in the background. */
  begin(): void {
    this.#life = this.#live().catch((error: unknown) => {
      if (!this.#abort.signal.aborted) process.emitWarning(`A pod of the sandbox ended: ${messageOf(error)}`);
    });
  }

  /** A container by the names of its pod; undefined when it is of another pod, or does not run. */
  running(namespace: string, pod: string, container: string): RunningContainer | undefined {
    const { metadata } = this.#pod;
    return metadata.namespace === namespace && metadata.name === pod ? this.#containers.running(container) : undefined;
  }

  /** Another version of the pod was seen. */
  update(pod: Pod): void {
    this.#pod = pod;
    if (pod.metadata.deletionTimestamp !== undefined) void this.#finishDeletion();
  }

  /** The add-on's configuration is another one. */
  wake(): void {
    this.#wake.abort();
    this.#wake = new AbortController();
  }

  /** Ends the processes and removes the files. @param gone whether the pod is deleted: then its statuses and Secrets go too */
  end({ gone, graceInMs = 0 }: { readonly gone: boolean; readonly graceInMs?: number }): Promise<void> {
    this.#ending ??= this.#end(gone, graceInMs);
    return this.#ending;
  }

  async #live(): Promise<void> {
    const { signal } = this.#abort;
    await mkdir(this.#directory, { recursive: true });
    await this.#bind();
    this.#writeStatus();
    await this.#retrying(() => this.#mountAll());
    const stop = new AbortController();
    const ending = AbortSignal.any([signal, stop.signal]);
    void this.#rotate(ending);
    void this.#deadline(ending);
    try {
      await this.#containers.run();
    } finally {
      stop.abort();
    }
    this.#writeStatus();
    // A kubelet unmounts the volumes of a pod that is over; what was in them stays in its status.
    for (const volume of this.#secretsVolumes()) await unpublishVolume(volumePath(this.#directory, volume));
  }

  async #bind(): Promise<void> {
    const { client, nodeName, events } = this.#options;
    if (this.#pod.spec.nodeName !== undefined) return;
    const { name, namespace } = this.#pod.metadata;
    const target = { apiVersion: 'v1', kind: 'Node', name: nodeName };
    const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name }, target };
    await persist(() => client.create(`${podPath(this.#pod)}/binding`, binding), this.#abort.signal);
    const message = `Successfully assigned ${namespace}/${name} to ${nodeName}`;
    const event = { type: 'Normal', reason: 'Scheduled', message, component: 'default-scheduler' } as const;
    await persist(() => events.record(this.#pod, event), this.#abort.signal);
  }

  async #mountAll(): Promise<void> {
    for (const volume of this.#pod.spec.volumes) await mountVolume(this.#options, this.#pod, volume, this.#directory);
  }

  /** Tries again as a kubelet does, with an event for each failure. */
  async #retrying(task: () => Promise<void>): Promise<void> {
    const { signal } = this.#abort;
    const { events, mountRetryLimitInMs } = this.#options;
    for (let pause = FIRST_RETRY_IN_MS; ; pause *= 2) {
      signal.throwIfAborted();
      try {
        return await task();
      } catch (error) {
        const event = {
          type: 'Warning',
          reason: 'FailedMount',
          message: messageOf(error),
          component: 'kubelet',
        } as const;
        await persist(() => events.record(this.#pod, event), signal);
      }
      await sleep(Math.min(pause, mountRetryLimitInMs), undefined, { signal });
    }
  }

  /** Publishes the driver's volumes again and again. A failure changes nothing, and nobody is told: so does the driver. */
  async #rotate(signal: AbortSignal): Promise<void> {
    let publishedAt = Date.now();
    while (!signal.aborted) {
      const { rotation = false, pollIntervalInMs = DEFAULT_POLL_INTERVAL_IN_MS } = this.#options.driver() ?? {};
      const dueIn = publishedAt + pollIntervalInMs - Date.now();
      if (!rotation || dueIn > 0) {
        const woken = AbortSignal.any([signal, this.#wake.signal]);
        await sleep(rotation ? dueIn : DEFAULT_POLL_INTERVAL_IN_MS, undefined, { signal: woken }).catch(
          () => undefined,
        );
        continue;
      }
      for (const volume of this.#secretsVolumes()) {
        const path = volumePath(this.#directory, volume);
        await publishSecrets(this.#options, this.#pod, volume, path).catch(() => undefined);
      }
      publishedAt = Date.now();
    }
  }

  async #deadline(signal: AbortSignal): Promise<void> {
    const { activeDeadlineSeconds } = this.#pod.spec;
    if (activeDeadlineSeconds === undefined) return;
    await sleep(activeDeadlineSeconds * 1000, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    this.#failure = {
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    };
    await this.#containers.stop(0);
  }

  async #finishDeletion(): Promise<void> {
    const { deletionGracePeriodSeconds: grace = DEFAULT_GRACE_IN_SECONDS } = this.#pod.metadata;
    await this.end({ gone: true, graceInMs: grace * 1000 });
    const { uid } = this.#pod.metadata;
    const options = { gracePeriodSeconds: 0, preconditions: { uid } };
    await persist(() => this.#options.client.delete(podPath(this.#pod), options), AbortSignal.timeout(60_000)).catch(
      () => undefined,
    );
  }

  async #end(gone: boolean, graceInMs: number): Promise<void> {
    this.#abort.abort(new Error('The pod is being removed.'));
    await this.#containers.stop(graceInMs);
    await this.#life;
    await this.#writes;
    await rm(this.#directory, { recursive: true, force: true });
    if (!gone) return;
    const classes = this.#secretsVolumes().map(({ csi }) => csi?.volumeAttributes['secretProviderClass'] ?? '');
    await collectGarbage(this.#options, this.#pod, classes).catch(() => undefined);
  }

  #secretsVolumes(): Pod['spec']['volumes'] {
    return this.#pod.spec.volumes.filter(isSecretsVolume);
  }

  /** One write after the other: the last one is the one that stays. */
  #writeStatus(): void {
    const status = podStatus(this.#pod, this.#containers.progress(), this.#startedAt, this.#failure);
    const { client } = this.#options;
    const write = (): Promise<unknown> => client.patch(`${podPath(this.#pod)}/status`, { status });
    this.#writes = this.#writes.then(() => persist(write, this.#abort.signal).catch(() => undefined));
  }
}
