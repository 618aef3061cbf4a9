/**
 * What Secrets are stored under: the encryption states of a cluster, and the targets of a rewrite.
 *
 * Keyturn asks ARM for an encryption state; a target is what the records in etcd must show afterwards. Plaintext is a state
 * like any other, so that enabling, disabling and rotating are the same transition.
 */
import { z } from 'zod';
import { shortKeyId } from './resource-ids';

/** AKS encrypts with KMS v2 from this minor on, and with KMS v1 below it (AKS documents on KMS etcd encryption). */
const FIRST_KMS_V2_MINOR = 27;

/** The most Secrets that AKS supports with KMS v1 (AKS documents, "Limitations"). */
export const KMS_V1_MOST_SECRETS = 2_000;

/** How a Kubernetes version encrypts with a key. */
export const KmsScheme = z.enum(['kms-v1', 'kms-v2']);
/** How a Kubernetes version encrypts with a key. */
export type KmsScheme = z.infer<typeof KmsScheme>;

/**
 * What every Secret is to be stored under.
 * `kms-v2`: the record carries the key id, so the API server recognizes a stale one.
 * `kms-v1`: the record carries the name of the provider only; behind one name no record ever looks stale.
 * `identity`: plaintext, as after KMS was disabled.
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

/** A versioned key id, or the step whose output it will be: the only value of a plan that is known at run time only. */
export const KeyRef = z.union([z.string(), z.strictObject({ madeBy: z.string() })]);
/** A versioned key id, or the step that makes it. */
export type KeyRef = z.infer<typeof KeyRef>;

/** How the cluster encrypts Secrets, as ARM's KMS profile and the Kubernetes version say it. */
export const EncryptionState = z.discriminatedUnion('mode', [
  z.strictObject({ mode: z.literal('off') }),
  z.strictObject({
    mode: z.literal('on'),
    scheme: KmsScheme,
    key: KeyRef,
    /** `securityProfile.azureKeyVaultKms.keyVaultNetworkAccess`. */
    access: z.enum(['Public', 'Private']),
    /** ARM resource id of the vault; AKS needs it for private access. */
    vaultId: z.string().optional(),
  }),
]);
/** How the cluster encrypts Secrets. */
export type EncryptionState = z.infer<typeof EncryptionState>;

/** The scheme of a Kubernetes version. */
export function kmsScheme(kubernetesVersion: string): KmsScheme {
  return minorOf(kubernetesVersion) < FIRST_KMS_V2_MINOR ? 'kms-v1' : 'kms-v2';
}

/** The id of the step that makes a key of a new name; others make versions. */
export const NEW_KEY_STEP = 'create-key';

/** The key ids that steps made, by step id: the only values of a plan that run time fills in. */
export type MadeKeys = Readonly<Record<string, string>>;

/** The records that a state stands for. @throws Error when its key is not made yet */
export function targetOf(state: EncryptionState, made: MadeKeys): EncryptionTarget {
  return state.mode === 'off' ? { scheme: 'identity' } : { scheme: state.scheme, keyId: resolveKey(state.key, made) };
}

/** The key id of a state; null is plaintext. @throws Error when its key is not made yet */
export function keyOf(state: EncryptionState, made: MadeKeys): string | null {
  return state.mode === 'off' ? null : resolveKey(state.key, made);
}

/** A key by its id. @throws Error when a step is to make it and has not */
export function resolveKey(key: KeyRef, made: MadeKeys): string {
  const keyId = typeof key === 'string' ? key : made[key.madeBy];
  if (keyId === undefined) throw new Error('A step is to make this key, and has not made it yet.');
  return keyId;
}

/** Whether the key of a state is there: no step has still to make it. */
export function isKeyKnown(state: EncryptionState, made: MadeKeys): boolean {
  return state.mode === 'off' || typeof state.key === 'string' || made[state.key.madeBy] !== undefined;
}

/** Whether the key of a state is the one that a step makes. */
export function isMadeBy(state: EncryptionState, step: string): boolean {
  return state.mode === 'on' && typeof state.key !== 'string' && state.key.madeBy === step;
}

/** For sentences: `kv/aks1/95a7…`, or what plaintext is called. */
export function describeTarget(target: EncryptionTarget): string {
  return target.scheme === 'identity' ? 'plaintext (KMS off)' : shortKeyId(target.keyId);
}

/** For sentences, also before a key is made. */
export function describeState(state: EncryptionState): string {
  if (state.mode === 'off') return 'plaintext (KMS off)';
  if (typeof state.key === 'string') return shortKeyId(state.key);
  return state.key.madeBy === NEW_KEY_STEP ? 'the new key' : 'the new version';
}

/** `27` of `1.27.3`; NaN when it is no version. */
export function minorOf(kubernetesVersion: string): number {
  return Number(kubernetesVersion.split('.')[1] ?? Number.NaN);
}
