/**
 * Which changes of `kubernetesVersion` AKS accepts (facts 1.1 and 4.3): one minor at a time, upwards, alone, and not past
 * KMS v1 while KMS is on. Codes are the sandbox's own: Azure publishes no texts for these.
 */
import { kmsVersionOf, minorNumber } from '../../cluster/kubernetes-minor';
import { type AzureError, badRequest } from '../errors';
import type { PoolVersion } from './agent-pools';
import { compareReleases, type KubernetesRelease } from './kubernetes-versions';

/** What a PUT would change, and what there is. */
export interface UpgradeRequest {
  readonly clusterName: string;
  readonly from: KubernetesRelease;
  readonly to: KubernetesRelease;
  /** The agent pools as the PUT wants them. */
  readonly pools: readonly PoolVersion[];
  /** Whether KMS is on, by ARM's record or in the API servers: after a failed operation these can differ. */
  readonly kmsOn: boolean;
  /** Whether the same PUT changes azureKeyVaultKms. */
  readonly kmsChanged: boolean;
}

/** Accepts a PUT that keeps the minor and leaves the pools alone. @throws AzureError 400 for the first rule that is violated. */
export function checkUpgrade({ clusterName, from, to, pools, kmsOn, kmsChanged }: UpgradeRequest): void {
  const moved = pools.find((pool) => pool.from !== undefined && compareReleases(pool.from, pool.to) !== 0);
  if (kmsChanged && moved !== undefined) {
    throw refuse(
      'SandboxUpgradeNotAlone',
      `The PUT changes the version of the agent pool ${moved.name} and azureKeyVaultKms as well. Change one, wait for the end, then change the other.`,
    );
  }
  const step = minorNumber(to.minor) - minorNumber(from.minor);
  if (step === 0) return;
  if (step < 0) {
    throw refuse(
      'SandboxDowngradeNotAllowed',
      `The managed cluster ${clusterName} runs Kubernetes ${from.patch} and cannot go back to ${to.patch}.`,
    );
  }
  if (step > 1) {
    throw refuse(
      'SandboxUpgradeSkipsMinor',
      `The managed cluster ${clusterName} runs Kubernetes ${from.patch} and cannot be upgraded to ${to.patch}: minor versions cannot be skipped. The next minor after ${from.minor} is 1.${minorNumber(from.minor) + 1}.`,
    );
  }
  if (kmsChanged) {
    throw refuse(
      'SandboxUpgradeNotAlone',
      `The PUT changes kubernetesVersion from ${from.patch} to ${to.patch} and azureKeyVaultKms as well. Change one, wait for the end, then change the other.`,
    );
  }
  if (kmsOn && kmsVersionOf(from.minor) !== kmsVersionOf(to.minor)) {
    throw refuse(
      'SandboxUpgradeBlockedByKmsV1',
      `The managed cluster ${clusterName} has KMS v1 enabled, which blocks the upgrade to ${to.patch}. Disable KMS, rewrite all Secrets, upgrade, then enable KMS again.`,
    );
  }
}

function refuse(code: string, message: string): AzureError {
  return badRequest(message, code, { shape: 'bare' });
}
