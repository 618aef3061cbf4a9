/**
 * The seam between the sandbox's ARM and the clusters that it manages.
 *
 * ARM knows resource ids, profiles, operations and permissions; a cluster knows etcd, kube-apiserver and KMS plugins.
 * Neither imports the other: both import this page.
 */

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

/** A running cluster: one etcd, one or more kube-apiservers behind one address. */
export interface SandboxCluster {
  /** Kubeconfig (YAML) of cluster-admin, by client certificate; its server is a fixed https://127.0.0.1:PORT. */
  readonly adminKubeconfig: string;
  /** Plain-http loopback URL of etcd, for looking at raw records: the auditor's oracle, not part of Azure. */
  readonly etcdUrl: string;
  /** Rolls every API server to `state`. Resolves when only servers with that state are left; rejects, and keeps the old servers, when one does not get ready. */
  applyEncryption(state: EncryptionState): Promise<void>;
  /** Delays every chunk that API server connections carry by this long, both ways: a fault that tests switch on. 0 is off. */
  setLatency(latencyInMs: number): void;
  /** az aks stop: API servers end, etcd data stays. */
  stop(): Promise<void>;
  /** az aks start, with the encryption it had. */
  start(): Promise<void>;
  /** Ends everything and removes the data. */
  destroy(): Promise<void>;
}

/** What a cluster is made from. */
export interface ClusterOptions {
  readonly name: string;
  /** `1.34`: the minor; the patch is the one that tools/ pins. */
  readonly kubernetesMinor: string;
  readonly encryption: EncryptionState;
  readonly crypto: VaultCrypto;
  /** An empty directory for data, sockets and logs. Keep socket paths short: sun_path holds 104 bytes on macOS. */
  readonly directory: string;
}

/** Starts a cluster; resolves when its API answers /readyz and the namespaces `default` and `kube-system` exist. */
export type ClusterFactory = (options: ClusterOptions) => Promise<SandboxCluster>;
