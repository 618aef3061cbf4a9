/**
 * The containers of one pod: started, started again as the restart policy says, stopped.
 *
 * Needs: mounted volumes.
 * Does: keeps what each container is doing, and tells of each change.
 * Never does: write to the API server.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { prepareContainer, programOf, startContainer, type ContainerEnd, type RunningContainer } from './container';
import type { AzureAccess } from './contract';
import { EnvironmentError, environmentOf } from './environment';
import type { KubeClient } from './kube-client';
import type { Container, Pod } from './pod';
import { CREATING, type ContainerProgress, type ContainerState } from './pod-status';
import { RealPaths } from './real-paths';
import { volumePath } from './volumes';

const FIRST_BACK_OFF_IN_MS = 10_000;
const BACK_OFF_LIMIT_IN_MS = 300_000;
const LOOK_AGAIN_IN_MS = 1_000;

/** What containers are run with. */
export interface PodContainersOptions {
  readonly client: KubeClient;
  readonly azure: AzureAccess;
  readonly metadataUrl: string;
  readonly nodeName: string;
  readonly pod: Pod;
  readonly podDirectory: string;
  readonly signal: AbortSignal;
  readonly onChange: () => void;
}

/** The containers of one pod. */
export class PodContainers {
  readonly #options: PodContainersOptions;
  readonly #progress = new Map<string, ContainerProgress>();
  readonly #running = new Map<string, RunningContainer>();
  #stopped = false;

  constructor(options: PodContainersOptions) {
    this.#options = options;
    for (const { name } of options.pod.spec.containers) this.#progress.set(name, { state: CREATING, restarts: 0 });
  }

  /** What each is doing, by name. */
  progress(): ReadonlyMap<string, ContainerProgress> {
    return this.#progress;
  }

  /** A container whose command runs. */
  running(name: string): RunningContainer | undefined {
    return this.#running.get(name);
  }

  /** Runs all of them to their end. With `restartPolicy: Always` that is when they are stopped. */
  async run(): Promise<void> {
    await Promise.all(this.#options.pod.spec.containers.map((container) => this.#runOne(container)));
  }

  /** SIGTERM, and SIGKILL after the grace; none is started again. */
  async stop(graceInMs: number): Promise<void> {
    this.#stopped = true;
    await Promise.all(
      [...this.#running.values()].map(async ({ child, ended }) => {
        await child.stop({ graceInMs });
        await ended;
      }),
    );
  }

  async #runOne(container: Container): Promise<void> {
    const { signal } = this.#options;
    for (let restarts = 0; ; restarts++) {
      const end = await this.#runOnce(container, restarts);
      if (this.#stopped || signal.aborted || !this.#restarts(end)) return;
      const pause = Math.min(FIRST_BACK_OFF_IN_MS * 2 ** restarts, BACK_OFF_LIMIT_IN_MS);
      const message = `back-off ${pause / 1000}s restarting failed container=${container.name} pod=${this.#options.pod.metadata.name}`;
      this.#set(container, { kind: 'waiting', reason: 'CrashLoopBackOff', message }, { restarts, last: end });
      await sleep(pause, undefined, { signal });
    }
  }

  async #runOnce(container: Container, restarts: number): Promise<ContainerEnd> {
    const { podDirectory, pod } = this.#options;
    if (programOf(container) === undefined) {
      const message =
        "The sandbox's node runs no images. It runs commands that begin with node, sh or sleep, as processes of this machine.";
      await this.#waitForEver(container, { kind: 'waiting', reason: 'CreateContainerError', message });
    }
    const files = await prepareContainer(podDirectory, container);
    const real = new Map([[container.terminationMessagePath, files.terminationMessage]]);
    for (const { name, mountPath } of container.volumeMounts) {
      const volume = pod.spec.volumes.find((one) => one.name === name);
      if (volume !== undefined) real.set(mountPath, volumePath(podDirectory, volume));
    }
    const paths = new RealPaths(real);
    const env = await this.#environment(container, paths);
    this.#options.signal.throwIfAborted();
    const running = await startContainer(container, files, env, paths);
    this.#running.set(container.name, running);
    this.#set(container, { kind: 'running', startedAt: running.startedAt }, { restarts });
    // The pod may have been stopped while the process was being started.
    if (this.#stopped) void running.child.stop({ graceInMs: 0 });
    const end = await running.ended;
    this.#running.delete(container.name);
    this.#set(container, { kind: 'terminated', end }, { restarts });
    return end;
  }

  /** Waits for Secrets that variables are from, as a kubelet does. */
  async #environment(container: Container, paths: RealPaths): Promise<Record<string, string>> {
    const { pod, signal } = this.#options;
    for (;;) {
      try {
        return await environmentOf({ ...this.#options, paths }, pod, container);
      } catch (error) {
        if (!(error instanceof EnvironmentError)) throw error;
        this.#set(container, { kind: 'waiting', reason: 'CreateContainerConfigError', message: error.message });
      }
      await sleep(LOOK_AGAIN_IN_MS, undefined, { signal });
    }
  }

  async #waitForEver(container: Container, state: ContainerState): Promise<never> {
    const { signal } = this.#options;
    this.#set(container, state);
    while (!signal.aborted) await sleep(2 ** 30, undefined, { signal });
    throw signal.reason;
  }

  #restarts({ exitCode }: ContainerEnd): boolean {
    const { restartPolicy } = this.#options.pod.spec;
    return restartPolicy === 'Always' || (restartPolicy === 'OnFailure' && exitCode !== 0);
  }

  #set({ name }: Container, state: ContainerState, change: Partial<Omit<ContainerProgress, 'state'>> = {}): void {
    const before = this.#progress.get(name) ?? { state, restarts: 0 };
    this.#progress.set(name, { ...before, ...change, state });
    this.#options.onChange();
  }
}
