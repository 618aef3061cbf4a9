/** In which steps the API servers of a cluster go from one encryption to the next. Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { EncryptionState } from './contract';

/** What a server writes with: a versioned key id, or `identity`. */
export function writeKeyOf({ write, slots }: EncryptionState): string {
  return write === 'kms' ? (slots[0] ?? 'identity') : 'identity';
}

/**
 * The first stage on the way to another encryption: writes as before, reads what the new one will write. The oldest key
 * leaves already here: two keys are all that a server ever has.
 * @returns undefined when servers in the old state can read what the new state writes, so no such stage is needed
 * @throws Error when the current key is in neither slot of the new state: while servers differ, some would write what
 *         others cannot read. AKS moves the current key to the second slot, always.
 */
export function readStage(from: EncryptionState, to: EncryptionState): EncryptionState | undefined {
  const written = writeKeyOf(to);
  // The identity provider is in every configuration.
  if (written === 'identity' || from.slots.includes(written)) return undefined;
  if (from.write === 'identity') return { write: 'identity', slots: to.slots };
  const current = writeKeyOf(from);
  if (!to.slots.includes(current)) {
    throw new Error(
      `The API servers write with ${current}, and the new state has it in neither slot. With several servers, or a late ` +
        'one, it must stay readable while they are rolled: give it as the previous key.',
    );
  }
  return { write: 'kms', slots: [current, ...to.slots.filter((kid) => kid !== current)] };
}

/** One time around all servers, one after the other. */
export interface Pass {
  readonly state: EncryptionState;
  /** How many servers it replaces; the rest, the last ones, stay as they are. */
  readonly servers: number;
}

/**
 * The passes of a roll. One server needs no first stage: nobody writes what another one cannot read. Of several, or when
 * some are to be late, all learn to read before one writes.
 * @param servers how many there are @param late how many are to stay at the first stage
 * @throws Error as {@link readStage}
 */
export function passes(from: EncryptionState, to: EncryptionState, servers: number, late: number): readonly Pass[] {
  const held = isDeepStrictEqual(from, to) ? 0 : Math.min(late, servers);
  const stage = servers > 1 || held > 0 ? readStage(from, to) : undefined;
  const first = stage === undefined ? [] : [{ state: stage, servers }];
  return [...first, { state: to, servers: servers - held }];
}
