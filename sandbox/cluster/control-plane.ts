/**
 * The API servers of one cluster.
 *
 * Needs: a running etcd, the files of the layout, the book of plugins, the load balancer.
 * Does: replaces servers one at a time, as roll.ts says; a new one is ready before the old one is drained, and the old ones
 *       of a pass are gone before the next pass begins.
 * Never does: bring back an API server that ended by itself, or order calls: cluster.ts makes one call at a time.
 */
import { once } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../message-of';
import type { ApiCredentials } from './api-client';
import type { EncryptionState, KmsProviderNames, ServerState } from './contract';
import { encryptionConfiguration } from './encryption-config';
import type { KmsPlugins } from './kms-plugins';
import { kmsProviders, kmsSchemeOf, type KmsProvider } from './kms-providers';
import { startApiServer, type ApiServer } from './kube-apiserver';
import type { ClusterLayout } from './layout';
import type { LoadBalancer } from './load-balancer';
import { serverHostName, type HostNames } from './own-host-name';
import { RequestCounts, type SecretRequests } from './request-counts';
import { passes, writeKeyOf } from './roll';

/** Connections to an old server get this long to become idle; then the server itself ends them, request by request. */
const DRAIN_GRACE_IN_MS = 2_000;

/** What an API server is started with. */
export interface ServerConfig {
  readonly encryption: EncryptionState;
  /** `1.34` */
  readonly kubernetesMinor: string;
  /** Path of the binary. */
  readonly binary: string;
  /** Who issues service account tokens; the issuer inside the cluster when absent. */
  readonly issuer?: string;
}

/** What a control plane is put together from. */
export interface ControlPlaneOptions {
  readonly clusterName: string;
  readonly count: number;
  readonly config: ServerConfig;
  readonly kmsProviderNames: KmsProviderNames;
  readonly layout: ClusterLayout;
  readonly admin: ApiCredentials;
  readonly etcdUrl: string;
  readonly plugins: KmsPlugins;
  readonly balancer: LoadBalancer;
  /** How servers get host names of their own; absent for a single server, which has the machine's. */
  readonly hostNames?: HostNames;
  /** Ends waits for servers when the cluster is destroyed meanwhile. */
  readonly signal: AbortSignal;
}

/** A server that clients are sent to. */
interface Member {
  readonly server: ApiServer;
  readonly config: ServerConfig;
  readonly problem?: string;
}

