/**
 * A sandbox cluster: one etcd, its KMS plugins, and API servers behind one fixed address.
 *
 * Needs: the binaries of tools/, an empty directory, a vault to encrypt with.
 * Does: lets changes run one after the other; control-plane.ts carries them out.
 * Never does: bring back an API server that ended by itself; stop and start, or the next change, does.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { findTool, TOOL_NAMES, type ToolName } from '../../tools';
import { messageOf } from '../message-of';
import { startAnswerLoser, type AnswerLoser } from './answer-loser';
import type { ApiCredentials } from './api-client';
import {
  UnknownSnapshotError,
  type ClusterFactory,
  type ClusterOptions,
  type EncryptionState,
  type LostAnswer,
  type SandboxCluster,
  type ServerState,
  type TokenKey,
  type Traffic,
  type WebhookConfiguration,
} from './contract';
import { ControlPlane } from './control-plane';
import { checkEncryptionState } from './encryption-config';
import { loadSnapshot, saveSnapshot, startEtcd, type Etcd, type EtcdOptions } from './etcd';
import { createKmsPlugins } from './kms-plugins';
import { setKonnectivityAgents } from './konnectivity';
import { adminKubeconfig } from './kubeconfig';
import { kmsVersionOf } from './kubernetes-minor';
import { layoutOf, prepareLayout } from './layout';
import { startLoadBalancer, type LoadBalancer } from './load-balancer';
import { ensureNamespaces } from './namespaces';
import { findHostNames } from './own-host-name';
import type { SecretRequests } from './request-counts';
import { readWebhooks } from './webhooks';
import { countSecretProviderClasses } from './secret-provider-classes';
import { readTokenKey } from './token-keys';

/** The most API servers that a cluster of the sandbox has: each takes about 330 MB. */
export const MAX_API_SERVERS = 5;

