import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  bandOf,
  compareResourceVersions,
  hadNoEffect,
  judgeNoOp,
  wentBackwards,
  type RewriteReport,
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
  const bounds = { baselineRv: '100', convergedRv: '200' };

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
    expect(bandOf('1', { baselineRv: null, convergedRv: '200' })).toBe('ambiguous');
  });

  it('takes an unchanged object for a contradiction only when it was written before the switch', () => {
    expect(judgeNoOp('before-switch', '50', '50')).toBe('contradiction');
    expect(judgeNoOp('before-switch', '50', '250')).toBe('proven');
    expect(judgeNoOp('ambiguous', '150', '150')).toBe('proven');
  });

  it('proves an object only when a model of etcd says that it is under the target key', () => {
    // One server. Writes before the switch are under the old key; a no-op after it stores a stale object anew.
    const write = fc.record({ before: fc.boolean(), rewritten: fc.boolean() });
    fc.assert(
      fc.property(fc.array(write, { minLength: 1, maxLength: 30 }), (writes) => {
        let revision = 1;
        const objects = writes.filter((w) => w.before).map((w) => ({ rv: (revision += 1), key: 'old', ...w }));
        const baselineRv = String(revision);
        for (const w of writes.filter(({ before }) => !before)) objects.push({ rv: (revision += 1), key: 'new', ...w });
        const convergedRv = String(revision);
        for (const object of objects) {
          const was = object.rv;
          if (object.key === 'old' && object.rewritten) Object.assign(object, { rv: (revision += 1), key: 'new' });
          const verdict = judgeNoOp(bandOf(String(was), { baselineRv, convergedRv }), String(was), String(object.rv));
          if (verdict === 'proven') expect(object.key).toBe('new');
        }
      }),
    );
  });

  it('sees a restored etcd by a list that went backwards', () => {
    expect(wentBackwards('1000', '999')).toBe(true);
    expect(wentBackwards('1000', '1000')).toBe(false);
  });
});

describe('the effect check', () => {
  const report = (rewritten: number, contradictions: number): RewriteReport => ({
    bounds: { baselineRv: '1', convergedRv: '2' },
    secrets: rewritten + contradictions,
    rewritten,
    contradictions,
    alreadyProven: 0,
    unchanged: 0,
    gone: 0,
    refused: 0,
    refusedSecrets: [],
  });

  it('objects when most of what had to change did not', () => {
    expect(hadNoEffect(report(0, 500))).toBe(true);
    expect(hadNoEffect(report(500, 0))).toBe(false);
    expect(hadNoEffect(report(0, 0))).toBe(false);
  });
});
