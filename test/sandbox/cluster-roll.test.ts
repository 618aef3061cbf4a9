import { describe, expect, test } from '@jest/globals';
import type { EncryptionState } from '../../sandbox/cluster/contract';
import { passes, readStage, writeKeyOf } from '../../sandbox/cluster/roll';

const kms = (...slots: string[]): EncryptionState => ({ write: 'kms', slots });
const plain = (...slots: string[]): EncryptionState => ({ write: 'identity', slots });

describe('the first stage of a roll', () => {
  test.each<[string, EncryptionState, EncryptionState, EncryptionState | undefined]>([
    ['enabling reads with the new key and writes plaintext', plain(), kms('a'), plain('a')],
    ['a rotation reads with the new key and writes with the current one', kms('b', 'a'), kms('c', 'b'), kms('b', 'c')],
    ['disabling needs none, because all can read plaintext', kms('b', 'a'), plain('b'), undefined],
    ['going back to the previous key needs none', kms('b', 'a'), kms('a', 'b'), undefined],
    ['enabling with a key that still serves reads needs none', plain('a'), kms('a'), undefined],
    ['the same again needs none', kms('b', 'a'), kms('b', 'a'), undefined],
  ])('of %s', (_, from, to, expected) => {
    expect(readStage(from, to)).toEqual(expected);
  });

  test('is impossible when the current key is to leave at once', () => {
    expect(() => readStage(kms('a'), kms('c', 'b'))).toThrow('give it as the previous key');
  });
});

describe('the passes of a roll', () => {
  test('are one for a single server, as nobody else could fail to read', () => {
    expect(passes(kms('a'), kms('b', 'a'), 1, 0)).toEqual([{ state: kms('b', 'a'), servers: 1 }]);
    expect(passes(kms('a'), kms('c', 'b'), 1, 0)).toHaveLength(1);
  });

  test('let all of several servers read before the first one writes', () => {
    expect(passes(kms('a'), kms('b', 'a'), 3, 0)).toEqual([
      { state: kms('a', 'b'), servers: 3 },
      { state: kms('b', 'a'), servers: 3 },
    ]);
  });

  test('leave late servers at the first stage, also the only one', () => {
    expect(passes(kms('a'), kms('b', 'a'), 3, 2).map(({ servers }) => servers)).toEqual([3, 1]);
    expect(passes(kms('a'), kms('b', 'a'), 1, 4).map(({ servers }) => servers)).toEqual([1, 0]);
    expect(passes(kms('a'), plain('a'), 2, 1)).toEqual([{ state: plain('a'), servers: 1 }]);
  });

  test('leave nobody behind when the encryption stays', () => {
    expect(passes(kms('a'), kms('a'), 2, 1)).toEqual([{ state: kms('a'), servers: 2 }]);
  });
});

test('a server writes with its first key, or in plaintext whatever it can read', () => {
  expect([kms('b', 'a'), plain('b')].map(writeKeyOf)).toEqual(['b', 'identity']);
});
