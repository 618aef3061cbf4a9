import { expect, it } from '@jest/globals';
import { describeTarget, kmsScheme, minorOf } from '../../domain/encryption';
import { KEY_1 } from './fixtures';

it.each([
  ['1.26.15', 'kms-v1'],
  ['1.27.0', 'kms-v2'],
  ['1.27', 'kms-v2'],
  ['1.34.4', 'kms-v2'],
  ['1.9.11', 'kms-v1'],
])('Kubernetes %s encrypts with %s', (version, scheme) => {
  expect(kmsScheme(version)).toBe(scheme);
});

it('a version that is none has no minor', () => {
  expect(minorOf('1.27.3')).toBe(27);
  expect(minorOf('unknown')).toBeNaN();
  expect(minorOf('')).toBeNaN();
});

it('a target is told in words that people know', () => {
  expect(describeTarget({ scheme: 'kms-v1', keyId: KEY_1 })).toBe('kv1/k1/11111111…');
  expect(describeTarget({ scheme: 'identity' })).toBe('plaintext (KMS off)');
});
