/**
 * The seam between the sandbox's ARM and the clusters that it manages.
 *
 * ARM knows resource ids, profiles, operations and permissions; a cluster knows etcd, kube-apiserver and KMS plugins.
 * Neither imports the other: both import this page.
 */
import type { ApiCredentials } from './api-client';

/** RSA-OAEP-256 in a vault, done as the cluster's own identity: every call is authorized and may fail as Azure's does. */
export interface VaultCrypto {
  /** @param kid versioned key id, `https://{vault}.vault.azure.net/keys/{name}/{version}` */
  encrypt(kid: string, plaintext: Uint8Array): Promise<Uint8Array>;
  decrypt(kid: string, ciphertext: Uint8Array): Promise<Uint8Array>;
}

/** What every API server of a cluster is to encrypt Secrets with. */
export interface EncryptionState {
  /** `kms`: new writes use `slots[0]`. `identity`: new writes are plaintext, `slots` still serve reads (KMS disabled). */
  readonly write: 'kms' | 'identity';
  /** Versioned key ids, current first, then previous: at most two (AKS has two key slots). */
  readonly slots: readonly string[];
}

/** What the connections of a cluster's address have carried since the cluster was made, in bytes, TLS and all. */
export interface Traffic {
  readonly bytesToClients: number;
  readonly bytesFromClients: number;
}

/** `per-key`: a provider name for each key. `shared`: one name for all keys, current and previous (KMS v1 only). */
export type KmsProviderNames = 'per-key' | 'shared';

/** One API server of a cluster. */
export interface ServerState {
  /** Its host name: the `kubernetes.io/hostname` label of its identity lease. Not its own where servers share a lease. */
  readonly name: string;
  /** https on 127.0.0.1: past the load balancer, for looking at one server alone. */
  readonly port: number;
  readonly pid: number;
  /** `1.34` */
  readonly kubernetesMinor: string;
  /** Versioned id of the key that it writes with, or `identity` for plaintext. */
  readonly writes: string;
  /** Why it could not be brought to the state of the others when `late-servers` was switched off. */
  readonly problem?: string;
}

/** A snapshot that was asked for and is not there. */
export class UnknownSnapshotError extends Error {
  override readonly name = 'UnknownSnapshotError';
}

/** A running cluster: one etcd, one or more kube-apiservers behind one address. */
export interface SandboxCluster {
  /** Kubeconfig (YAML) of cluster-admin, by client certificate; its server is a fixed https://127.0.0.1:PORT. */
  readonly adminKubeconfig: string;
  /** What the kubelets of its nodes serve with, and who signs those whom they let in; another one after `rotateCertificates`. */
  readonly kubelet: ApiCredentials;
  /** Plain-http loopback URL of etcd, for looking at raw records: the auditor's oracle, not part of Azure. */
  readonly etcdUrl: string;
  /**
   * Rolls every API server to `state`, one at a time. With several servers all of them first learn to read with the new
   * key, and only then does one write with it. Resolves when only servers with that state are left, but for those that
   * `setLateServers` holds back. Rejects when one does not get ready: the servers that were replaced already return to
   * what they were, or, when new writes may exist, to reading with the new key and writing with the old one.
   */
  applyEncryption(state: EncryptionState): Promise<void>;
  /**
   * From now on a roll to another encryption leaves this many servers, the last ones, at its first stage: they write as
   * before and can read with the new key. When the number falls, those that are too many are rolled to the end in the
   * background. 0 is off. A stop, an upgrade, a snapshot, a restore and the next change of the encryption bring late
   * servers to the end too.
   */
  setLateServers(count: number): void;
  /**
   * While it is on, API servers that were replaced go on answering on the connections that are open, and are not ended: as during
   * `--shutdown-delay-duration`, for as long as a test says. What replaced them waits with its end.
   */
  setKeepReplaced(keep: boolean): void;
  /** The API servers that run now, in the order of their host names. */
  servers(): readonly ServerState[];
  /**
   * Rolls every API server to another minor, with the encryption that it has, on the same etcd.
   * @throws Error when KMS is on and the minor has another KMS version; as `applyEncryption` when one does not get ready.
   */
  upgrade(kubernetesMinor: string): Promise<void>;
  /** Copies etcd's data while no server runs; they run again when it resolves, unless stopped. @returns the name for `restore` */
  snapshot(): Promise<string>;
  /**
   * Puts the data of a snapshot in the place of etcd's own: same `etcdUrl`, older resource versions. The API servers start
   * with the encryption of now; when they cannot read what is restored with it, this rejects and none runs. Another restore can mend that.
   * @throws UnknownSnapshotError, with nothing changed.
   */
  restore(snapshot: string): Promise<void>;
  /** Delays every chunk that API server connections carry by this long, both ways: a fault that tests switch on. 0 is off. */
  setLatency(latencyInMs: number): void;
  /**
   * Loses the answers to writes, so many for each object and method: a fault that tests switch on. 0 is off. Connections that are
   * open already stay as they are.
   */
  setLostAnswers(times: number, onLost: (lost: LostAnswer) => void): Promise<void>;
  /** What clients and API servers have said to each other so far. Never goes back, also over stop and start. */
  traffic(): Traffic;
  /**
   * How many requests about Secrets its API servers have answered since the cluster was made, by verb (`GET`, `LIST`, `PATCH` …),
   * their own informers' included. Waits for a change that is under way.
   * @throws Error when a server ended before it could be read
   */
  secretRequests(): Promise<Readonly<Record<string, number>>>;
  /** az aks rotate-certs: a new authority and new credentials; the servers are down for some seconds. `adminKubeconfig` is another one afterwards. */
  rotateCertificates(): Promise<void>;
  /** Ends every API server and starts it again, as a kubelet does: also when the vault refuses the cluster. Then it answers and is not ready. */
  restartServers(): Promise<void>;
  /** Its admission webhooks; none while no API server runs. */
  webhooks(): Promise<readonly WebhookConfiguration[]>;
  /** Makes or removes the konnectivity-agent Deployment and its pods in kube-system. */
  setKonnectivityAgents(present: boolean): Promise<void>;
  /** The public keys of service account tokens, as a JWK set has them: those of the API servers that run, or ran last. */
  tokenKeys(): Promise<readonly TokenKey[]>;
  /**
   * Rolls every API server so that it issues service account tokens as `issuer`, a URL, byte for byte; tokens of the issuer before
   * it stay valid in the cluster.
   */
  setIssuer(issuer: string): Promise<void>;
  /** How many SecretProviderClasses there are; 0 without their CustomResourceDefinition. @throws Error when no API server answers */
  countSecretProviderClasses(): Promise<number>;
  /** az aks stop: API servers end, etcd data stays. */
  stop(): Promise<void>;
  /** az aks start, with the encryption it had. */
  start(): Promise<void>;
  /** Ends everything and removes the data. */
  destroy(): Promise<void>;
}

