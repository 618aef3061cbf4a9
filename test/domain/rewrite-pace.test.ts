import { describe, expect, it } from '@jest/globals';
import { CEILING_TAG, ceilingWarnings, taggedCeiling, vaultBudget } from '../../domain/rewrite-pace';

const tagged = (text: string): { tags: Record<string, string> } => ({ tags: { [CEILING_TAG]: text } });

describe('the ceiling that owners set by a tag', () => {
  it.each([
    ['25', 25],
    [' 0.5 ', 0.5],
    ['999999', 999_999],
  ])('"%s" is %d a second', (text, ceiling) => {
    expect(taggedCeiling(tagged(text))).toBe(ceiling);
    expect(ceilingWarnings(tagged(text))).toEqual([]);
  });

  it.each(['', '0', '0.0', '-1', '1e3', '1,5', 'slow', '1234567', 'Infinity'])(
    '"%s" is no number that counts, and is warned of',
    (text) => {
      expect(taggedCeiling(tagged(text))).toBeUndefined();
      expect(ceilingWarnings(tagged(text))).toEqual([
        { code: 'CeilingNotUnderstood', detail: expect.stringContaining(`"${text}"`) },
      ]);
    },
  );

  it('is none, without a warning, when there is no tag', () => {
    expect(taggedCeiling({ tags: {} })).toBeUndefined();
    expect(ceilingWarnings({ tags: { other: 'x' } })).toEqual([]);
  });

  it('is quoted in part only when somebody wrote a novel', () => {
    expect(ceilingWarnings(tagged('x'.repeat(256)))[0]?.detail).not.toContain('x'.repeat(51));
  });
});

it.each([
  ['RSA', 2048, 66],
  ['RSA-HSM', 2048, 33],
  ['RSA', 3072, 16],
  ['RSA-HSM', 3072, 8],
  ['RSA', 4096, 8],
  ['RSA-HSM', 4096, 4],
  ['RSA', undefined, 8],
  ['RSA', 8192, 8],
])('half of what a vault takes with %s %s is %d Secrets a second', (keyType, keySizeInBits, perSecond) => {
  expect(vaultBudget({ keyType, keySizeInBits })).toBe(perSecond);
});
