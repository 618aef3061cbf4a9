/** What the tests of the Kubernetes part share: a real cluster, Secrets in it, and a runner that counts heartbeats. */
import { rm } from 'node:fs/promises';
import { Pool } from 'undici';
import { connectKubernetes, type KubeConnection } from '../../activities/kubernetes/connection';
import type { Running } from '../../activities/running';
import type { ConvergenceLimits } from '../../activities/convergence';
import type { Pace } from '../../activities/secrets/pass';
import type { KmsTarget } from '../../domain/encryption';
import { createCluster } from '../../sandbox/cluster/cluster';
import type { SandboxCluster } from '../../sandbox/cluster/contract';
import { countByKey, readSecretRecords, type KeyCount } from '../../sandbox/cluster/raw-records';
import { accessOf, createMemoryVault, temporaryDirectory, type MemoryVault } from '../sandbox/cluster-support';

/** Impatient: everything here is on one machine. */
export const LIMITS: ConvergenceLimits = {
  deadlineInMs: 30_000,
  pollInMs: 50,
  stillProbes: 20,
  silenceInMs: 2_000,
  drainInMs: 0,
};
/** As fast as it goes. */
export const PACE: Pace = { inFlight: 32, latencyLimit: null, perSecond: null };

/** A runner outside Temporal. */
export interface TestRunning extends Running {
  readonly heartbeats: unknown[];
  abort(reason: Error): void;
}

export function testRunning(): TestRunning {
  const controller = new AbortController();
  const heartbeats: unknown[] = [];
  return {
    heartbeats,
    heartbeat: (details) => void heartbeats.push(details),
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
  };
}

/** How a test cluster is to be. */
export interface TestClusterOptions {
  /** `1.34` when absent. KMS is v1 below 1.27. */
  readonly kubernetesMinor?: string;
  /** 1 when absent. */
  readonly apiServers?: number;
  readonly kmsProviderNames?: 'per-key' | 'shared';
  /** Whether it writes with a key from the start; true when absent. */
  readonly kms?: boolean;
  /** At this size its etcd stores nothing more. */
  readonly etcdQuotaInBytes?: number;
}

/** A real etcd and kube-apiserver whose Secrets are under a key of a vault in memory. */
export class TestCluster {
  private constructor(
    readonly cluster: SandboxCluster,
    readonly vault: MemoryVault,
    private readonly directory: string,
    private readonly keys: string[],
    private ownConnection: KubeConnection,
    private readonly pool: Pool,
  ) {}

  /** Keyturn's. */
  get connection(): KubeConnection {
    return this.ownConnection;
  }

  /** Goes on with new connections, as each activity does: one that is kept leads to the server that it was opened to, also after that was replaced. */
  async reconnect(): Promise<void> {
    await this.ownConnection.close();
    this.ownConnection = connectKubernetes(this.cluster.adminKubeconfig, PACE.inFlight);
  }

  static async start(options: TestClusterOptions = {}): Promise<TestCluster> {
    const { kubernetesMinor = '1.34', apiServers, kmsProviderNames, kms = true, etcdQuotaInBytes } = options;
    const vault = createMemoryVault();
    const directory = await temporaryDirectory();
    const keys = kms ? [vault.addKey()] : [];
    const cluster = await createCluster({
      name: 'c1',
      kubernetesMinor,
      apiServers,
      kmsProviderNames,
      etcdQuotaInBytes,
      encryption: kms ? { write: 'kms', slots: [...keys] } : { write: 'identity', slots: [] },
      crypto: vault,
      directory,
    });
    const { server, tls } = accessOf(cluster.adminKubeconfig);
    const pool = new Pool(server, { connections: 8, connect: tls });
    const connection = connectKubernetes(cluster.adminKubeconfig, PACE.inFlight);
    return new TestCluster(cluster, vault, directory, keys, connection, pool);
  }

  /** The key that the cluster writes with. */
  get key(): string {
    return this.keys.at(-1) ?? '';
  }

  get target(): KmsTarget {
    return { scheme: 'kms-v2', keyId: this.key };
  }

  get previousKey(): string {
    return this.keys.at(-2) ?? '';
  }

  /** Turns the cluster to a new key, as AKS does it; switches KMS on when it was off. */
  async switchKey(): Promise<void> {
    this.keys.push(this.vault.addKey());
    await this.cluster.applyEncryption({ write: 'kms', slots: this.keys.slice(-2).reverse() });
  }

  /** Switches KMS off, as AKS does it: the key goes on serving reads. */
  async switchOff(): Promise<void> {
    await this.cluster.applyEncryption({ write: 'identity', slots: [this.key] });
  }

  /** How many Secrets are stored under which key, read from etcd past the API server. */
  async stored(): Promise<KeyCount> {
    return countByKey(readSecretRecords(this.cluster.etcdUrl), { newKeyId: this.key, oldKeyId: this.previousKey });
  }

  /** A request of somebody else: not of Keyturn. @returns the parsed answer @throws Error for every error status */
  async call(method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<Answer> {
    const { statusCode, body: text } = await this.pool.request({
      method,
      path,
      headers: { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = (await text.json()) as Answer;
    if (statusCode > 299) throw new Error(`${method} ${path}: ${statusCode} ${answer.message}`);
    return answer;
  }

  createSecret(name: string, labels: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.call('POST', SECRETS, {
      metadata: { name, labels },
      stringData: { password: `value-of-${name}` },
    });
  }

  async stop(): Promise<void> {
    await this.connection.close();
    await this.pool.destroy();
    await this.cluster.destroy();
    await rm(this.directory, { recursive: true, force: true });
  }
}

export const SECRETS = '/api/v1/namespaces/default/secrets';

/** As much of an answer as tests look at. */
export interface Answer {
  readonly metadata: { readonly resourceVersion: string; readonly uid: string; readonly name: string };
  readonly message?: string;
}