/** An admission webhook configuration, validating or mutating: what AKS looks at before a stop. */
export interface WebhookConfiguration {
  readonly name: string;
  readonly webhooks: readonly {
    readonly name: string;
    readonly failurePolicy?: string;
    readonly namespaceSelector?: Readonly<Record<string, unknown>>;
    readonly rules?: readonly {
      readonly apiGroups?: readonly string[];
      readonly resources?: readonly string[];
      readonly scope?: string;
    }[];
  }[];
}

/** A public RSA key for RS256, as JSON Web Key. */
export interface TokenKey {
  readonly kty: string;
  readonly n: string;
  readonly e: string;
  readonly kid: string;
  readonly use: 'sig';
  readonly alg: 'RS256';
}

/** A write that was carried out and whose answer never arrived. */
export interface LostAnswer {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** Of the answer that was lost. */
  readonly status: number;
}

/** What a cluster is made from. */
export interface ClusterOptions {
  readonly name: string;
  /** `1.34`: the minor; the patch is the one that tools/ pins. */
  readonly kubernetesMinor: string;
  readonly encryption: EncryptionState;
  readonly crypto: VaultCrypto;
  /** How many API servers, 1 to 5; 1 when absent. Several have a host name and an identity lease each, where the machine allows it. */
  readonly apiServers?: number;
  /** `per-key` when absent; KMS v2 is always per key. */
  readonly kmsProviderNames?: KmsProviderNames;
  /** Whether kube-system has konnectivity-agent pods, as in a cluster without VNet integration; false when absent. */
  readonly konnectivityAgents?: boolean;
  /** Who issues service account tokens: a URL. The issuer inside the cluster when absent. */
  readonly issuer?: string;
  /** At this size its etcd stores nothing more; 8 GiB when absent. */
  readonly etcdQuotaInBytes?: number;
  /** An empty directory for data, sockets and logs. Keep socket paths short: sun_path holds 104 bytes on macOS. */
  readonly directory: string;
}

/** Starts a cluster; resolves when its API answers /readyz and the namespaces `default` and `kube-system` exist. */
export type ClusterFactory = (options: ClusterOptions) => Promise<SandboxCluster>;

/** What AKS's own parts call themselves in requests to the cluster: its node, its add-ons. */
export const AKS_AGENT = 'sandbox-aks';
