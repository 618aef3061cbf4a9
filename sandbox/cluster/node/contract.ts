/**
 * The seams of a sandbox node: what it needs of Azure, and what the rest of the sandbox may ask of it.
 *
 * A node knows pods, volumes and processes; Azure knows identities and tokens. Neither imports the other.
 */
import type { ApiCredentials } from '../api-client';

/** A request for a token that was refused. The provider shows the whole answer in the pod's events. */
export class TokenRefused extends Error {
  override readonly name = 'TokenRefused';

  /** @param request what was asked, for people: `POST https://login.microsoftonline.com/…/oauth2/v2.0/token` */
  constructor(
    readonly request: string,
    readonly status: number,
    /** The body of the answer, as JSON text. */
    readonly body: string,
  ) {
    super(`${request} was answered with ${status}: ${body}`);
  }
}

/** How a pod's service account token becomes a token of an identity (workload identity). */
export interface PodTokens {
  /**
   * @param assertion the service account token, with the audience `api://AzureADTokenExchange`
   * @returns an access token for the resource
   * @throws TokenRefused when Entra knows no federated credential for the token, or no such identity
   */
  exchange(
    assertion: string,
    options: {
      readonly clientId: string;
      readonly tenantId: string;
      /** `https://vault.azure.net` */
      readonly resource: string;
      /** `login.microsoftonline.com` */
      readonly loginHost: string;
    },
  ): Promise<string>;
}

/** Tokens of the identities that the node's scale set has: what IMDS answers at 169.254.169.254. */
export interface InstanceTokens {
  /**
   * @param options.clientId which identity; without it the system-assigned one, or the only user-assigned one
   * @throws TokenRefused when the scale set has no such identity, or several and none was named
   */
  tokenFor(options: { readonly clientId?: string; readonly resource: string }): Promise<string>;
}

/** How the node reaches Azure: by the sandbox's own proxy, as every client does. */
export interface AzureAccess {
  /** `http://127.0.0.1:PORT` */
  readonly proxyUrl: string;
  /** PEM file with the sandbox's authority. */
  readonly caFile: string;
}

/** What the webhook of workload identity puts into the pods of a cluster. */
export interface WorkloadIdentity {
  /** The tenant of the cluster. */
  readonly tenantId: string;
  /** `https://login.microsoftonline.com/` */
  readonly authorityHost: string;
}

/** The add-on azureKeyvaultSecretsProvider, as far as the cluster knows it. */
export interface SecretsProviderConfig {
  /** `config.enableSecretRotation` */
  readonly rotation: boolean;
  /** `config.rotationPollInterval` in milliseconds; two minutes when absent. */
  readonly pollIntervalInMs?: number;
}

/** What a node is made from. */
export interface NodeOptions {
  readonly cluster: {
    /** Read again for each call: it is another one after `az aks rotate-certs`. */
    readonly adminKubeconfig: string;
    /** What the kubelet serves with, read again for each connection; without it there is no `kubectl exec`. */
    readonly kubelet?: ApiCredentials;
  };
  /** For volumes, working directories and logs of pods; made if missing. */
  readonly directory: string;
  readonly azure: AzureAccess;
  /** The sandbox's Entra when absent. */
  readonly podTokens?: PodTokens;
  readonly instanceTokens: InstanceTokens;
  /** `aks-nodepool1-00000000-vmss000000` when absent. */
  readonly name?: string;
  /**
   * The longest pause between two tries to mount, in milliseconds; 5 s when absent. A kubelet's grows to two minutes, for which
   * nobody wants to wait in a sandbox.
   */
  readonly mountRetryLimitInMs?: number;
}

/** A running node. */
export interface SandboxNode {
  readonly name: string;
  /** The add-on as it is from now on; undefined when it is off: then no volume is mounted and none rotates. */
  setDriver(config: SecretsProviderConfig | undefined): void;
  /** Ends the processes of its pods and removes their files. The pods stay in the API server as they are. */
  close(): Promise<void>;
}
