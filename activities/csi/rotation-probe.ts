/**
 * The object in the vault that rotation is proven with: a secret, or a key where the class has no secret. It holds nothing.
 *
 * Does: lists its versions by their mark, makes one, and soft-deletes the whole.
 * Never does: keep a value. That of a secret is random; Keyturn sends it to the vault and forgets it.
 */
import { randomBytes } from 'node:crypto';
import type { AzureAccess } from '../../azure/access';
import { VaultError } from '../../azure/errors';
import { sha256Hex } from '../../domain/canonical';
import type { ProbeType } from '../../domain/csi/rotation';
import { resourceName } from '../../domain/resource-ids';
import { needsPerson, sentenceOf } from '../failures';

const VALUE_BYTES = 32;
const KEY_BITS = 2048;
/** One that is left is not in use after a day; policies may ask for an expiry. */
const EXPIRES_IN_MS = 86_400_000;
/** A vault that does not answer the network of the worker. */
const CLOSED: readonly (string | undefined)[] = ['ForbiddenByConnection', 'ForbiddenByFirewall'];

/** What the probe of one attempt is called, like its class and its pod: each attempt has its own, as a deleted one keeps its name. */
export interface RotationNames {
  /** In the vault. */
  readonly probe: string;
  /** SecretProviderClass and pod. */
  readonly object: string;
}

/** The same for every try of an attempt. */
export function rotationNames(operationId: string, step: string, attempt: number): RotationNames {
  const digest = sha256Hex(`${operationId}\n${step}\n${attempt}`).slice(0, 16);
  return { probe: `keyturn-probe-${digest}`, object: `keyturn-rotation-${digest}` };
}

/** The probe, whatever it is. Everything throws `RotationProbeRefused`, non-retryable; VaultError, TokenError. */
export interface RotationProbe {
  /** In no order; none when it is not there. */
  readonly versions: () => Promise<string[]>;
  /** Makes a version. @returns it */
  readonly make: () => Promise<string>;
  /** Soft-deletes it, where the operation made it. @returns whether there was one */
  readonly remove: () => Promise<boolean>;
}

/** Where a probe is. */
export interface ProbePlace {
  readonly type: ProbeType;
  readonly vaultId: string;
  readonly name: string;
  readonly operationId: string;
}

/** @param abortSignal ends each request */
export function rotationProbe(
  { secrets, keys }: Pick<AzureAccess, 'secrets' | 'keys'>,
  { type, vaultId, name, operationId }: ProbePlace,
  abortSignal: AbortSignal,
): RotationProbe {
  const options = { abortSignal };
  const vaultName = resourceName(vaultId);
  const mark = { operationId, nonce: name };
  const expiresOn = (): Date => new Date(Date.now() + EXPIRES_IN_MS);
  const probe = type === 'secret' ? ofSecret() : ofKey();
  const refusing = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof VaultError) || error.retryable || error.status === 401) throw error;
      throw needsPerson('RotationProbeRefused', refusal(error, { type, vaultName, name }), error);
    }
  };
  return {
    versions: () => refusing(probe.versions),
    make: () => refusing(probe.make),
    remove: () => refusing(probe.remove),
  };

  function ofSecret(): RotationProbe {
    const place = { vaultName, secretName: name };
    const versions = (): Promise<string[]> => secrets.marked(place, mark, options);
    return {
      versions,
      make() {
        const value = randomBytes(VALUE_BYTES).toString('base64url');
        return secrets.set(place, { value, expiresOn: expiresOn(), contentType: 'text/plain' }, mark, options);
      },
      remove: async () => (await versions()).length > 0 && (await secrets.delete(place, options)),
    };
  }

  function ofKey(): RotationProbe {
    const place = { vaultName, keyName: name };
    const versionOf = (keyId: string): string => keyId.split('/').at(-1) ?? '';
    const marked = (): ReturnType<typeof keys.findMarkedIn> => keys.findMarkedIn(place, mark, options);
    return {
      versions: async () => (await marked()).map(({ keyId }) => versionOf(keyId)),
      make: async () =>
        versionOf(await keys.createNew(place, { sizeInBits: KEY_BITS, expiresOn: expiresOn() }, mark, options)),
      async remove() {
        const [first] = await marked();
        if (first) await keys.deleteKey(first.keyId, options);
        return first !== undefined;
      },
    };
  }
}

function refusal(
  error: VaultError,
  { type, vaultName, name }: { readonly type: ProbeType; readonly vaultName: string; readonly name: string },
): string {
  const happened = `The vault ${vaultName} refused the ${type} ${name}, which rotation is proven with: ${sentenceOf(error)}`;
  const means = 'The connection works; whether mounted files are renewed is not known, and keys are as they were.';
  if (CLOSED.includes(error.innerCode)) {
    return `${happened} ${means} The vault does not answer the network of the worker. Let the worker in, then retry; or cancel, and ask again with proveRotation false.`;
  }
  const rights =
    type === 'secret'
      ? 'role Key Vault Secrets Officer, or the secret permissions set, list and delete of an access policy'
      : 'role Key Vault Crypto Officer, or the key permissions create, list, get and delete of an access policy';
  return `${happened} ${means} Keyturn's identity needs the right to make, list and delete ${type}s in the vault (${rights}). Give it, then retry; or cancel, and ask again with proveRotation false.`;
}
