/** Which KMS providers, each with a plugin of its own, serve the key slots of a cluster. Pure. */
import type { EncryptionState, KmsProviderNames } from './contract';
import { providerName, SHARED_PROVIDER_NAME } from './key-id';
import { kmsVersionOf, type KmsVersion } from './kubernetes-minor';

/** How a cluster names and serves its keys. */
export interface KmsScheme {
  readonly version: KmsVersion;
  readonly names: KmsProviderNames;
}

/** What one plugin serves: the first key encrypts, all decrypt. */
export interface KmsPluginSpec {
  readonly version: KmsVersion;
  /** Versioned key ids. A KMS v2 plugin has one, as Azure's has; a KMS v1 plugin behind a shared name may have two. */
  readonly kids: readonly string[];
}

/** One KMS entry of an EncryptionConfiguration. */
export interface KmsProvider extends KmsPluginSpec {
  readonly name: string;
}

/** The scheme of a cluster at a minor version. KMS v2 has a key id of its own in every record: names are per key there. */
export function kmsSchemeOf(kubernetesMinor: string, names: KmsProviderNames = 'per-key'): KmsScheme {
  const version = kmsVersionOf(kubernetesMinor);
  return { version, names: version === 'v1' ? names : 'per-key' };
}

/**
 * The providers for the slots of a state, current key first.
 *
 * With a shared name there is one provider, whose plugin knows all slots. An API server calls a record stale when another
 * provider than the first one reads it, or when the provider itself says so, which KMS v1 never does (apiserver
 * pkg/storage/value/transformer.go): so nothing ever looks stale. Another current key is another plugin, so that API
 * servers which disagree about it can run side by side.
 */
export function kmsProviders({ slots }: EncryptionState, { version, names }: KmsScheme): readonly KmsProvider[] {
  if (names === 'per-key') return slots.map((kid) => ({ name: providerName(kid), version, kids: [kid] }));
  return slots.length === 0 ? [] : [{ name: SHARED_PROVIDER_NAME, version, kids: slots }];
}
