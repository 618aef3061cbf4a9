/** What Secrets are to be stored under: the target of a rewrite. */
import { z } from 'zod';
import { shortKeyId } from './resource-ids';

/** AKS encrypts with KMS v2 from this minor on, and with KMS v1 below it (AKS documents on KMS etcd encryption). */
const FIRST_KMS_V2_MINOR = 27;

/**
 * What every Secret is to be stored under.
 * `kms-v2`: the record carries the key id, so the API server knows a stale one.
 * `kms-v1`: the record carries the name of the provider only; behind one name nothing ever looks stale.
 * `identity`: plaintext, as after KMS was switched off.
 */
export const EncryptionTarget = z.discriminatedUnion('scheme', [
  z.object({ scheme: z.literal('kms-v2'), keyId: z.string() }),
  z.object({ scheme: z.literal('kms-v1'), keyId: z.string() }),
  z.object({ scheme: z.literal('identity') }),
]);
/** What every Secret is to be stored under. */
export type EncryptionTarget = z.infer<typeof EncryptionTarget>;

/** A target that is a key. */
export type KmsTarget = Exclude<EncryptionTarget, { readonly scheme: 'identity' }>;

/** The target of a KMS key on a cluster of a Kubernetes version. */
export function kmsTarget(keyId: string, kubernetesVersion: string): KmsTarget {
  return { scheme: minorOf(kubernetesVersion) < FIRST_KMS_V2_MINOR ? 'kms-v1' : 'kms-v2', keyId };
}

/** For sentences: `kv/aks1/95a7…`, or what plaintext is called. */
export function describeTarget(target: EncryptionTarget): string {
  return target.scheme === 'identity' ? 'plaintext (KMS off)' : shortKeyId(target.keyId);
}

/** `27` of `1.27.3`; NaN when it is no version. */
export function minorOf(kubernetesVersion: string): number {
  return Number(kubernetesVersion.split('.')[1] ?? Number.NaN);
}
