/** What follows from the Kubernetes minor version that a cluster runs. Pure. */

/** AKS has KMS v1 below 1.27 and KMS v2 from 1.27 on (learn.microsoft.com/azure/aks/use-kms-etcd-encryption). */
const KMS_V2_SINCE_MINOR = 27;

/** Which KMS plugin protocol an API server speaks. */
export type KmsVersion = 'v1' | 'v2';

/** `1.34` → 34. @throws Error when it is not of that form */
export function minorNumber(kubernetesMinor: string): number {
  const match = /^1\.(\d+)$/.exec(kubernetesMinor);
  if (match === null) throw new Error(`"${kubernetesMinor}" is no Kubernetes minor version such as 1.34.`);
  return Number(match[1]);
}

/** The protocol that AKS uses at this minor; a cluster cannot choose. @throws Error as {@link minorNumber} */
export function kmsVersionOf(kubernetesMinor: string): KmsVersion {
  return minorNumber(kubernetesMinor) >= KMS_V2_SINCE_MINOR ? 'v2' : 'v1';
}
