import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  applyChange,
  ClusterChange,
  describeChange,
  describeReported,
  isApplied,
  isBusy,
  type KmsProfile,
} from '../../domain/cluster-change';
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

describe('a change of version', () => {
  const controlPlane: ClusterChange = { type: 'control-plane-version', to: '1.27.3' };
  const pool: ClusterChange = { type: 'pool-version', pool: 'np2', to: '1.27.3' };
  const version = fc.stringMatching(/^1\.2[0-9]\.\d{1,2}$/);
  const anything = fc.dictionary(fc.string().filter(notOurs), fc.jsonValue(), { maxKeys: 4 });
  /** Bodies with members that Keyturn has never heard of, everywhere. */
  const bodies = fc
    .record({
      root: anything,
      properties: anything,
      sp: fc.option(fc.constant({ clientId: 'msi' }), { nil: undefined }),
      kubernetesVersion: version,
      pools: fc.uniqueArray(fc.record({ name: fc.constantFrom('np1', 'np2', 'np3'), rest: anything, version }), {
        selector: ({ name }) => name,
      }),
    })
    .map(({ root, properties, sp, kubernetesVersion, pools }) => ({
      ...root,
      properties: {
        ...properties,
        ...(sp === undefined ? {} : { servicePrincipalProfile: sp }),
        kubernetesVersion,
        agentPoolProfiles: pools.map(({ name, rest, version }) => ({ ...rest, name, orchestratorVersion: version })),
      },
    }));

  function notOurs(name: string): boolean {
    return !['__proto__', 'properties', 'kubernetesVersion', 'agentPoolProfiles', 'servicePrincipalProfile'].includes(
      name,
    );
  }

  it('of the control plane leaves everything else as it was, the pools too', () => {
    fc.assert(
      fc.property(bodies, (body) => {
        const before = structuredClone(body);
        const { servicePrincipalProfile: _left, ...properties } = body.properties as Record<string, unknown>;
        expect(applyChange(body, controlPlane)).toStrictEqual({
          ...body,
          properties: { ...properties, kubernetesVersion: '1.27.3' },
        });
        expect(body).toStrictEqual(before);
      }),
    );
  });

  it('of one pool leaves everything else as it was, the control plane and the other pools too', () => {
    fc.assert(
      fc.property(bodies, (body) => {
        fc.pre(body.properties.agentPoolProfiles.some(({ name }) => name === 'np2'));
        const before = structuredClone(body);
        const { servicePrincipalProfile: _left, ...properties } = body.properties as Record<string, unknown>;
        expect(applyChange(body, pool)).toStrictEqual({
          ...body,
          properties: {
            ...properties,
            agentPoolProfiles: body.properties.agentPoolProfiles.map((one) =>
              one.name === 'np2' ? { ...one, orchestratorVersion: '1.27.3' } : one,
            ),
          },
        });
        expect(body).toStrictEqual(before);
      }),
    );
  });

  it('of a pool that is not there is no change', () => {
    expect(() => applyChange({ properties: { agentPoolProfiles: [{ name: 'np1' }] } }, pool)).toThrow('np2');
    expect(() => applyChange({ properties: {} }, pool)).toThrow('Nothing was sent');
  });

  it('names a whole version', () => {
    for (const to of ['1.27', '', '1.27.3-preview', 'unknown']) {
      expect(ClusterChange.safeParse({ ...controlPlane, to }).success).toBe(false);
      expect(ClusterChange.safeParse({ ...pool, to }).success).toBe(false);
    }
  });

  it('is done when the version runs, not when it is asked for', () => {
    const asked = goodCluster({
      kubernetesVersion: '1.26.15',
      wantedKubernetesVersion: '1.27.3',
      agentPools: ['np1', 'np2'].map((name) => ({
        name,
        version: name === 'np1' ? '1.27.3' : '1.26.15',
        wantedVersion: '1.27.3',
        count: 1,
        mode: 'System',
      })),
    });
    expect([isApplied(asked, controlPlane), isApplied(asked, pool)]).toEqual([false, false]);
    expect(isApplied(asked, { ...pool, pool: 'np1' })).toBe(true);
    expect(isApplied(asked, { ...pool, pool: 'np9' })).toBe(false);
    expect(isApplied({ ...asked, kubernetesVersion: '1.27.3' }, controlPlane)).toBe(true);
    expect(`${describeReported(asked, controlPlane)} instead of ${describeChange(controlPlane)}`).toBe(
      'Kubernetes 1.26.15 on the control plane instead of Kubernetes 1.27.3 on the control plane',
    );
    expect(`${describeReported(asked, pool)} instead of ${describeChange(pool)}`).toBe(
      'Kubernetes 1.26.15 on the agent pool np2 instead of Kubernetes 1.27.3 on the agent pool np2',
    );
    expect(describeReported(asked, { ...pool, pool: 'np9' })).toBe('no agent pool np9');
  });
});
