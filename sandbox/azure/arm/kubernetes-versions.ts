/** The Kubernetes versions that the sandbox can run. One row per minor that tools/ has binaries for. */
import { minorNumber } from '../../cluster/kubernetes-minor';
import { badRequest } from '../errors';
import type { JsonObject } from '../json';

/** One minor. */
export interface KubernetesRelease {
  readonly minor: string;
  /** The patch that tools/ pins. */
  readonly patch: string;
  /** Taken when a PUT asks for "" (the server's default). */
  readonly default: boolean;
}

/** What can be run now. */
export const KUBERNETES_RELEASES: readonly KubernetesRelease[] = [
  { minor: '1.26', patch: '1.26.15', default: false },
  { minor: '1.27', patch: '1.27.3', default: false },
  { minor: '1.34', patch: '1.34.1', default: true },
];

/**
 * The release that a `kubernetesVersion` means: "", "1.34" and "1.34.1" all mean one.
 * @throws AzureError 400 SandboxKubernetesVersionNotServed, naming those that are.
 */
export function releaseFor(kubernetesVersion: string): KubernetesRelease {
  const found = KUBERNETES_RELEASES.find(
    (release) =>
      kubernetesVersion === release.minor ||
      kubernetesVersion === release.patch ||
      (kubernetesVersion === '' && release.default),
  );
  if (found !== undefined) return found;
  const served = KUBERNETES_RELEASES.map(({ minor, patch }) => `${minor} (${patch})`).join(', ');
  throw badRequest(
    `The sandbox cannot run Kubernetes ${kubernetesVersion}. It runs ${served}. Ask for one of these, or leave kubernetesVersion empty.`,
    'SandboxKubernetesVersionNotServed',
    { shape: 'bare' },
  );
}

/** The body of `locations/{location}/kubernetesVersions`: what a cluster can be made with, and upgraded to. */
export function kubernetesVersionsBody(): JsonObject {
  return {
    values: KUBERNETES_RELEASES.map((release) => ({
      version: release.minor,
      ...(release.default ? { isDefault: true } : {}),
      capabilities: { supportPlan: ['KubernetesOfficial'] },
      patchVersions: {
        [release.patch]: {
          upgrades: KUBERNETES_RELEASES.filter((to) => isUpgrade(release, to)).map(({ patch }) => patch),
        },
      },
    })),
  };
}

/** The release in whose place a patch is that AKS may have and the sandbox does not run: 1.27.3 for "1.27.1". */
export function releaseInPlaceOf(kubernetesVersion: string): KubernetesRelease | undefined {
  const minor = /^(\d+\.\d+)\.\d+$/.exec(kubernetesVersion)?.[1];
  return KUBERNETES_RELEASES.find((release) => release.minor === minor && release.patch !== kubernetesVersion);
}

/** Whether a control plane at `from` can be at `to` next: newer, and no minor in between. */
export function isUpgrade(from: KubernetesRelease, to: KubernetesRelease): boolean {
  const step = minorNumber(to.minor) - minorNumber(from.minor);
  return (step === 0 || step === 1) && compareReleases(to, from) > 0;
}

/** Below 0 when `a` is older than `b`. */
export function compareReleases(a: KubernetesRelease, b: KubernetesRelease): number {
  return minorNumber(a.minor) - minorNumber(b.minor) || patchNumber(a) - patchNumber(b);
}

/** `3` of 1.27.3. */
function patchNumber({ patch }: KubernetesRelease): number {
  return Number(patch.split('.')[2]);
}
