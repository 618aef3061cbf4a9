/**
 * The node sides of all clusters of a sandbox: one node for each running cluster whose add-on of the Secrets Store CSI driver was on, and
 * the webhook of each whose workload identity is on.
 *
 * Needs: to hear what ARM turns on and off (`onNodeFeatures`), who gives tokens of scale sets, the proxy.
 * Does: installs and removes the objects of the add-on and the webhook, starts nodes, and tells them what is on.
 * Never does: decide whether the add-on may be turned off: ARM does.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import {
  TokenRefused,
  type AzureAccess,
  type InstanceTokens,
  type NodeOptions,
  type PodTokens,
  type SandboxNode,
} from './cluster/node/contract';
import { removeIdentityWebhook, startIdentityWebhook, type IdentityWebhook } from './cluster/node/identity-webhook';
import { installSecretsProvider, removeSecretsProvider } from './cluster/node/install';
import { startSandboxNode } from './cluster/node/node';

/** What ARM says of a cluster. */
export interface NodeFeaturesSeen {
  readonly clusterId: string;
  readonly running: NodeOptions['cluster'];
  /** Null while the add-on is off. */
  readonly secretsProvider: { readonly enableSecretRotation: boolean; readonly rotationPollInterval: string } | null;
  readonly workloadIdentity: boolean;
  /** Where workloads of the cluster's cloud sign in: `login.microsoftonline.com` */
  readonly loginHost: string;
  /** The API servers end after this: the cluster is being stopped or deleted. */
  readonly ends: boolean;
}

/** Who gives tokens of the identities of scale sets: IMDS. */
export interface InstanceTokenSource {
  /** Rejects with an error that has `status` and `toBody()`. */
  tokenFor(
    clusterId: string,
    choice: { readonly clientId?: string },
    resource: string,
  ): Promise<{ readonly access_token: string }>;
}

/** What node sides are made from. */
export interface NodeSidesOptions {
  /** Below it each node has a directory of its own. */
  readonly directory: string;
  readonly azure: AzureAccess;
  readonly tenantId: string;
  readonly instanceIdentities: InstanceTokenSource;
  /** The proxy for the nodes of a cluster, by which vaults know their network; the one of `azure` when absent. */
  readonly proxyUrlForNodes?: (this: void, clusterId: string) => Promise<string>;
  /** The sandbox's Entra when absent. */
  readonly podTokens?: PodTokens;
  /** {@inheritDoc NodeOptions.mountRetryLimitInMs} */
  readonly mountRetryLimitInMs?: number;
}

/** The node sides of all clusters. */
export interface NodeSides {
  /** Brings a cluster's node side to what is on; resolves when its API server has the objects. May be given to `onNodeFeatures`. */
  apply(this: void, features: NodeFeaturesSeen): Promise<void>;
  close(): Promise<void>;
}

/** Makes node sides; no node runs before the add-on of a cluster is on. */
export function createNodeSides(options: NodeSidesOptions): NodeSides {
  const nodes = new Map<string, SandboxNode>();
  let closed = false;
  const { tenantId } = options;
  const webhooks = new Map<string, IdentityWebhook>();

  async function nodeOf({ clusterId, running }: NodeFeaturesSeen): Promise<SandboxNode> {
    const key = clusterId.toLowerCase();
    const known = nodes.get(key);
    if (known !== undefined) return known;
    const { azure } = options;
    const proxyUrl = (await options.proxyUrlForNodes?.(clusterId)) ?? azure.proxyUrl;
    const node = await startSandboxNode({
      cluster: running,
      directory: join(options.directory, `node-${createHash('sha256').update(key).digest('hex').slice(0, 8)}`),
      azure: { ...azure, proxyUrl },
      podTokens: options.podTokens,
      mountRetryLimitInMs: options.mountRetryLimitInMs,
      instanceTokens: instanceTokensOf(options.instanceIdentities, clusterId),
    });
    nodes.set(key, node);
    return node;
  }

  /** Brings the webhook to what is on. */
  async function applyWebhook({
    clusterId,
    running,
    workloadIdentity,
    loginHost,
    ends,
  }: NodeFeaturesSeen): Promise<void> {
    const key = clusterId.toLowerCase();
    const known = webhooks.get(key);
    const wanted = workloadIdentity && !ends && !closed;
    if (wanted === (known !== undefined)) return;
    if (wanted) {
      webhooks.set(key, await startIdentityWebhook(running, { tenantId, authorityHost: `https://${loginHost}/` }));
      return;
    }
    webhooks.delete(key);
    if (!ends && !closed) await removeIdentityWebhook(running);
    await known?.close();
  }

  return {
    async apply(features) {
      const { clusterId, running, secretsProvider, ends } = features;
      const known = nodes.get(clusterId.toLowerCase());
      await applyWebhook(features);
      if (closed || ends) {
        nodes.delete(clusterId.toLowerCase());
        await known?.close();
        return;
      }
      if (secretsProvider === null) {
        if (known === undefined) return;
        known.setDriver(undefined);
        await removeSecretsProvider(running);
        return;
      }
      const config = {
        rotation: secretsProvider.enableSecretRotation,
        pollIntervalInMs: goDurationInMs(secretsProvider.rotationPollInterval),
      };
      await installSecretsProvider(running, config);
      const node = await nodeOf(features);
      node.setDriver(config);
    },
    async close() {
      closed = true;
      await Promise.all([...nodes.values(), ...webhooks.values()].map((one) => one.close()));
      nodes.clear();
      webhooks.clear();
    },
  };
}

/** Milliseconds of a Go duration: `2m`, `1h30m`, `500ms`. */
export function goDurationInMs(duration: string): number {
  const units: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
  const parts = [...duration.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)];
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ''] ?? 0), 0);
}

function instanceTokensOf(source: InstanceTokenSource, clusterId: string): InstanceTokens {
  return {
    async tokenFor({ clientId, resource }) {
      try {
        return (await source.tokenFor(clusterId, { clientId }, resource)).access_token;
      } catch (error) {
        const { status, toBody } = error as { status?: number; toBody?: () => unknown };
        if (status === undefined || toBody === undefined) throw error;
        const url = 'GET http://169.254.169.254/metadata/identity/oauth2/token';
        throw new TokenRefused(url, status, JSON.stringify(toBody.call(error)));
      }
    },
  };
}
