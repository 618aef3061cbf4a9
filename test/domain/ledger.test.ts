import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  activated,
  activating,
  currentGeneration,
  keySlots,
  keysNeeded,
  proven,
  reconcile,
  type Ledger,
} from '../../domain/ledger';
import { KEY_1, KEY_2, KEY_3, NOW, provenLedger } from './fixtures';

const proof = { operationId: 'op-1', at: NOW, convergedRv: '10', secrets: 3 };
const states = (ledger: Ledger): string[] =>
  ledger.generations.map(({ keyId, state }) => `${keyId?.at(-1) ?? 'plaintext'} ${state}`);

const LATER = '2027-01-01T00:00:00.000Z';

describe('the ledger', () => {
  it('adopts a cluster that has none: the current key is known, the previous one is not', () => {
    const ledger = reconcile(undefined, KEY_1, NOW);
    expect(states(ledger)).toEqual(['1 activated']);
    expect(keySlots(ledger)).toEqual({ current: KEY_1, previous: null, previousKnown: false });
  });

  it('moves generations through the slots as keys are set', () => {
    let ledger = reconcile(undefined, KEY_1, NOW);
    for (const keyId of [KEY_2, KEY_3]) {
      ledger = proven(activated(activating(ledger, keyId, `op-${keyId.at(-1)}`, NOW), keyId), keyId, proof);
    }
    expect(states(ledger)).toEqual(['1 evicted', '2 superseded', '3 proven']);
    expect(keySlots(ledger)).toEqual({ current: KEY_3, previous: KEY_2, previousKnown: true });
  });

  it('does not note a switch as its own that another client has made: the second slot stays unknown', () => {
    const adopted = reconcile(provenLedger(KEY_1), KEY_2, NOW, 'op-1');
    expect(activated(activating(adopted, KEY_2, 'op-1', NOW), KEY_2)).toEqual(adopted);
    expect(keySlots(adopted)).toEqual({ current: KEY_2, previous: null, previousKnown: false });
  });

  it('does not note a switch behind another one that followed its first note: the baseline is older than that', () => {
    const noted = reconcile(activating(provenLedger(KEY_1), KEY_2, 'op-1', NOW), KEY_1, NOW);
    const other = activated(activating(noted, KEY_3, 'op-2', NOW), KEY_3);
    expect(() => activating(other, KEY_2, 'op-1', NOW)).toThrow(/Another switch followed/);
    expect(() => activating(reconcile(other, null, NOW), KEY_2, 'op-1', NOW)).toThrow(/Another switch followed/);
    // A second rotation of its own is none.
    const own = activated(activating(provenLedger(KEY_1), KEY_2, 'op-1', NOW), KEY_2);
    expect(states(activating(own, KEY_3, 'op-1', NOW))).toEqual(['1 superseded', '2 activated', '3 activating']);
  });

  it('does not record a proof behind another switch that followed its own, to the same key or not', () => {
    const own = activated(activating(provenLedger(KEY_1), KEY_2, 'op-1', NOW), KEY_2);
    const away = activated(activating(own, KEY_3, 'op-2', NOW), KEY_3);
    const back = activated(activating(away, KEY_2, 'op-2', NOW), KEY_2);
    const proof = { operationId: 'op-1', at: NOW, convergedRv: '9', secrets: 1 };
    expect(() => proven(back, KEY_2, proof)).toThrow(/Another switch followed.* is not recorded as proven/);
    expect(() => proven(reconcile(away, KEY_2, NOW), KEY_2, proof)).toThrow(/Another switch followed/);
    expect(states(proven(own, KEY_2, proof)).at(-1)).toBe('2 proven');
  });

  it('needs the key of a switch that may have happened after all, until it has surely left both slots (K1)', () => {
    // Keyturn asked for KEY_2 and was canceled; Azure set it, and a person set KEY_3: KEY_2 may be in the second slot.
    const noted = activating(provenLedger(KEY_1), KEY_2, 'op-1', NOW);
    const byHand = proven(reconcile(noted, KEY_3, NOW), KEY_3, { ...proof, operationId: 'op-2' });
    expect(states(byHand).at(-1)).toBe('3 proven');
    expect(keysNeeded(byHand)).toContain(KEY_2);
    const next = activated(activating(byHand, KEY_1, 'op-3', LATER), KEY_1);
    expect(keysNeeded(proven(next, KEY_1, { ...proof, operationId: 'op-3' }))).toEqual(
      expect.not.arrayContaining([KEY_2]),
    );
  });

  it('completes a noted activation that Azure reports', () => {
    const noted = activating(provenLedger(KEY_1), KEY_2, 'op-1', NOW);
    expect(states(reconcile(noted, KEY_2, NOW))).toEqual(['1 superseded', '2 activated']);
  });

  it('abandons a noted activation that Azure does not report: it may have happened for a while, so nothing is proven', () => {
    const noted = activating(provenLedger(KEY_3, KEY_1), KEY_2, 'op-1', NOW);
    const ledger = reconcile(noted, KEY_1, NOW);
    expect(states(ledger)).toEqual(['3 superseded', '1 activated', '2 abandoned']);
    expect(keySlots(ledger)).toEqual({ current: KEY_1, previous: null, previousKnown: false });
    expect(states(reconcile(ledger, KEY_1, NOW))).toEqual(states(ledger));
  });

  it('leaves an activation alone that the asking operation has noted itself', () => {
    const noted = activating(provenLedger(KEY_1), KEY_2, 'op-1', NOW);
    expect(reconcile(noted, KEY_1, NOW, 'op-1')).toEqual(noted);
    expect(states(reconcile(noted, KEY_1, NOW, 'op-2'))).toEqual(['1 activated', '2 abandoned']);
  });

  it('notes an activation anew after it was abandoned, and then knows both slots', () => {
    const abandoned = reconcile(activating(provenLedger(KEY_1), KEY_2, 'op-1', NOW), KEY_1, NOW);
    const ledger = activated(activating(abandoned, KEY_2, 'op-1', NOW), KEY_2);
    expect(states(ledger)).toEqual(['1 superseded', '2 abandoned', '2 activated']);
    expect(keySlots(ledger)).toEqual({ current: KEY_2, previous: KEY_1, previousKnown: true });
  });

  it('adopts a key that somebody else set, unproven', () => {
    expect(states(reconcile(provenLedger(KEY_1), KEY_2, NOW))).toEqual(['1 superseded', '2 activated']);
  });

  it('does not claim to know the previous key after another client set the key', () => {
    expect(keySlots(reconcile(provenLedger(KEY_1, KEY_2), KEY_3, NOW))).toEqual({
      current: KEY_3,
      previous: null,
      previousKnown: false,
    });
  });

  it('refuses to prove a key that is not current, and to activate one that was not recorded', () => {
    expect(() => proven(provenLedger(KEY_1), KEY_2, proof)).toThrow(/not what the ledger has as current/);
    expect(() => activated(provenLedger(KEY_1), KEY_2)).toThrow(/must be recorded first/);
  });

  it('has at most one current and one superseded generation, whatever happens in whatever order', () => {
    const key = fc.constantFrom(KEY_1, KEY_2, KEY_3);
    const change = fc.tuple(fc.constantFrom('reconcile', 'note', 'activate', 'prove'), key);
    fc.assert(
      fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
        let ledger = reconcile(undefined, KEY_1, NOW);
        for (const [what, keyId] of changes) {
          try {
            if (what === 'reconcile') ledger = reconcile(ledger, keyId, NOW);
            else if (what === 'note')
              ledger = activating(reconcile(ledger, currentGeneration(ledger)?.keyId ?? keyId, NOW), keyId, 'op', NOW);
            else if (what === 'activate') ledger = activated(ledger, keyId);
            else ledger = proven(ledger, keyId, proof);
          } catch {
            // A refused change leaves the ledger as it was.
          }
          const count = (...wanted: string[]): number =>
            ledger.generations.filter(({ state }) => wanted.includes(state)).length;
          expect(count('activated', 'proven')).toBe(1);
          expect(count('superseded')).toBeLessThanOrEqual(1);
          expect(count('activating')).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('gives the same when a change is repeated after a crash', () => {
    const noted = activating(provenLedger(KEY_1), KEY_2, 'op-1', NOW);
    expect(activating(noted, KEY_2, 'op-1', NOW)).toEqual(noted);
    const turned = activated(noted, KEY_2);
    expect(activated(turned, KEY_2)).toEqual(turned);
    expect(activating(turned, KEY_2, 'op-1', LATER)).toEqual(turned);
  });

  it('dates a switch by its last note: it is asked for after that', () => {
    const noted = activating(provenLedger(KEY_1), KEY_2, 'op-1', NOW);
    const again = activating(noted, KEY_2, 'op-1', LATER);
    expect(again.generations).toHaveLength(noted.generations.length);
    expect(again.generations.at(-1)).toMatchObject({ keyId: KEY_2, state: 'activating', since: LATER });
  });
});
