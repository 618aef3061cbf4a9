import { describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import type { EncryptionState } from '../../sandbox/cluster/contract';
import { encryptionConfiguration } from '../../sandbox/cluster/encryption-config';
import { hashKeyId, providerName, SHARED_PROVIDER_NAME } from '../../sandbox/cluster/key-id';
import { kmsSchemeOf } from '../../sandbox/cluster/kms-providers';

const first = 'https://kv.vault.azure.net/keys/etcd/11111111111111111111111111111111';
const second = 'https://kv.vault.azure.net/keys/etcd/22222222222222222222222222222222';

/** The providers in their order: KMS providers by name. */
function providersOf(state: EncryptionState): string[] {
  const [{ resources, providers }] = encryptionConfiguration(state, () => 'unix:///socket').resources;
  expect(resources).toEqual(['secrets']);
  return providers.map((provider) => ('kms' in provider ? provider.kms.name : 'identity'));
}

describe('an EncryptionConfiguration', () => {
  test('writes with the first slot, reads with the second, and reads plaintext last', () => {
    expect(providersOf({ write: 'kms', slots: [second, first] })).toEqual([
      providerName(second),
      providerName(first),
      'identity',
    ]);
    expect(providersOf({ write: 'kms', slots: [first] })).toEqual([providerName(first), 'identity']);
  });

  test('writes plaintext and reads with both slots when KMS is disabled', () => {
    expect(providersOf({ write: 'identity', slots: [second, first] })).toEqual([
      'identity',
      providerName(second),
      providerName(first),
    ]);
    expect(providersOf({ write: 'identity', slots: [] })).toEqual(['identity']);
  });

  test('points each KMS v2 provider at the plugin of its own key', () => {
    const config = encryptionConfiguration(
      { write: 'kms', slots: [second, first] },
      ({ kids: [kid = ''] }) => `unix:///${hashKeyId(kid)}`,
    );
    expect(config.resources[0].providers.slice(0, 2)).toEqual(
      [second, first].map((kid) => ({
        kms: { apiVersion: 'v2', name: providerName(kid), endpoint: `unix:///${hashKeyId(kid)}`, timeout: '3s' },
      })),
    );
  });

  test('speaks KMS v1 with a provider per key, or with one provider for all keys', () => {
    const state: EncryptionState = { write: 'kms', slots: [second, first] };
    const entries = (names: 'per-key' | 'shared') =>
      encryptionConfiguration(state, ({ version, kids }) => `unix:///${version}/${kids.map(hashKeyId).join('/')}`, {
        version: 'v1',
        names,
      }).resources[0].providers;
    const entry = (name: string, ...kids: string[]) => ({
      kms: { apiVersion: 'v1', name, endpoint: `unix:///v1/${kids.map(hashKeyId).join('/')}`, timeout: '3s' },
    });
    expect(entries('per-key')).toEqual([
      entry(providerName(second), second),
      entry(providerName(first), first),
      { identity: {} },
    ]);
    expect(entries('shared')).toEqual([entry(SHARED_PROVIDER_NAME, second, first), { identity: {} }]);
  });

  test.each<[string, 'v1' | 'v2', 'per-key' | 'shared']>([
    ['1.26', 'v1', 'shared'],
    ['1.27', 'v2', 'per-key'],
    ['1.34', 'v2', 'per-key'],
  ])('of Kubernetes %s with a shared name asked for is KMS %s, %s', (minor, version, names) => {
    expect(kmsSchemeOf(minor, 'shared')).toEqual({ version, names });
  });

  test.each<[string, EncryptionState, RegExp]>([
    ['three keys', { write: 'kms', slots: [first, second, `${first}x`] }, /2 key slots, but 3 keys/],
    ['the same key twice', { write: 'kms', slots: [first, first] }, /different keys/],
    ['KMS without a key', { write: 'kms', slots: [] }, /needs a key in the first slot/],
  ])('is refused for %s', (_, state, reason) => {
    expect(() => encryptionConfiguration(state, () => '')).toThrow(reason);
  });
});

describe('a key id', () => {
  test('is the hex sha256 of the kid, and names the provider by its first 12 digits', () => {
    const expected = createHash('sha256').update(first).digest('hex');
    expect(hashKeyId(first)).toBe(expected);
    expect(providerName(first)).toBe(`azurekms-${expected.slice(0, 12)}`);
  });
});
