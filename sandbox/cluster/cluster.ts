/**
 * A sandbox cluster: one etcd, its KMS plugins, and API servers behind one fixed address.
 *
 * Needs: the binaries of tools/, an empty directory, a vault to encrypt with.
 * Does: changes the encryption as a managed control plane does, by new API servers that take over when they are ready.
 * Never does: bring back an API server that ended by itself; stop and start, or the next change, does.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findTool, TOOL_NAMES, type ToolName } from '../../tools';
import { createApiClient, type ApiCredentials } from './api-client';
import type { ClusterFactory, ClusterOptions, EncryptionState, SandboxCluster } from './contract';
import { checkEncryptionState, encryptionConfiguration } from './encryption-config';
import { startEtcd, type Etcd } from './etcd';
import { createKmsPlugins, type KmsPlugins } from './kms-plugins';
import { startApiServer, type ApiServer } from './kube-apiserver';
import { adminKubeconfig } from './kubeconfig';
import { prepareLayout, type ClusterLayout } from './layout';
import { startLoadBalancer, type LoadBalancer } from './load-balancer';

/** Connections to an old server get this long to become idle; then the server itself ends them, request by request. */
const DRAIN_GRACE_IN_MS = 2_000;
const NAMESPACES = ['default', 'kube-system'];
const NAMESPACE_ATTEMPTS = 20;
const NAMESPACE_PAUSE_IN_MS = 250;

/** {@inheritDoc ClusterFactory} */
export const createCluster: ClusterFactory = async (options) => {
  checkEncryptionState(options.encryption);
  const etcdBinary = await findTool('etcd');
  const apiServerBinary = await findTool(apiServerTool(options.kubernetesMinor));
  const { layout, admin } = await prepareLayout(options.directory);
  const abort = new AbortController();
  const balancer = await startLoadBalancer();
  const etcdLog = join(layout.logs, 'etcd.log');
  let cluster: LocalCluster | undefined;
  try {
    const etcd = await startEtcd({
      binary: etcdBinary,
      directory: layout.etcd,
      logFile: etcdLog,
      signal: abort.signal,
    });
    const plugins = createKmsPlugins(layout.kms, options.crypto);
    cluster = new LocalCluster({ options, layout, admin, etcd, abort, apiServerBinary, plugins, balancer });
    await cluster.start();
    await cluster.ensureNamespaces();
    return cluster;
  } catch (error) {
    await cluster?.endProcesses();
    await balancer.close();
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`The cluster ${options.name} did not start: ${reason}`, { cause: error });
  }
};

function apiServerTool(kubernetesMinor: string): ToolName {
  const prefix = 'kube-apiserver-';
  const tool = TOOL_NAMES.find((name) => name === `${prefix}${kubernetesMinor}`);
  if (tool !== undefined) return tool;
  const minors = TOOL_NAMES.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  throw new Error(`The sandbox has no Kubernetes ${kubernetesMinor}; it has ${minors.join(', ')}.`);
}

/** What a cluster is put together from. */
interface Parts {
  readonly options: ClusterOptions;
  readonly layout: ClusterLayout;
  readonly admin: ApiCredentials;
  readonly etcd: Etcd;
  readonly plugins: KmsPlugins;
  readonly balancer: LoadBalancer;
  readonly apiServerBinary: string;
  /** Ends waits for servers when the cluster is destroyed meanwhile. */
  readonly abort: AbortController;
}

