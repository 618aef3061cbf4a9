/**
 * The ledger: the ordered key generations of one cluster.
 *
 * Azure reports the current key only; nothing reports the previous slot (Azure/AKS#4926). These rules rebuild it from
 * what Keyturn did and from what Azure reports. Pure: times come in as arguments.
 */
import { z } from 'zod';
import { shortKeyId } from './resource-ids';
import { OwnError } from './own-error';

/** A generation's encryption, for sentences. */
const nameOf = (keyId: string | null): string => (keyId === null ? 'plaintext (KMS off)' : shortKeyId(keyId));

const Generation = z.object({
  /** The versioned key id; null is plaintext: KMS was off. */
  keyId: z.string().nullable(),
  /**
   * activating: Keyturn was about to ask Azure for the switch; whether it happened is not known yet.
   * activated: it is the current key; old records may still be under older keys.
   * proven: it is the current key, and every Secret is under it.
   * superseded: it is the previous key, still readable in its slot.
   * evicted: it left its slot.
   * abandoned: the switch was recorded, and Azure reports the key before it. Whether it ever happened is not known.
   */
  state: z.enum(['activating', 'activated', 'proven', 'superseded', 'evicted', 'abandoned']),
  /** How the generation came into the ledger: by an operation, or found in use. */
  origin: z.enum(['operation', 'adopted']),
  operationId: z.string().optional(),
  /** ISO 8601; for an adopted generation, when it was found. */
  since: z.string(),
  proof: z.object({ operationId: z.string(), at: z.string(), convergedRv: z.string(), secrets: z.int() }).optional(),
});
/** One encryption state as one cluster used it: a key, or plaintext. */
export type Generation = z.infer<typeof Generation>;

/** The ordered key generations of one cluster, oldest first. */
export const Ledger = z.object({ version: z.literal(1), generations: z.array(Generation) });
/** The ordered key generations of one cluster, oldest first. */
export type Ledger = z.infer<typeof Ledger>;

/** What the two key slots hold. */
export interface KeySlots {
  /** Null is plaintext: KMS is off. */
  readonly current: string | null;
  /** The key id in the second slot; null when it is empty. */
  readonly previous: string | null;
  /** False when the current generation was adopted, or a switch from it was abandoned: then the second slot may hold a key that Azure does not tell of. */
  readonly previousKnown: boolean;
}

/** The generation in the current slot, when the ledger knows one. */
export function currentGeneration(ledger: Ledger): Generation | undefined {
  return ledger.generations.findLast(({ state }) => state === 'activated' || state === 'proven');
}

/** The two key slots, as far as the ledger knows them. */
export function keySlots(ledger: Ledger): KeySlots | undefined {
  const current = currentGeneration(ledger);
  if (!current) return undefined;
  // Another client rotated the key, perhaps more than once: then the content of the second slot is unknown.
  const abandoned = ledger.generations.at(-1)?.state === 'abandoned';
  if (current.origin === 'adopted' || abandoned)
    return { current: current.keyId, previous: null, previousKnown: false };
  const previous = ledger.generations.findLast(({ state, keyId }) => state === 'superseded' && keyId !== null);
  if (previous) return { current: current.keyId, previous: previous.keyId, previousKnown: true };
  return { current: current.keyId, previous: null, previousKnown: true };
}

/**
 * Keys that must stay enabled, unexpired and undeleted, by the ledger: those in the slots, and those that some Secret may
 * still be stored under because nothing since them is proven.
 */
export function keysNeeded({ generations }: Ledger): string[] {
  const lastProof = generations.findLastIndex(({ proof }) => proof !== undefined);
  const needed = generations.filter(({ state }, index) => {
    if (state === 'abandoned') return index >= lastProof || mayBeInASlot(generations, index);
    return state !== 'evicted' || index >= lastProof;
  });
  return [...new Set(needed.flatMap(({ keyId }) => (keyId === null ? [] : [keyId])))];
}

/** A switch that may have happened after all: its key has left both slots when two others were switched to since. */
function mayBeInASlot(generations: readonly Generation[], index: number): boolean {
  return generations.slice(index + 1).filter(({ state }) => state !== 'abandoned').length < 2;
}

/**
 * Makes the ledger agree with the key id that Azure reports.
 * A cluster without a ledger is adopted. An activation that happened is completed. One that Azure does not report is
 * abandoned, and the key before it has to be proven again: some API server may have written with the other one for a while.
 * A key that another client set is adopted, unproven.
 * @param operationId the operation that calls: an activation that it has recorded itself is kept
 */
