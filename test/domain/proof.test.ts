import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  compareResourceVersions,
  hadNoEffect,
  isComplete,
  isConclusive,
  isPointless,
  PROOF_RULE,
  wentBackwards,
  type ProofBounds,
} from '../../domain/proof';

const rv = fc.bigInt({ min: 1n, max: 2n ** 63n - 1n });

describe('resource versions', () => {
  it('compare as integers of any length', () => {
    fc.assert(
      fc.property(rv, rv, (a, b) => {
        expect(Math.sign(compareResourceVersions(String(a), String(b)))).toBe(a < b ? -1 : a > b ? 1 : 0);
      }),
    );
  });

  it.each(['', '01', '-1', '1.5', 'abc', '0x10'])('"%s" is none', (text) => {
    expect(() => compareResourceVersions(text, '1')).toThrow(/not a resource version/);
  });
});

describe('the proof rule', () => {
  const { bandOf, judge } = PROOF_RULE;
  const bounds: ProofBounds = { baselineRv: '100', convergedRv: '200', method: 'no-op' };

  it.each([
    ['201', 'after-convergence'],
    ['200', 'ambiguous'],
    ['101', 'ambiguous'],
    ['100', 'before-switch'],
    ['99', 'before-switch'],
  ])('puts resource version %s into the band %s', (version, band) => {
    expect(bandOf(version, bounds)).toBe(band);
  });

  it('knows no band before the switch when there was none', () => {
    expect(bandOf('1', { ...bounds, baselineRv: null })).toBe('ambiguous');
  });

  it('accepts an unchanged object only where it may be under the target, and where a stale one would show', () => {
    expect(judge('ambiguous', 'no-op', '150', '150')).toBe('proven');
    expect(judge('before-switch', 'no-op', '50', '50')).toBe('contradiction');
    expect(judge('ambiguous', 'forced', '150', '150')).toBe('contradiction');
    expect(judge('before-switch', 'forced', '50', '50')).toBe('contradiction');
  });

  it.each(['no-op', 'forced'] as const)('accepts an object that was stored anew by a %s patch', (method) => {
    expect(judge('before-switch', method, '50', '250')).toBe('proven');
    expect(judge('ambiguous', method, '150', '250')).toBe('proven');
  });

  it('does not take an older resource version for a newer one', () => {
    expect(judge('before-switch', 'forced', '50', '49')).toBe('contradiction');
  });

  it('sees a restored etcd by a list that went backwards', () => {
    expect(wentBackwards('1000', '999')).toBe(true);
    expect(wentBackwards('1000', '1000')).toBe(false);
  });
});

describe('the effect check', () => {
  it('objects when most of what had to change did not', () => {
    expect(hadNoEffect({ rewritten: 0, contradictions: 500 })).toBe(true);
    expect(hadNoEffect({ rewritten: 500, contradictions: 0 })).toBe(false);
    expect(hadNoEffect({ rewritten: 50, contradictions: 50 })).toBe(false);
    expect(hadNoEffect({ rewritten: 0, contradictions: 0 })).toBe(false);
  });

  it('stops a rewrite only when enough had to change to tell', () => {
    expect(isPointless({ rewritten: 0, contradictions: 99 })).toBe(false);
    expect(isPointless({ rewritten: 0, contradictions: 100 })).toBe(true);
    expect(isPointless({ rewritten: 60, contradictions: 40 })).toBe(false);
  });
});

it('a proof is complete when no Secret is unproven and the servers still agree', () => {
  expect(isComplete({ unproven: 0, convergenceHeld: true })).toBe(true);
  expect(isComplete({ unproven: 1, convergenceHeld: true })).toBe(false);
  expect(isComplete({ unproven: 0, convergenceHeld: false })).toBe(false);
});

it.each([
  ['no-op', '100', true],
  ['no-op', null, true],
  ['forced', null, true],
  // Nobody saw a server switch.
  ['forced', '100', false],
] as const)('a complete proof by %s with R0 %s is conclusive: %s', (method, baselineRv, conclusive) => {
  const proof = { unproven: 0, convergenceHeld: true, bounds: { method, baselineRv, convergedRv: '200' } };
  expect(isConclusive(proof)).toBe(conclusive);
  expect(isConclusive({ ...proof, unproven: 1 })).toBe(false);
  expect(isConclusive({ ...proof, convergenceHeld: false })).toBe(false);
});