/** The API servers of one cluster; none runs before `start`. */
export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  /** By number, 1 to count. A server that ended by itself is missing. */
  readonly #members = new Map<number, Member>();
  /** What servers are to run with: the end of the last roll. */
  #config: ServerConfig;
  #admin: ApiCredentials;
  #startedServers = 0;
  readonly #requests = new RequestCounts();
  /** While it is there, replaced servers are not ended. */
  #keepReplaced: AbortController | undefined;

  constructor(options: ControlPlaneOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#admin = options.admin;
  }

  /** Servers that start from now on are asked with these credentials whether they are ready. */
  setAdmin(admin: ApiCredentials): void {
    this.#admin = admin;
  }

  /** {@inheritDoc SandboxCluster.setKeepReplaced} */
  setKeepReplaced(keep: boolean): void {
    if (keep) this.#keepReplaced ??= new AbortController();
    else {
      this.#keepReplaced?.abort();
      this.#keepReplaced = undefined;
    }
  }

  get running(): boolean {
    return this.#members.size > 0;
  }

  get config(): ServerConfig {
    return this.#config;
  }

  servers(): readonly ServerState[] {
    return this.#sorted().map(([, { server, config, problem }]) => ({
      name: server.name,
      port: server.port,
      pid: server.pid,
      kubernetesMinor: config.kubernetesMinor,
      writes: writeKeyOf(config.encryption),
      ...(problem === undefined ? {} : { problem }),
    }));
  }

  /** Requests about Secrets to all servers so far. @throws Error when a server that ended could not be read before */
  secretRequests(): Promise<SecretRequests> {
    return this.#requests.total(
      this.#sorted().map(([, { server }]) => server.port),
      this.#admin,
    );
  }

  /** Starts all servers, one after the other: machines are small. @throws Error when one does not get ready; none runs then. */
  async start(): Promise<void> {
    try {
      await this.#options.plugins.start(this.#providersOf(this.#config));
      for (let number = 1; number <= this.#options.count; number++) await this.#replace(number, this.#config);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    const servers = [...this.#members.values()].map(({ server }) => server);
    this.#members.clear();
    this.#updateBackends();
    await Promise.all(servers.map((server) => this.#end(server)));
    await this.#options.plugins.retain([]);
  }

  /**
   * Ends every server and starts it again, as a kubelet does: with nothing cached, and also when the vault refuses the cluster. Such a
   * server answers, cannot read Secrets, and becomes ready when the vault lets it.
   */
  async restart(): Promise<void> {
    for (const [number, { server, config }] of this.#sorted()) {
      this.#members.delete(number);
      this.#updateBackends();
      await this.#end(server);
      this.#members.set(number, { server: await this.#startServer(number, config, { unready: true }), config });
      this.#updateBackends();
    }
  }

  /**
   * Rolls to another configuration; servers that an earlier roll left behind come to its end first.
   * @param late how many servers stay at the first stage of a change of the encryption
   * @throws Error when one does not get ready, as `SandboxCluster.applyEncryption` says it
   */
  async rollTo(config: ServerConfig, late: number): Promise<void> {
    await this.finish(0);
    const plan = passes(this.#config.encryption, config.encryption, this.#options.count, late);
    const steps = plan.map(({ state, servers }) => ({ config: { ...config, encryption: state }, servers }));
    try {
      await this.#options.plugins.start(steps.flatMap((step) => this.#providersOf(step.config)));
      for (const step of steps) {
        await this.#pass(step.config, step.servers);
        // From here on a failure leads back to this stage: what comes next may have written with the new key.
        this.#config = step.config;
      }
    } catch (error) {
      throw await this.#returned(error);
    } finally {
      await this.#retainPlugins();
    }
  }

  /**
   * Rolls servers that an earlier roll left at its first stage to the end, all but `late` of them.
   * @throws Error when one does not get ready; it stays as it was, with the reason as its problem
   */
  async finish(late: number): Promise<void> {
    const behind = this.#sorted().filter(([, { config }]) => !isDeepStrictEqual(config, this.#config));
    if (behind.length === 0) return;
    // With every server late, no server has needed them yet.
    await this.#options.plugins.start(this.#providersOf(this.#config));
    for (const [number, member] of behind.slice(0, Math.max(behind.length - late, 0))) {
      try {
        const { retired } = await this.#replace(number, this.#config);
        await retired;
      } catch (error) {
        if (this.#members.get(number) === member) {
          this.#members.set(number, { ...member, problem: messageOf(error) });
        }
        throw error;
      }
    }
    await this.#retainPlugins();
  }

  /** One time around; resolves when the old servers are gone. */
  async #pass(config: ServerConfig, servers: number): Promise<void> {
    const retired: Promise<void>[] = [];
    try {
      for (let number = 1; number <= servers; number++) retired.push((await this.#replace(number, config)).retired);
    } finally {
      await Promise.all(retired);
    }
  }

  /** The new server first, then the switch, then the old one ends: the address answers all the time. */
  async #replace(number: number, config: ServerConfig): Promise<{ readonly retired: Promise<void> }> {
    const server = await this.#startServer(number, config);
    const old = this.#members.get(number);
    this.#members.set(number, { server, config });
    this.#updateBackends();
    return { retired: old === undefined ? Promise.resolve() : this.#retire(old.server) };
  }

  async #retire(server: ApiServer): Promise<void> {
    const keep = AbortSignal.any([this.#options.signal, ...(this.#keepReplaced ? [this.#keepReplaced.signal] : [])]);
    if (this.#keepReplaced && !keep.aborted) await once(keep, 'abort');
    await this.#options.balancer.drain(server.port, { graceInMs: DRAIN_GRACE_IN_MS });
    await this.#end(server);
  }

  async #end(server: ApiServer): Promise<void> {
    // Nobody asks a cluster that is being destroyed.
    if (!this.#options.signal.aborted) await this.#requests.ending(server.port, this.#admin);
    await server.stop();
  }

  /** Brings servers that a failed roll has replaced back to the last stage that all had reached. @returns what to throw */
  async #returned(failure: unknown): Promise<unknown> {
    if (this.#options.signal.aborted) return failure;
    try {
      await this.finish(0);
      return failure;
    } catch (error) {
      return new Error(
        `${messageOf(failure)}\nThe servers that had been replaced could not be brought back either: ${messageOf(error)}`,
        { cause: failure },
      );
    }
  }

  async #startServer(number: number, config: ServerConfig, { unready = false } = {}): Promise<ApiServer> {
    const { clusterName, layout, etcdUrl, plugins, hostNames, signal } = this.#options;
    this.#startedServers++;
    const server = await startApiServer({
      binary: config.binary,
      kubernetesMinor: config.kubernetesMinor,
      serial: this.#startedServers,
      layout,
      etcdUrl,
      issuer: config.issuer,
      encryption: encryptionConfiguration(
        config.encryption,
        (plugin) => plugins.endpointOf(plugin),
        kmsSchemeOf(config.kubernetesMinor, this.#options.kmsProviderNames),
      ),
      admin: this.#admin,
      host: hostNames === undefined ? undefined : { name: serverHostName(clusterName, number), names: hostNames },
      hints: () => plugins.failures(),
      signal,
      unready,
    });
    void server.exited.then(() => {
      // When it ended by itself: the address must not send anyone to a dead server.
      if (this.#members.get(number)?.server !== server) return;
      this.#members.delete(number);
      this.#requests.endedUnread(server.name);
      this.#updateBackends();
    });
    return server;
  }

  #providersOf({ encryption, kubernetesMinor }: ServerConfig): readonly KmsProvider[] {
    return kmsProviders(encryption, kmsSchemeOf(kubernetesMinor, this.#options.kmsProviderNames));
  }

  /** The plugins of every server that runs, and no other. */
  #retainPlugins(): Promise<void> {
    const configs = [...this.#members.values()].map(({ config }) => config);
    return this.#options.plugins.retain(configs.flatMap((config) => this.#providersOf(config)));
  }

  #updateBackends(): void {
    this.#options.balancer.setBackends(this.#sorted().map(([, { server }]) => server.port));
  }

  #sorted(): readonly (readonly [number, Member])[] {
    return [...this.#members].sort(([one], [other]) => one - other);
  }
}
