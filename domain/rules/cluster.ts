/** What must hold of a cluster before anything is changed. Sources: the AKS documents on KMS etcd encryption, "Limitations". */
import { isBusy } from '../cluster-change';
import { minorOf } from '../encryption';
import type { Fault } from '../errors';
import type { Rule } from '../kinds/kind';
import type { ObservedCluster } from '../observed';
import { parseKeyId } from '../resource-ids';

const CLUSTER = '/cluster';

const rule = (code: Fault['code'], detail: (cluster: ObservedCluster) => string | undefined): Rule<unknown> => ({
  codes: [code],
  check(cluster) {
    const found = detail(cluster);
    return found === undefined ? [] : [{ code, detail: found, pointer: CLUSTER }];
  },
});

/** AKS holds two keys: a third one that is set before the Secrets are rewritten leaves API servers that do not start. */
export const AFTER_FAILED_KMS =
  'If the failed change set a KMS key: keep every key version of the cluster enabled. AKS holds two keys, and API servers do not start while Secrets are under an older one. Set the key again that the Secrets are under (az aks update --enable-azure-keyvault-kms --azure-keyvault-kms-key-id …; the last evidence of Keyturn for this cluster names the key that was proven, the activity log every key that was set), then ask for the kind rewrite-secrets.';

/** A cluster whose nodes are all gone goes down, and AKS documents it as unrecoverable ("Limitations", scaling down to zero). */
const nodesRule = rule('NodesScaledToZero', ({ agentPools }) =>
  agentPools.length > 0 && agentPools.every(({ count }) => count === 0)
    ? 'Every agent pool of the cluster has a count of 0. AKS calls a cluster with KMS whose nodes are all gone unrecoverable, so Keyturn changes nothing of it. Keep its keys enabled. Scale a system pool up first (az aks nodepool scale), then ask again.'
    : undefined,
);

/** Rules of every kind that works inside a cluster. */
export const clusterRules: readonly Rule<unknown>[] = [
  rule('ClusterNotRunning', ({ powerState }) =>
    powerState === 'Running'
      ? undefined
      : `The cluster's power state is ${powerState}. Start it: a stopped cluster cannot rewrite its Secrets.`,
  ),
  rule('ClusterNotSucceeded', ({ provisioningState, kms }) =>
    provisioningState === 'Succeeded'
      ? undefined
      : `The cluster's provisioning state is ${provisioningState}. Wait for the running change, or repair the failed one, then ask again.${provisioningState === 'Failed' && kms.enabled ? ` ${AFTER_FAILED_KMS}` : ''}`,
  ),
  rule('PlatformManagedEncryption', ({ platformManagedEncryption }) =>
    platformManagedEncryption
      ? 'The cluster has kubernetesResourceObjectEncryptionProfile set: AKS picks up new key versions and rewrites by itself. There is nothing for Keyturn to do.'
      : undefined,
  ),
  rule('ClusterIdentityUnsupported', ({ identityType }) =>
    identityType === 'UserAssigned'
      ? undefined
      : `The cluster's identity is of type ${identityType}; AKS KMS supports UserAssigned only. Give it one: az aks update --enable-managed-identity --assign-identity, with the id of the identity.`,
  ),
  rule('ClusterVersionUnsupported', ({ kubernetesVersion }) =>
    Number.isNaN(minorOf(kubernetesVersion))
      ? `Azure reports "${kubernetesVersion}" as the Kubernetes version. Keyturn does not know whether that encrypts with KMS v1 or v2.`
      : undefined,
  ),
  rule('LocalAccountsDisabled', ({ localAccountsDisabled }) =>
    localAccountsDisabled
      ? 'Local accounts are off (disableLocalAccounts), so ARM gives no admin credentials, and Keyturn has no other way into the cluster yet.'
      : undefined,
  ),
  nodesRule,
];

/** One of them, for kinds that do not work inside the cluster. @throws Error when there is none */
export function clusterRule(code: Fault['code']): Rule<unknown> {
  const found = clusterRules.find(({ codes }) => codes.includes(code));
  if (found === undefined) throw new Error(`No rule of clusters has the code ${code}.`);
  return found;
}

/**
 * As `clusterRules`, but for a cluster that Failed, or whose change was aborted: a key that does not work makes AKS fail. Nodes may be
 * missing: without its key a cluster gets none.
 */
export const repairableClusterRules: readonly Rule<unknown>[] = clusterRules
  .filter((one) => one !== nodesRule)
  .map((one) =>
    one.codes.includes('ClusterNotSucceeded')
      ? rule('ClusterNotSucceeded', ({ provisioningState }) =>
          isBusy(provisioningState)
            ? `The cluster's provisioning state is ${provisioningState}. Wait until Azure is done, then ask again.`
            : undefined,
        )
      : one,
  );

/** KMS must be on, with a key that can be named. */
export const kmsOnRule: Rule<unknown> = {
  codes: ['KmsNotEnabled'],
  check({ kms }) {
    if (kms.enabled) return [];
    const detail =
      'KMS (securityProfile.azureKeyVaultKms) is not enabled on the cluster. Enable it first: kind enable-kms.';
    return [{ code: 'KmsNotEnabled', detail, pointer: CLUSTER }];
  },
};

/** KMS must be off. */
export const kmsOffRule: Rule<unknown> = {
  codes: ['KmsAlreadyEnabled'],
  check({ kms }) {
    if (!kms.enabled) return [];
    const detail = 'KMS is enabled on the cluster already. To change its key, ask for the kind rotate-key.';
    return [{ code: 'KmsAlreadyEnabled', detail, pointer: CLUSTER }];
  },
};

/** The vault of a key id; undefined when it is none. */
export function vaultOf(keyId: string | undefined): string | undefined {
  const parsed = keyId === undefined ? { fault: 'none' } : parseKeyId(keyId);
  return 'fault' in parsed ? undefined : parsed.vaultUrl;
}