export function reconcile(
  ledger: Ledger | undefined,
  reportedKeyId: string | null,
  now: string,
  operationId?: string,
): Ledger {
  if (!ledger || ledger.generations.length === 0) {
    return { version: 1, generations: [{ keyId: reportedKeyId, state: 'activated', origin: 'adopted', since: now }] };
  }
  const last = ledger.generations.at(-1);
  if (last?.state === 'activating') {
    if (last.keyId === reportedKeyId) return activated(ledger, reportedKeyId);
    if (operationId !== undefined && last.operationId === operationId) return ledger;
    return reconcile(abandoned(ledger), reportedKeyId, now);
  }
  if (currentGeneration(ledger)?.keyId === reportedKeyId) return ledger;
  const adopted: Generation = { keyId: reportedKeyId, state: 'activating', origin: 'adopted', since: now };
  return activated({ ...ledger, generations: [...ledger.generations, adopted] }, reportedKeyId);
}

/**
 * Write-ahead: records that Keyturn is about to ask Azure for the switch to a key. Repeating it changes nothing but the time: Keyturn
 * asks after the last note, and how long ago that was says whether every API server has surely switched.
 */
export function activating(ledger: Ledger, keyId: string | null, operationId: string, now: string): Ledger {
  const last = ledger.generations.at(-1);
  if (last?.keyId === keyId && last.operationId === operationId && last.state !== 'abandoned') {
    if (last.state !== 'activating') return ledger;
    return { ...ledger, generations: [...ledger.generations.slice(0, -1), { ...last, since: now }] };
  }
  // Another client has made the switch already: then Keyturn does not know what the second slot holds.
  if (last?.state === 'activated' && last.origin === 'adopted' && last.keyId === keyId) return ledger;
  refuseAfterOtherSwitch(ledger, operationId, `${nameOf(keyId)} is not set`);
  return {
    ...ledger,
    generations: [...ledger.generations, { keyId, state: 'activating', origin: 'operation', operationId, since: now }],
  };
}

/**
 * A cluster was made with its key: nothing was ever under another one, so the second slot is empty. A ledger that is there already, of an
 * earlier try or of another client's hand, stays.
 */
export function created(ledger: Ledger, keyId: string | null, operationId: string, now: string): Ledger {
  if (ledger.generations.length > 0) return ledger;
  return {
    ...ledger,
    generations: [{ keyId, state: 'activated', origin: 'operation', operationId, since: now }],
  };
}

/** The switch happened: the key is current, the one before it is previous, the one before that has left its slot. */
export function activated(ledger: Ledger, keyId: string | null): Ledger {
  const last = ledger.generations.at(-1);
  if (last?.keyId !== keyId) {
    throw new OwnError(`The ledger's newest generation is not ${nameOf(keyId)}: an activation must be recorded first.`);
  }
  if (last.state !== 'activating') return ledger;
  // Plaintext takes no slot: a key that is set after it leaves the one before it in the second slot.
  const fromPlaintext = currentGeneration(ledger)?.keyId === null;
  return {
    ...ledger,
    generations: ledger.generations.map((generation): Generation => {
      if (generation === last) return { ...generation, state: 'activated' };
      if (generation.state === 'activated' || generation.state === 'proven')
        return { ...generation, state: 'superseded' };
      if (generation.state === 'superseded' && !(fromPlaintext && generation.keyId !== null))
        return { ...generation, state: 'evicted' };
      return generation;
    }),
  };
}

/** Records that every Secret is under the current key, with the proof. @throws OwnError when another switch followed the operation's own */
export function proven(ledger: Ledger, keyId: string | null, proof: NonNullable<Generation['proof']>): Ledger {
  const current = currentGeneration(ledger);
  if (current?.keyId !== keyId) {
    throw new OwnError(`${nameOf(keyId)} is not what the ledger has as current, so it cannot be recorded as proven.`);
  }
  refuseAfterOtherSwitch(ledger, proof.operationId, `${nameOf(keyId)} is not recorded as proven`);
  return {
    ...ledger,
    generations: ledger.generations.map((generation) =>
      generation === current ? { ...generation, state: 'proven' as const, proof } : generation,
    ),
  };
}

/**
 * An operation that noted a switch took its baseline before it. When another switch followed, to the same key or not, what its canaries
 * tell is of that other one.
 */
function refuseAfterOtherSwitch({ generations }: Ledger, operationId: string, consequence: string): void {
  if (generations.at(-1)?.operationId === operationId) return;
  if (!generations.some((one) => one.operationId === operationId)) return;
  throw new OwnError(
    `Another switch followed the one that this operation noted, so ${consequence}. Keep every key listed under keysNeeded, cancel, and start a new operation.`,
  );
}

function abandoned(ledger: Ledger): Ledger {
  const last = ledger.generations.at(-1);
  return {
    ...ledger,
    generations: ledger.generations.map((generation): Generation => {
      if (generation === last) return { ...generation, state: 'abandoned' };
      // Its proof is older than the time when an API server may have written with the other key.
      return generation.state === 'proven' ? { ...generation, state: 'activated', proof: undefined } : generation;
    }),
  };
}