class LocalCluster implements SandboxCluster {
  readonly adminKubeconfig: string;
  readonly etcdUrl: string;
  readonly #parts: Parts;
  readonly #server: string;
  #encryption: EncryptionState;
  #servers: readonly ApiServer[] = [];
  #startedServers = 0;
  /** Changes run one after the other: the end of the last one. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#encryption = parts.options.encryption;
    this.#server = `https://127.0.0.1:${parts.balancer.port}`;
    this.etcdUrl = parts.etcd.url;
    this.adminKubeconfig = adminKubeconfig(parts.options.name, this.#server, parts.admin);
  }

  applyEncryption(state: EncryptionState): Promise<void> {
    return this.#inTurn(async () => {
      checkEncryptionState(state);
      if (this.#servers.length === 0) {
        throw new Error(
          `No API server of ${this.#parts.options.name} is running: start it before changing its encryption.`,
        );
      }
      await this.#rollTo(state);
      this.#encryption = state;
    });
  }

  setLatency(latencyInMs: number): void {
    this.#parts.balancer.setLatency(latencyInMs);
  }

  stop(): Promise<void> {
    return this.#inTurn(() => this.#stopServers());
  }

  start(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#servers.length === 0) await this.#rollTo(this.#encryption);
    });
  }

  async destroy(): Promise<void> {
    await this.endProcesses();
    await rm(this.#parts.options.directory, { recursive: true, force: true });
  }

  /** Ends every process; data and logs stay, to be looked at. */
  endProcesses(): Promise<void> {
    const { abort, balancer, etcd, options } = this.#parts;
    abort.abort(new Error(`The cluster ${options.name} is being destroyed.`));
    return this.#inTurn(async () => {
      await this.#stopServers();
      await balancer.close();
      await etcd.stop();
    });
  }

  /** An API server makes its system namespaces a moment after it is ready, and tries only once a minute: help it. */
  async ensureNamespaces(): Promise<void> {
    const client = createApiClient(this.#server, this.#parts.admin);
    try {
      for (const name of NAMESPACES) {
        for (let attempt = 1; ; attempt++) {
          const { status, body } = await client.call('GET', `/api/v1/namespaces/${name}`);
          if (status === 200) break;
          if (attempt === NAMESPACE_ATTEMPTS) throw new Error(`The namespace ${name} cannot be had: ${status} ${body}`);
          const made = await client.call('POST', '/api/v1/namespaces', {
            apiVersion: 'v1',
            kind: 'Namespace',
            metadata: { name },
          });
          if (made.status !== 201 && made.status !== 409) await sleep(NAMESPACE_PAUSE_IN_MS);
        }
      }
    } finally {
      await client.close();
    }
  }

  /**
   * New servers first, then the switch, then the old ones end: the address answers all the time, and when one new server
   * does not get ready nothing has changed.
   */
  async #rollTo(state: EncryptionState): Promise<void> {
    const { plugins, balancer } = this.#parts;
    const old = this.#servers;
    const keptKeys = old.length === 0 ? [] : this.#encryption.slots;
    try {
      await plugins.start(state.slots);
      this.#servers = [await this.#startServer(state)];
    } catch (error) {
      await plugins.retain(keptKeys);
      throw error;
    }
    balancer.setBackends(this.#servers.map((server) => server.port));
    await Promise.all(
      old.map(async (server) => {
        await balancer.drain(server.port, { graceInMs: DRAIN_GRACE_IN_MS });
        await server.stop();
      }),
    );
    await plugins.retain(state.slots);
  }

  async #startServer(state: EncryptionState): Promise<ApiServer> {
    const { options, layout, etcd, admin, plugins, balancer, apiServerBinary, abort } = this.#parts;
    this.#startedServers++;
    const server = await startApiServer({
      binary: apiServerBinary,
      kubernetesMinor: options.kubernetesMinor,
      serial: this.#startedServers,
      layout,
      etcdUrl: etcd.url,
      encryption: encryptionConfiguration(state, (kid) => plugins.endpointOf(kid)),
      admin,
      hints: () => plugins.failures(),
      signal: abort.signal,
    });
    void server.exited.then(() => {
      // When it ended by itself: the address must not send anyone to a dead server.
      if (!this.#servers.includes(server)) return;
      this.#servers = this.#servers.filter((other) => other !== server);
      balancer.setBackends(this.#servers.map(({ port }) => port));
    });
    return server;
  }

  async #stopServers(): Promise<void> {
    const { balancer, plugins } = this.#parts;
    const servers = this.#servers;
    this.#servers = [];
    balancer.setBackends([]);
    await Promise.all(servers.map((server) => server.stop()));
    await plugins.retain([]);
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
