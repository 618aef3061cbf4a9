import { describe, expect, it } from '@jest/globals';
import { applyChange, isApplied, isBusy, type ClusterChange, type KmsProfile } from '../../domain/cluster-change';
import { goodCluster, KEY_1, KEY_2 } from './fixtures';

const kms = (to: KmsProfile): ClusterChange => ({ type: 'kms', to });
const on = (change: Partial<Extract<KmsProfile, { mode: 'on' }>> = {}): ClusterChange =>
  kms({ mode: 'on', keyId: KEY_2, access: 'Public', ...change });
const VAULT_ID = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv1';

describe('a change of KMS', () => {
  const body = {
    madeUp: 1,
    properties: {
      madeUp: 2,
      securityProfile: { madeUp: 3, azureKeyVaultKms: { enabled: true, keyId: KEY_1, madeUp: 4 } },
    },
  };

  it.each([
    [
      'a key in a public vault',
      on(),
      { enabled: true, keyId: KEY_2, keyVaultNetworkAccess: 'Public', keyVaultResourceId: '' },
    ],
    [
      'a key in a private vault',
      on({ access: 'Private', vaultId: VAULT_ID }),
      { enabled: true, keyId: KEY_2, keyVaultNetworkAccess: 'Private', keyVaultResourceId: VAULT_ID },
    ],
    ['off', kms({ mode: 'off' }), { enabled: false, keyId: KEY_1 }],
  ])('to %s leaves everything else as it was', (_what, change, members) => {
    expect(applyChange(body, change)).toEqual({
      madeUp: 1,
      properties: { madeUp: 2, securityProfile: { madeUp: 3, azureKeyVaultKms: { ...members, madeUp: 4 } } },
    });
  });

  it.each([
    ['another key', { enabled: true, keyId: KEY_1 }, on(), false],
    ['the key in capitals', { enabled: true, keyId: KEY_2.replace('/k1/', '/K1/') }, on(), true],
    ['the key with KMS off', { enabled: false, keyId: KEY_2 }, on(), false],
    ['another access', { enabled: true, keyId: KEY_2, networkAccess: 'Private' }, on(), false],
    [
      'another vault id',
      { enabled: true, keyId: KEY_2, networkAccess: 'Private', vaultId: `${VAULT_ID}x` },
      on({ access: 'Private', vaultId: VAULT_ID }),
      false,
    ],
    ['KMS off', { enabled: false }, kms({ mode: 'off' }), true],
    ['KMS on', { enabled: true, keyId: KEY_2 }, kms({ mode: 'off' }), false],
  ])('is judged by what the cluster reports: %s', (_what, reported, change, applied) => {
    expect(isApplied(goodCluster({ kms: reported }), change)).toBe(applied);
  });
});

it('a cluster is busy in every state that something moves out of by itself', () => {
  expect(['Updating', 'Upgrading', 'Creating', 'Stopping'].every(isBusy)).toBe(true);
  expect(['Succeeded', 'Failed', 'Canceled'].some(isBusy)).toBe(false);
});
