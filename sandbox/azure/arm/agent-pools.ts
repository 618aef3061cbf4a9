/**
 * Versions of agent pools: which one a PUT asks for, whether AKS takes it, and how a body shows it (facts 1.1). Pure.
 *
 * There are no nodes: a pool is at its new version when the operation is done.
 */
import { minorNumber } from '../../cluster/kubernetes-minor';
import { badRequest, type AzureError } from '../errors';
import { isJsonObject, objectAt, type JsonObject } from '../json';
import { compareReleases, releaseFor, type KubernetesRelease } from './kubernetes-versions';

/** A pool of a PUT. */
export interface PoolVersion {
  readonly name: string;
  /** What its nodes run; undefined when it is new. */
  readonly from?: KubernetesRelease;
  readonly to: KubernetesRelease;
}

/** The pools of a body. */
export function poolsOf(body: JsonObject | undefined): JsonObject[] {
  const pools = objectAt(body, 'properties')['agentPoolProfiles'];
  return Array.isArray(pools) ? pools.filter(isJsonObject) : [];
}

/**
 * The version that each pool of a PUT is to have. A pool that names none keeps its own, or is made like the control plane;
 * one that names its own minor without a patch keeps its patch.
 * @throws AzureError 400 when the sandbox does not serve a version
 */
export function poolVersions(
  sent: JsonObject,
  before: JsonObject | undefined,
  controlPlane: KubernetesRelease,
): PoolVersion[] {
  const old = new Map(poolsOf(before).map((pool) => [pool['name'], pool]));
  return poolsOf(sent).map((pool) => {
    const known = old.get(pool['name']);
    const from = known === undefined ? undefined : releaseFor(String(known['currentOrchestratorVersion']));
    const asked = pool['orchestratorVersion'];
    const named = typeof asked === 'string' && asked !== '' ? releaseFor(asked) : (from ?? controlPlane);
    const to = from !== undefined && asked === from.minor ? from : named;
    return { name: String(pool['name']), ...(from === undefined ? {} : { from }), to };
  });
}

/** @throws AzureError 400 for the first pool that AKS would not have beside this control plane */
export function checkPools(pools: readonly PoolVersion[], controlPlane: KubernetesRelease): void {
  for (const { name, from, to } of pools) {
    if (from !== undefined && compareReleases(to, from) < 0) {
      throw refuse(
        'SandboxDowngradeNotAllowed',
        `The agent pool ${name} runs Kubernetes ${from.patch} and cannot go back to ${to.patch}.`,
      );
    }
    if (compareReleases(to, controlPlane) > 0) {
      const [pool, server] = [minorNumber(to.minor), minorNumber(controlPlane.minor)];
      // As in rancher/rancher#33426; the text for two patches of one minor is not known.
      const why =
        pool > server
          ? `Minor version of node pool version ${pool} is bigger than control plane version ${server}.`
          : 'The version of the node pool is bigger than the control plane version.';
      throw refuse(
        'NodePoolMcVersionIncompatible',
        `Node pool version ${to.patch} and control plane version ${controlPlane.patch} are incompatible. ${why} For more information, please check https://aka.ms/version-skew-policy`,
      );
    }
    const behind = minorNumber(controlPlane.minor) - minorNumber(to.minor);
    if (behind > mostBehind(controlPlane)) {
      throw refuse(
        'SandboxPoolTooOld',
        `The agent pool ${name} would be at Kubernetes ${to.patch}, ${behind} minors behind the control plane at ${controlPlane.patch}; AKS allows ${mostBehind(controlPlane)}. Upgrade the pool first.`,
      );
    }
  }
}

/** The body once the pools are at their versions. */
export function withPoolsAt(body: JsonObject, pools: readonly PoolVersion[]): JsonObject {
  const versions = new Map(pools.map(({ name, to }) => [name, to.patch]));
  return {
    ...body,
    properties: {
      ...objectAt(body, 'properties'),
      agentPoolProfiles: poolsOf(body).map((pool) => {
        const version = versions.get(String(pool['name']));
        return version === undefined ? pool : { ...pool, currentOrchestratorVersion: version };
      }),
    },
  };
}

/** kubelets may be two minors older than the API server, three from 1.28 on (kubernetes.io/releases/version-skew-policy). */
function mostBehind({ minor }: KubernetesRelease): number {
  return minorNumber(minor) >= 28 ? 3 : 2;
}

function refuse(code: string, message: string): AzureError {
  return badRequest(message, code, { shape: 'bare' });
}
