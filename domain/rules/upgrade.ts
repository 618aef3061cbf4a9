/** What must hold before an upgrade to KMS v2. Source: AKS documents, "Migrate to KMS v2". */
import { kmsScheme, minorOf } from '../encryption';
import type { Rule } from '../kinds/kind';
import { chosenVersion } from '../upgrade-path';

const CLUSTER = '/cluster';
const VERSION = '/parameters/kubernetesVersion';

/** KMS v1 must be in use: with KMS v2 there is nothing to do. */
export const kmsV1Rule: Rule<unknown> = {
  codes: ['KmsV2Already'],
  check({ kms, kubernetesVersion }) {
    if (!kms.enabled || kmsScheme(kubernetesVersion) === 'kms-v1') return [];
    const detail = `The cluster runs Kubernetes ${kubernetesVersion} with KMS v2 already.`;
    return [{ code: 'KmsV2Already', pointer: CLUSTER, detail }];
  },
};

/**
 * KMS v2 must be in use. With one provider name of KMS v1 for both keys, no proof right after a rotation is conclusive: a plan that
 * rotates again would evict a key that Secrets may still need (K2).
 */
export const kmsV2Rule: Rule<unknown> = {
  codes: ['KmsV1NotSupported'],
  check({ kms, kubernetesVersion }) {
    if (!kms.enabled || kmsScheme(kubernetesVersion) === 'kms-v2') return [];
    const detail = `The cluster runs Kubernetes ${kubernetesVersion} with KMS v1, whose records carry no key id. One operation cannot prove two rotations in a row there. Nothing was changed. Ask for upgrade-to-kms-v2 first, or for rotate-key twice and then for retire-key.`;
    return [{ code: 'KmsV1NotSupported', pointer: CLUSTER, detail }];
  },
};

/** AKS must offer a version with KMS v2 as the next minor. */
export const upgradeOfferedRule: Rule<{ readonly kubernetesVersion?: string }> = {
  codes: ['UpgradeNotOffered'],
  check({ kubernetesVersion }, { upgradeProfile }, parameters) {
    if (!upgradeProfile || kmsScheme(kubernetesVersion) === 'kms-v2') return [];
    if (chosenVersion(upgradeProfile, parameters.kubernetesVersion) !== undefined) return [];
    const offered = upgradeProfile.offered.length === 0 ? 'nothing' : upgradeProfile.offered.join(', ');
    const asked = parameters.kubernetesVersion ?? 'a version with KMS v2 (1.27 or newer)';
    const first =
      minorOf(kubernetesVersion) < 26
        ? ' AKS upgrades one minor at a time: upgrade the cluster to 1.26 first, which KMS v1 allows.'
        : '';
    return [
      {
        code: 'UpgradeNotOffered',
        pointer: parameters.kubernetesVersion === undefined ? CLUSTER : VERSION,
        detail: `AKS offers ${offered} to this cluster, which runs ${kubernetesVersion}; ${asked} is wanted.${first}`,
      },
    ];
  },
};

/** No agent pool may be older than its control plane: AKS upgrades pools along with it. */
export const poolsInStepRule: Rule<unknown> = {
  codes: ['AgentPoolOutdated'],
  check({ kubernetesVersion, agentPools }) {
    // A version that ARM does not report is taken for an older one; an unknown control plane has a rule of its own.
    const minor = minorOf(kubernetesVersion);
    const older = agentPools.filter(({ version }) => minorOf(version) < minor || Number.isNaN(minorOf(version)));
    if (older.length === 0) return [];
    const names = older.map(({ name, version }) => `${name} (${version})`).join(', ');
    const detail = `Agent pools are older than the control plane (${kubernetesVersion}): ${names}. Upgrade them first: az aks nodepool upgrade.`;
    return [{ code: 'AgentPoolOutdated', pointer: CLUSTER, detail }];
  },
};
