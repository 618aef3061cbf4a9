import { describe, expect, it } from '@jest/globals';
import { ANOTHER_VAULT } from '../../domain/observed';
import { ruleFaults } from '../../domain/planner';
import { keyWarnings } from '../../domain/rules';
import { azure, FOREIGN_KEY, goodKey, KEY_1, KEY_2, request } from './fixtures';

const codes = (...args: Parameters<typeof ruleFaults>): string[] => ruleFaults(...args).map(({ code }) => code);

describe('rotate-key is refused', () => {
  it.each([
    ['a stopped cluster', { powerState: 'Stopped' }, 'ClusterNotRunning'],
    ['a cluster in a failed state', { provisioningState: 'Failed' }, 'ClusterNotSucceeded'],
    ['a cluster that is being updated', { provisioningState: 'Updating' }, 'ClusterNotSucceeded'],
    ['a cluster without KMS', { kms: { enabled: false } }, 'KmsNotEnabled'],
    ['a system-assigned identity', { identityType: 'SystemAssigned' }, 'ClusterIdentityUnsupported'],
    ['a version that is none', { kubernetesVersion: 'unknown' }, 'ClusterVersionUnsupported'],
    ['the newer encryption profile', { platformManagedEncryption: true }, 'PlatformManagedEncryption'],
    [
      'a current key without a version',
      { kms: { enabled: true, keyId: 'https://kv1.vault.azure.net/keys/k1' } },
      'CurrentKeyUnusable',
    ],
    ['disabled local accounts', { localAccountsDisabled: true }, 'LocalAccountsDisabled'],
  ])('for %s', (_what, cluster, code) => {
    expect(ruleFaults(request(), azure({ cluster }))).toEqual([
      { code, pointer: '/cluster', detail: expect.stringMatching(/^[A-Z].*\.$/) },
    ]);
  });

  it.each([
    ['disabled', { enabled: false }, 'KeyDisabled'],
    ['expired', { expiresOn: '2026-11-22T12:00:00.000Z' }, 'KeyExpired'],
    ['expiring within a day', { expiresOn: '2026-11-23T12:00:00.000Z' }, 'KeyExpiresSoon'],
    ['not valid yet', { notBefore: '2026-11-22T12:00:00.001Z' }, 'KeyNotYetValid'],
    ['of another type', { keyType: 'EC' }, 'KeyTypeUnsupported'],
    ['not for decryption', { operations: ['encrypt'] }, 'KeyOperationsMissing'],
  ])('for a key that is %s, requested or current', (_what, change, code) => {
    const requested = azure({ requestedKey: goodKey(KEY_2, change) });
    expect(ruleFaults(request({ keyId: KEY_2 }), requested)).toMatchObject([{ code, pointer: '/parameters/keyId' }]);
    expect(ruleFaults(request(), azure({ currentKey: change }))).toMatchObject([
      { code: 'CurrentKeyUnusable', pointer: '/cluster' },
    ]);
  });

  it('for a key of another vault, which is not even looked up', () => {
    const facts = { ...azure(), requestedKey: { found: false as const, keyId: FOREIGN_KEY, why: ANOTHER_VAULT } };
    expect(ruleFaults(request({ keyId: FOREIGN_KEY }), facts)).toMatchObject([
      { code: 'KeyForeign', pointer: '/parameters/keyId' },
    ]);
  });

  it('for a key that does not exist, and for one that is current already', () => {
    const missing = { ...azure(), requestedKey: { found: false as const, keyId: KEY_2, why: 'KeyNotFound' } };
    expect(codes(request({ keyId: KEY_2 }), missing)).toEqual(['KeyNotFound']);
    expect(codes(request({ keyId: KEY_1 }), azure({ requestedKey: goodKey(KEY_1) }))).toEqual(['KeyAlreadyCurrent']);
  });

  it('with every violated rule at once', () => {
    const facts = azure({
      cluster: { powerState: 'Stopped', identityType: 'None' },
      requestedKey: goodKey(KEY_2, { enabled: false }),
    });
    expect(codes(request({ keyId: KEY_2 }), facts)).toEqual([
      'ClusterNotRunning',
      'ClusterIdentityUnsupported',
      'KeyDisabled',
    ]);
  });

  it('for a cluster that does not exist', () => {
    expect(codes(request(), { ...azure(), cluster: { found: false, why: 'ResourceNotFound' } })).toEqual([
      'ClusterNotFound',
    ]);
  });
});

it('warns of a key that expires within 30 days, current or requested, and of no other', () => {
  const codesOf = (expiresOn: string): string[] =>
    keyWarnings(azure({ currentKey: { expiresOn }, requestedKey: goodKey(KEY_2, { expiresOn }) })).map(
      ({ code }) => code,
    );
  expect(codesOf('2026-12-22T12:00:00.000Z')).toEqual(['KeyExpiresSoon', 'KeyExpiresSoon']);
  expect(codesOf('2026-12-22T12:00:00.001Z')).toEqual([]);
  expect(keyWarnings(azure())).toEqual([]);
});

it('rotate-key is not refused for KMS v1', () => {
  expect(ruleFaults(request(), azure({ cluster: { kubernetesVersion: '1.26.15' } }))).toEqual([]);
});

it('rotate-key is not refused when every rule holds', () => {
  expect(ruleFaults(request({ keyId: KEY_2 }), azure({ requestedKey: goodKey(KEY_2) }))).toEqual([]);
});