/** {@inheritDoc ClusterFactory} */
export const createCluster: ClusterFactory = async (options) => {
  const { apiServers = 1, kubernetesMinor, encryption } = options;
  checkEncryptionState(encryption);
  if (!Number.isInteger(apiServers) || apiServers < 1 || apiServers > MAX_API_SERVERS) {
    throw new Error(`A cluster has 1 to ${MAX_API_SERVERS} API servers, not ${apiServers}.`);
  }
  const etcdBinary = await findTool('etcd');
  const binary = await findTool(apiServerTool(kubernetesMinor));
  const { layout, admin, kubelet } = await prepareLayout(options.directory);
  const hostNames = apiServers > 1 ? await findHostNames() : undefined;
  const abort = new AbortController();
  const balancer = await startLoadBalancer();
  const etcdOptions = {
    binary: etcdBinary,
    directory: layout.etcd,
    logFile: join(layout.logs, 'etcd.log'),
    quotaInBytes: options.etcdQuotaInBytes,
    signal: abort.signal,
  };
  let cluster: LocalCluster | undefined;
  try {
    const etcd = await startEtcd(etcdOptions);
    const controlPlane = new ControlPlane({
      clusterName: options.name,
      count: apiServers,
      config: { encryption, kubernetesMinor, binary, issuer: options.issuer },
      kmsProviderNames: options.kmsProviderNames ?? 'per-key',
      layout,
      admin,
      etcdUrl: etcd.url,
      plugins: createKmsPlugins(layout.kms, options.crypto),
      balancer,
      hostNames,
      signal: abort.signal,
    });
    cluster = new LocalCluster({ options, admin, kubelet, etcdOptions, etcd, abort, controlPlane, balancer });
    await cluster.start();
    await ensureNamespaces(cluster.server, admin);
    if (options.konnectivityAgents === true) await cluster.setKonnectivityAgents(true);
    return cluster;
  } catch (error) {
    await cluster?.endProcesses();
    await balancer.close();
    const reason = messageOf(error);
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
  readonly admin: ApiCredentials;
  readonly kubelet: ApiCredentials;
  readonly etcdOptions: EtcdOptions;
  readonly etcd: Etcd;
  readonly controlPlane: ControlPlane;
  readonly balancer: LoadBalancer;
  /** Ends waits for servers when the cluster is destroyed meanwhile. */
  readonly abort: AbortController;
}

class LocalCluster implements SandboxCluster {
  readonly etcdUrl: string;
  readonly server: string;
  readonly #parts: Parts;
  #admin: ApiCredentials;
  #adminKubeconfig: string;
  #kubelet: ApiCredentials;
  #etcd: Etcd;
  #lateServers = 0;
  #answerLoser: AnswerLoser | undefined;
  /** Whether a client stopped it: only then do its servers stay down after a snapshot or a restore. */
  #stopped = false;
  #snapshots: readonly string[] = [];
  /** Changes run one after the other: the end of the last one. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#etcd = parts.etcd;
    this.server = `https://127.0.0.1:${parts.balancer.port}`;
    this.etcdUrl = parts.etcd.url;
    this.#admin = parts.admin;
    this.#kubelet = parts.kubelet;
    this.#adminKubeconfig = adminKubeconfig(parts.options.name, this.server, parts.admin);
  }

  get adminKubeconfig(): string {
    return this.#adminKubeconfig;
  }

  get kubelet(): ApiCredentials {
    return this.#kubelet;
  }

  applyEncryption(encryption: EncryptionState): Promise<void> {
    return this.#inTurn(async () => {
      const { controlPlane } = this.#parts;
      checkEncryptionState(encryption);
      this.#requireRunning('changing its encryption');
      await controlPlane.rollTo({ ...controlPlane.config, encryption }, this.#lateServers);
    });
  }

  setLateServers(count: number): void {
    const fewer = count < this.#lateServers;
    this.#lateServers = count;
    if (!fewer) return;
    // The request does not wait for this, as in Azure; a server that stays behind says why in `servers()`.
    this.#inTurn(() => this.#parts.controlPlane.finish(this.#lateServers)).catch(() => undefined);
  }

  setKeepReplaced(keep: boolean): void {
    this.#parts.controlPlane.setKeepReplaced(keep);
  }

  servers(): readonly ServerState[] {
    return this.#parts.controlPlane.servers();
  }

  upgrade(kubernetesMinor: string): Promise<void> {
    return this.#inTurn(async () => {
      const { controlPlane, options } = this.#parts;
      const { config } = controlPlane;
      this.#requireRunning('upgrading it');
      if (config.encryption.write === 'kms' && kmsVersionOf(config.kubernetesMinor) !== kmsVersionOf(kubernetesMinor)) {
        throw new Error(
          `${options.name} cannot be upgraded from ${config.kubernetesMinor} to ${kubernetesMinor} while KMS is on: what ` +
            'KMS v1 wrote cannot be read with KMS v2. Disable KMS and rewrite all Secrets first.',
        );
      }
      const binary = await findTool(apiServerTool(kubernetesMinor));
      await controlPlane.rollTo({ ...config, kubernetesMinor, binary }, 0);
    });
  }

  snapshot(): Promise<string> {
    return this.#inTurn(async () => {
      const name = `snapshot-${this.#snapshots.length + 1}`;
      await this.#whileStopped(() => saveSnapshot(this.#parts.etcdOptions.directory, name));
      this.#snapshots = [...this.#snapshots, name];
      return name;
    });
  }

  restore(snapshot: string): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.#snapshots.includes(snapshot)) {
        const known = this.#snapshots.length === 0 ? 'It has none.' : `It has ${this.#snapshots.join(', ')}.`;
        throw new UnknownSnapshotError(`${this.#parts.options.name} has no snapshot ${snapshot}. ${known}`);
      }
      await this.#whileStopped(() => loadSnapshot(this.#parts.etcdOptions.directory, snapshot));
    });
  }

  rotateCertificates(): Promise<void> {
    return this.#inTurn(async () => {
      const { controlPlane, options } = this.#parts;
      await controlPlane.stop();
      const { admin, kubelet } = await prepareLayout(options.directory);
      controlPlane.setAdmin(admin);
      this.#admin = admin;
      this.#kubelet = kubelet;
      this.#adminKubeconfig = adminKubeconfig(options.name, this.server, admin);
      if (!this.#stopped) await controlPlane.start();
    });
  }

  webhooks(): Promise<readonly WebhookConfiguration[]> {
    return this.#inTurn(async () =>
      this.#parts.controlPlane.running ? await readWebhooks(this.server, this.#admin) : [],
    );
  }

  setKonnectivityAgents(present: boolean): Promise<void> {
    return this.#inTurn(() => setKonnectivityAgents(this.server, this.#admin, present));
  }

  async tokenKeys(): Promise<readonly TokenKey[]> {
    return [await readTokenKey(layoutOf(this.#parts.options.directory).serviceAccountPublicKey)];
  }

  setIssuer(issuer: string): Promise<void> {
    return this.#inTurn(async () => {
      const { controlPlane } = this.#parts;
      this.#requireRunning('changing the issuer of its tokens');
      await controlPlane.rollTo({ ...controlPlane.config, issuer }, this.#lateServers);
    });
  }

  countSecretProviderClasses(): Promise<number> {
    return countSecretProviderClasses(this.server, this.#admin);
  }

  setLatency(latencyInMs: number): void {
    this.#parts.balancer.setLatency(latencyInMs);
  }

  secretRequests(): Promise<SecretRequests> {
    return this.#inTurn(() => this.#parts.controlPlane.secretRequests());
  }

  setLostAnswers(times: number, onLost: (lost: LostAnswer) => void): Promise<void> {
    return this.#inTurn(async () => {
      const { balancer, options } = this.#parts;
      balancer.setFront(undefined);
      await this.#answerLoser?.close();
      this.#answerLoser = undefined;
      if (times === 0) return;
      const layout = layoutOf(options.directory);
      this.#answerLoser = await startAnswerLoser({ layout, backends: () => balancer.backends(), times, onLost });
      balancer.setFront(this.#answerLoser.port);
    });
  }

  traffic(): Traffic {
    return this.#parts.balancer.traffic();
  }

  restartServers(): Promise<void> {
    return this.#inTurn(() => this.#parts.controlPlane.restart());
  }

  stop(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#parts.controlPlane.stop();
      this.#stopped = true;
    });
  }

  start(): Promise<void> {
    return this.#inTurn(async () => {
      const { controlPlane } = this.#parts;
      if (!controlPlane.running) await controlPlane.start();
      this.#stopped = false;
    });
  }

  async destroy(): Promise<void> {
    await this.endProcesses();
    await rm(this.#parts.options.directory, { recursive: true, force: true });
  }

  /** Ends every process; data and logs stay, to be looked at. */
  endProcesses(): Promise<void> {
    const { abort, balancer, controlPlane, options } = this.#parts;
    abort.abort(new Error(`The cluster ${options.name} is being destroyed.`));
    return this.#inTurn(async () => {
      await controlPlane.stop();
      await this.#answerLoser?.close();
      await balancer.close();
      await this.#etcd.stop();
    });
  }

  /** Does something to etcd's data while nothing runs; then all runs again, at the same addresses. */
  async #whileStopped(work: () => Promise<void>): Promise<void> {
    const { controlPlane, etcdOptions } = this.#parts;
    await controlPlane.stop();
    await this.#etcd.stop();
    try {
      await work();
    } finally {
      this.#etcd = await startEtcd({ ...etcdOptions, port: this.#etcd.port });
    }
    if (!this.#stopped) await controlPlane.start();
  }

  #requireRunning(purpose: string): void {
    if (this.#parts.controlPlane.running) return;
    throw new Error(`No API server of ${this.#parts.options.name} is running: start it before ${purpose}.`);
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
