import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { pauseWhileBusy } from '../../domain/busy-wait';
import { addReports, type RewriteReport } from '../../domain/proof';
import { PROOF_HOLDS_FOR_MS, voidReason, type SinceProof } from '../../domain/proof-validity';

const KEY = 'https://kv-prod.vault.azure.net/keys/k/00000000000000000000000000000001';
const OTHER = 'https://kv-prod.vault.azure.net/keys/k/00000000000000000000000000000002';
const fresh: SinceProof = { interruptionsBefore: 2, interruptionsNow: 2, ageInMs: 500, provenKeyId: KEY };

describe('a proof', () => {
  it('may be recorded when nothing happened since, and Azure reports its key in whatever spelling', () => {
    expect(voidReason(fresh)).toBeUndefined();
    expect(voidReason({ ...fresh, reportedKeyId: KEY.replace('kv-prod.vault', 'KV-prod.vault') })).toBeUndefined();
  });

  it.each([
    ['interrupted', { interruptionsNow: 3 }],
    ['too-old', { ageInMs: PROOF_HOLDS_FOR_MS + 1 }],
    ['other-key', { reportedKeyId: OTHER }],
  ] as const)('is void when it is %s', (reason, change) => {
    expect(voidReason({ ...fresh, ...change })).toBe(reason);
  });

  it('is never recorded across an interruption, another key or a long time, whatever else holds', () => {
    const since = fc.record({
      interruptionsBefore: fc.nat(5),
      interruptionsNow: fc.nat(5),
      ageInMs: fc.nat(3 * PROOF_HOLDS_FOR_MS),
      provenKeyId: fc.constantFrom(KEY, OTHER),
      reportedKeyId: fc.constantFrom(KEY, OTHER),
    });
    fc.assert(
      fc.property(since, (one) => {
        const holds =
          one.interruptionsBefore === one.interruptionsNow &&
          one.ageInMs <= PROOF_HOLDS_FOR_MS &&
          one.provenKeyId === one.reportedKeyId;
        expect(voidReason(one) === undefined).toBe(holds);
      }),
    );
  });
});

const count = fc.nat(1000);
const report: fc.Arbitrary<RewriteReport> = fc
  .record({
    rewritten: count,
    alreadyProven: count,
    unchanged: count,
    gone: count,
    contradictions: count,
    refused: count,
  })
  .map((counts) => ({
    bounds: { baselineRv: '1', convergedRv: '2', method: 'no-op' as const },
    secrets: Object.values(counts).reduce((sum, one) => sum + one, 0),
    ...counts,
    refusedSecrets: [],
  }));
const partsOf = (r: RewriteReport): number =>
  r.rewritten + r.alreadyProven + r.unchanged + r.gone + r.contradictions + r.refused;

describe('the counts of two passes', () => {
  it('are one report: a Secret that the first pass rewrote stays rewritten', () => {
    const first = { rewritten: 300, refused: 300, alreadyProven: 0, unchanged: 0, gone: 0, contradictions: 0 };
    const second = { rewritten: 300, refused: 0, alreadyProven: 20, unchanged: 280, gone: 0, contradictions: 0 };
    const rest = {
      bounds: { baselineRv: '1', convergedRv: '2', method: 'no-op' as const },
      secrets: 600,
      refusedSecrets: [],
    };
    expect(addReports({ ...rest, ...first }, { ...rest, ...second })).toMatchObject({
      rewritten: 600,
      refused: 0,
      alreadyProven: 0,
      unchanged: 0,
      secrets: 600,
    });
  });

  it('name each Secret of the later pass once, and never fewer as rewritten than it did itself', () => {
    fc.assert(
      fc.property(report, report, (earlier, later) => {
        const sum = addReports(earlier, later);
        expect(partsOf(sum)).toBe(sum.secrets);
        expect(sum.rewritten).toBeGreaterThanOrEqual(later.rewritten);
        expect(Math.min(sum.alreadyProven, sum.unchanged)).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe('the pause between two looks at a busy cluster', () => {
  it('is a tenth of the wait so far, from two seconds to five minutes', () => {
    expect([0, 60_000, 10 * 3_600_000].map(pauseWhileBusy)).toEqual([2_000, 6_000, 300_000]);
  });
});
