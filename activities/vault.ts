/** Key versions: made once for an operation, however often it is asked for. */
import type { Keys } from '../azure/keys';

/**
 * Makes a new version like `basedOn`, or finds the one that an earlier try made.
 * Two tries at the very same moment can both make one: all agree on the oldest then, and the other stays unused.
 * @throws VaultError, TokenError
 */
export async function createKeyVersion(
  keys: Keys,
  { operationId, basedOn }: { readonly operationId: string; readonly basedOn: string },
  abortSignal: AbortSignal,
): Promise<{ keyId: string; created: boolean }> {
  const existing = await keys.findByOperation(basedOn, operationId, { abortSignal });
  if (existing !== undefined) return { keyId: existing, created: false };
  const made = await keys.createLike(basedOn, operationId, { abortSignal });
  const keyId = (await keys.findByOperation(basedOn, operationId, { abortSignal })) ?? made;
  return { keyId, created: keyId === made };
}
