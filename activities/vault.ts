/** Key versions: made once for an operation, however often the activity runs, and exactly as the plan says. */
import type { Keys } from '../azure/keys';
import type { KeyLookup, ObservedKey } from '../domain/observed';
import type { KeyExpiry } from '../domain/plan/steps';
import { mustParseKeyId, shortKeyId } from '../domain/resource-ids';
import { needsPerson } from './failures';

/** How far the clocks of Temporal and of a vault may be apart; a vault dates in whole seconds. */
const CLOCK_SKEW_IN_MS = 5 * 60_000;

/** Which version is asked for. */
export interface NewVersion {
  readonly operationId: string;
  readonly basedOn: string;
  readonly expiry: KeyExpiry;
  /** The same for every try of one step, and for no other operation, whatever its id. */
  readonly nonce: string;
  /** ISO 8601: when the step began. */
  readonly since: string;
}

/**
 * Makes a new version like `basedOn`, or finds the one that an earlier try made.
 * Two tries at the same moment can both make one. Then every try uses the oldest, and the other stays unused.
 * @throws ApplicationFailure `KeyNotAsApproved`, non-retryable; VaultError, TokenError
 */
export async function createKeyVersion(
  keys: Keys,
  { operationId, basedOn, expiry, nonce, since }: NewVersion,
  abortSignal: AbortSignal,
): Promise<{ keyId: string; created: boolean }> {
  const mark = { operationId, nonce };
  const oldest = async (): Promise<string | undefined> => {
    const [first] = await keys.findMarked(basedOn, mark, { abortSignal });
    if (first && first.createdAt.getTime() < Date.parse(since) - CLOCK_SKEW_IN_MS) {
      const made = first.createdAt.toISOString();
      throw notAsApproved(first.keyId, [`the vault dates it ${made}, and this step began at ${since}`]);
    }
    return first?.keyId;
  };
  const check = async (keyId: string): Promise<void> => {
    const model = found(await keys.lookUp(basedOn, { abortSignal }));
    const differences = differencesOf(model, found(await keys.lookUp(keyId, { abortSignal })), expiry);
    if (differences.length > 0) throw notAsApproved(keyId, differences);
  };
  const existing = await oldest();
  if (existing !== undefined) {
    await check(existing);
    return { keyId: existing, created: false };
  }
  const made = await keys.createLike(basedOn, mark, { abortSignal, expiresOn: expiryDate(expiry, Date.now()) });
  const keyId = (await oldest()) ?? made;
  await check(keyId);
  return { keyId, created: keyId === made };
}

/** How a version differs from the approved one: a new version of the same key, like its model. */
function differencesOf(model: ObservedKey, version: ObservedKey, expiry: KeyExpiry): string[] {
  const [one, other] = [mustParseKeyId(model.keyId), mustParseKeyId(version.keyId)];
  const sorted = ({ operations }: ObservedKey): string => [...operations].sort().join(', ');
  const compared: readonly (readonly [string, unknown, unknown])[] = [
    ['vault', other.vaultUrl, one.vaultUrl],
    ['name', other.name.toLowerCase(), one.name.toLowerCase()],
    ['type', version.keyType, model.keyType],
    ['size', version.keySizeInBits, model.keySizeInBits],
    ['permitted operations', sorted(version), sorted(model)],
    ['enabled', version.enabled, true],
  ];
  const expires = expiryDifference(version, expiry);
  return compared
    .filter(([, is, expected]) => is !== expected)
    .map(([what, is, expected]) => `${what}: ${String(is)} instead of ${String(expected)}`)
    .concat(expires === undefined ? [] : [expires]);
}

/** When a version that is made now expires. @param now milliseconds since 1970 */
export function expiryDate(expiry: KeyExpiry, now: number): Date | undefined {
  if (expiry === null) return undefined;
  return 'at' in expiry ? new Date(expiry.at) : new Date(now + expiry.afterSeconds * 1000);
}

/** The vault dates in whole seconds, and a request may have taken a while. */
function expiryDifference({ createdOn, expiresOn }: ObservedKey, expiry: KeyExpiry): string | undefined {
  const wanted = expiryDate(expiry, Date.parse(createdOn ?? ''));
  const is = expiresOn === undefined ? undefined : Date.parse(expiresOn);
  if (wanted === undefined && is === undefined) return undefined;
  if (wanted !== undefined && is !== undefined && Math.abs(wanted.getTime() - is) <= CLOCK_SKEW_IN_MS) return undefined;
  return `expiry: ${expiresOn ?? 'none'} instead of ${wanted?.toISOString() ?? 'none'}`;
}

function found(lookup: KeyLookup): ObservedKey {
  if (lookup.found) return lookup.key;
  throw notAsApproved(lookup.keyId, [lookup.why]);
}

function notAsApproved(keyId: string, differences: readonly string[]): Error {
  return needsPerson(
    'KeyNotAsApproved',
    `${shortKeyId(keyId)} carries the tags of this operation, but is not the version that was approved (${differences.join('; ')}). ` +
      'The cluster still uses the current key. Find out who made this version, remove its tags, then retry: Keyturn makes another one.',
  );
}
