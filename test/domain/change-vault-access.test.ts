import { describe, expect, it } from '@jest/globals';
import type { AzureObservation } from '../../domain/observed';
import { planFaults } from '../../domain/plan/check-plan';
import { plan, ruleFaults } from '../../domain/planner';
import { azureFor, identityAccess, KEY_1, ledgerFor, observation, requestOf, VAULT_CONTRIBUTOR } from './fixtures';

const KIND = 'change-vault-access';
const VAULT = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv1';
const facts = (change: Partial<AzureObservation> = {}): AzureObservation => ({ ...azureFor(KIND), ...change });
const codes = (azure: AzureObservation, vaultAccess = 'Private'): string[] =>
  ruleFaults(requestOf(KIND, { vaultAccess }), azure).map(({ code }) => code);
const privately = (): AzureObservation => {
  const { cluster, ...rest } = facts();
  if (!cluster.found) throw new Error('There is a cluster.');
  const kms = { enabled: true, keyId: KEY_1, networkAccess: 'Private', vaultId: VAULT };
  return { ...rest, cluster: { found: true, cluster: { ...cluster.cluster, kms } } };
};

describe('a change of the vault access', () => {
  it('closes the public address last, when every API server works without it', () => {
    const made = plan(requestOf(KIND), observation(facts(), ledgerFor(KIND, { proven: true })), {
      approvalsRequired: 1,
    }).plan;
    const ids = made?.steps.map(({ id }) => id) ?? [];
    expect(ids.filter((id) => /set-kms|network/.test(id))).toEqual(['off.set-kms', 'on.set-kms', 'set-vault-network']);
    expect(ids.at(-1)).toBe('set-vault-network');
    expect(made?.to).toMatchObject({ key: KEY_1, access: 'Private', vaultId: VAULT });
    const [start, ...rest] = made?.steps ?? [];
    const closing = rest.pop();
    const first = start && closing ? [start, closing, ...rest] : [];
    expect(planFaults(first, { state: made?.from ?? { mode: 'off' }, proven: true })).toContainEqual(
      expect.stringContaining('may need the public address'),
    );
  });

  it('opens it first on the way back, by the vault that the cluster names', () => {
    const request = requestOf(KIND, { vaultAccess: 'Public' });
    const observed = observation(privately(), ledgerFor(KIND, { proven: true }));
    const made = plan(request, observed, { approvalsRequired: 1 }).plan;
    const writing = made?.steps.filter(({ type }) => type === 'set-kms' || type === 'set-vault-network') ?? [];
    expect(writing.map(({ id }) => id)).toEqual(['set-vault-network', 'off.set-kms', 'on.set-kms']);
    expect(writing[0]).toMatchObject({ to: 'open', vaultId: VAULT });
    expect(made?.to).not.toHaveProperty('vaultId');
  });

  it('is refused where an API server, another cluster or the identity would lose its way', () => {
    expect(codes(facts())).toEqual([]);
    expect(codes(facts(), 'Public')).toEqual(['VaultAccessAlready']);
    const contributor = { known: true as const, value: [VAULT_CONTRIBUTOR] };
    const without = identityAccess({ keyId: KEY_1, vault: { policyKeys: [] }, roles: contributor });
    expect(codes(facts({ identityAccess: without }))).toEqual(['IdentityLacksKeyAccess']);
    const noRole = identityAccess({ keyId: KEY_1, roles: { known: true, value: [] } });
    expect(codes(facts({ identityAccess: noRole }))).toEqual(['IdentityMayNotApproveEndpoint']);
    const unseen = { ...noRole, vault: { known: false as const, why: 'Not seen.' } };
    expect(codes(facts({ identityAccess: unseen }))).toEqual(['VaultNotSeen']);
    const vaultUsers = {
      vaultUrl: 'https://kv1.vault.azure.net',
      clusters: ['aks2'],
      unread: [],
      refusedSubscriptions: [],
    };
    expect(codes(facts({ vaultUsers }))).toEqual(['VaultInUse']);
  });
});
