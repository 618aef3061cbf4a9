/** From the encryption that a cluster is to have to the EncryptionConfiguration that an API server reads. Pure. */
import type { EncryptionState } from './contract';
import { kmsProviders, type KmsPluginSpec, type KmsProvider, type KmsScheme } from './kms-providers';

/** AKS KMS has a current and a previous key, no more. */
const SLOT_COUNT = 2;
/** The API server's own default for KMS calls; a Go duration. */
const KMS_TIMEOUT = '3s';
const KMS_V2_PER_KEY: KmsScheme = { version: 'v2', names: 'per-key' };

/** One entry of `providers`: the first writes, all read. */
type Provider =
  | { readonly identity: Record<string, never> }
  | {
      readonly kms: {
        readonly apiVersion: 'v1' | 'v2';
        readonly name: string;
        readonly endpoint: string;
        readonly timeout: string;
      };
    };

/** `apiserver.config.k8s.io/v1` EncryptionConfiguration, as far as AKS uses it: Secrets only. */
export interface EncryptionConfiguration {
  readonly apiVersion: 'apiserver.config.k8s.io/v1';
  readonly kind: 'EncryptionConfiguration';
  readonly resources: readonly [{ readonly resources: readonly ['secrets']; readonly providers: readonly Provider[] }];
}

/**
 * Refuses a state that no AKS cluster can have.
 * @throws Error naming the violated rule.
 */
export function checkEncryptionState(state: EncryptionState): void {
  if (state.slots.length > SLOT_COUNT) {
    throw new Error(
      `A cluster has ${SLOT_COUNT} key slots, but ${state.slots.length} keys were given: ${list(state)}.`,
    );
  }
  if (new Set(state.slots).size !== state.slots.length) {
    throw new Error(`The two key slots must hold different keys, but both hold ${state.slots[0] ?? 'nothing'}.`);
  }
  if (state.write === 'kms' && state.slots.length === 0) {
    throw new Error('Writing with KMS needs a key in the first slot, but no key was given.');
  }
}

/**
 * The configuration that one API server is started with.
 *
 * `write: 'kms'` gives [kms(current), kms(previous)?, identity]; `write: 'identity'` gives [identity, kms(slots)…]. The
 * identity provider is always there: Secrets from before KMS was switched on must stay readable until they are rewritten.
 * KMS v1 entries keep the default cache size, as AKS has no setting for it.
 * @param endpointOf gRPC address of the plugin that serves a provider, `unix:///…`
 * @param scheme KMS v2 with a provider per key when absent
 * @throws Error as {@link checkEncryptionState}.
 */
export function encryptionConfiguration(
  state: EncryptionState,
  endpointOf: (plugin: KmsPluginSpec) => string,
  scheme = KMS_V2_PER_KEY,
): EncryptionConfiguration {
  checkEncryptionState(state);
  const identity: Provider = { identity: {} };
  const kms = kmsProviders(state, scheme).map((provider) => kmsEntry(provider, endpointOf(provider)));
  return {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'EncryptionConfiguration',
    resources: [{ resources: ['secrets'], providers: state.write === 'kms' ? [...kms, identity] : [identity, ...kms] }],
  };
}

function kmsEntry({ version, name }: KmsProvider, endpoint: string): Provider {
  return { kms: { apiVersion: version, name, endpoint, timeout: KMS_TIMEOUT } };
}

function list(state: EncryptionState): string {
  return state.slots.join(', ');
}
