/** Preconditions of vaults: tenant, protection, networks, and the identity's rights on them. */
import type { ObservedVault } from '../../../domain/identity-access';
import { goodKey, identityAccess, KEY_1, KEY_2, provisioning, recovery, slotFacts } from '../fixtures';
import {
  asking,
  privately,
  withAccess,
  withAzure,
  withCluster,
  withUnseenVault,
  type Asked,
  type Precondition,
} from './asked';

const KEEPS = 'It keeps the vault that AKS has taken, and sets no key of another one.';
const LEAVES = 'It sets no key.';
const LOGS = 'It sets no key; logs are wanted of every vault.';
const REPAIRS = 'It repairs what the cluster depends on already.';
const SETS_NONE = {
  'retire-key': LEAVES,
  'rewrite-secrets': LEAVES,
  'disable-kms': LEAVES,
  'enable-vault-diagnostics': LOGS,
  'recover-key': REPAIRS,
};
const SAME_VAULT = { 'rotate-key': KEEPS, 'replace-key': KEEPS };
const ITS_OWN_VAULT =
  'The vault may be there before the cluster can use it: `enable-kms` and `change-vault` check what private access needs.';

/** What a vault is that `provision-kms` finds, or that the others look at. */
function ofVault(asked: Asked, change: Partial<ObservedVault>): Asked | undefined {
  if (asked.kind !== 'provision-kms') return withAccess(asked, { vault: change });
  const fit = {
    location: 'westeurope',
    tenantId: 'tenant-1',
    permissionModel: 'rbac' as const,
    softDelete: true,
    purgeProtection: true,
    openToAllNetworks: true,
  };
  const vault = { state: 'exists' as const, vault: { ...fit, ...change } };
  return withAzure(asked, { provisioning: provisioning({ vault }) });
}

const vaultRow = (
  what: string,
  code: string,
  change: Partial<ObservedVault>,
  exempt: Readonly<Record<string, string>>,
): Precondition => ({
  what,
  code: { '*': code, 'provision-kms': 'VaultUnsuited' },
  exempt: { ...SETS_NONE, ...SAME_VAULT, ...exempt },
  kept: (asked) => ofVault(asked, {}) ?? asked,
  violated: (asked) => ofVault(asked, change),
});

const MAKES_NONE = 'It writes nothing to a vault that does not answer.';
const throughArm = (keyId: string): Asked['azure']['currentKey'] => ({
  found: true,
  key: goodKey(keyId, { seenThrough: 'arm' }),
});

/** Their rows. */
export const OF_VAULTS: readonly Precondition[] = [
  vaultRow('a vault of the same tenant', 'VaultInOtherTenant', { tenantId: 'tenant-2' }, {}),
  ...[{ softDelete: false }, { purgeProtection: false }].map((lacks) =>
    vaultRow(`a vault with ${Object.keys(lacks).join()}`, 'VaultUnprotected', lacks, {
      'change-vault-access': REPAIRS.replace('repairs', 'keeps'),
      'upgrade-to-kms-v2': REPAIRS.replace('repairs', 'keeps'),
    }),
  ),
  {
    ...vaultRow(
      'with public access, a vault open to all networks',
      'VaultNotOpen',
      { openToAllNetworks: false },
      {
        'change-vault-access': 'To public access it opens the vault itself; to private access it closes it.',
        'recover-key': 'It opens the vault itself.',
      },
    ),
  },
  {
    what: 'with private access, the id of the vault',
    code: { '*': 'VaultNotSeen', 'create-cluster': 'VaultNotFound' },
    exempt: {
      ...SETS_NONE,
      ...SAME_VAULT,
      'provision-kms': ITS_OWN_VAULT,
      'upgrade-to-kms-v2': 'The cluster names the vault that it has.',
    },
    kept: privately,
    violated: (asked) => withUnseenVault(privately(asked)),
  },
  {
    what: 'with private access, API Server VNet Integration',
    code: { '*': 'VnetIntegrationMissing', 'create-cluster': 'SubnetMissing' },
    exempt: {
      ...SETS_NONE,
      ...SAME_VAULT,
      'provision-kms':
        'The vault may be there before the cluster can use it: `enable-kms` turns the integration on when asked.',
    },
    kept: privately,
    violated: (asked) =>
      asked.kind === 'create-cluster'
        ? asking(asked, { vaultAccess: 'Private' })
        : withCluster(privately(asked), { vnetIntegration: false }),
  },
  {
    what: 'with private access, the right to approve a private endpoint, which AKS does not check',
    code: 'IdentityMayNotApproveEndpoint',
    exempt: {
      ...SETS_NONE,
      ...SAME_VAULT,
      'provision-kms': ITS_OWN_VAULT,
      'create-cluster': 'Its plan gives the right.',
    },
    kept: privately,
    violated: (asked) => withAccess(privately(asked), { roles: { known: true, value: [] } }),
  },
  {
    what: 'an identity that may use the key',
    code: 'IdentityLacksKeyAccess',
    exempt: {
      ...SETS_NONE,
      'rotate-key': 'Rights on another key object have a row of their own; a version has those of its object.',
      'replace-key': 'Rights on another key object have a row of their own; a version has those of its object.',
      'provision-kms': 'Its plan gives the rights.',
      'create-cluster': 'Its plan gives the rights.',
    },
    violated: (asked) => withAccess(asked, { vault: { permissionModel: 'access-policy', policyKeys: ['decrypt'] } }),
  },
  {
    what: 'an identity that may use another key object of the vault, which AKS does not check with private access',
    code: 'IdentityLacksKeyAccess',
    exempt: {
      ...SETS_NONE,
      ...Object.fromEntries(
        [
          'enable-kms',
          'change-vault',
          'change-vault-access',
          'upgrade-to-kms-v2',
          'provision-kms',
          'create-cluster',
        ].map((kind) => [kind, 'It looks at the rights on the key itself, or gives them.']),
      ),
    },
    kept: (asked) => otherObject(asked, 'Key Vault Crypto User'),
    violated: (asked) => otherObject(asked),
  },
  {
    what: 'a vault that answers, where Keyturn writes to it',
    code: { '*': 'VaultNotReachable', 'provision-kms': 'VaultUnsuited' },
    exempt: Object.fromEntries(
      [
        'enable-kms',
        'change-vault',
        'change-vault-access',
        'rewrite-secrets',
        'disable-kms',
        'upgrade-to-kms-v2',
        'enable-vault-diagnostics',
        'create-cluster',
      ].map((kind) => [kind, MAKES_NONE]),
    ),
    violated: behindFirewall,
  },
];

/** A key of another object of the vault, which roles at keys may leave out. */
function otherObject(asked: Asked, role?: string): Asked {
  const keyId = KEY_2.replace('/k1/', '/k9/');
  const dataActions = [
    'Microsoft.KeyVault/vaults/keys/encrypt/action',
    'Microsoft.KeyVault/vaults/keys/decrypt/action',
  ];
  const permission = { actions: [], notActions: [], dataActions, notDataActions: [], uncertain: false };
  const value = role === undefined ? [] : [{ name: role, ...permission }];
  const access = identityAccess({ keyId, vault: { permissionModel: 'rbac' }, roles: { known: true, value } });
  return withAzure(asked, { otherKeyAccess: [access] });
}

/** Vaults that do not answer from where Keyturn runs. */
function behindFirewall(asked: Asked): Asked | undefined {
  if (asked.kind === 'provision-kms') return ofVault(asked, { openToAllNetworks: false });
  if (asked.kind === 'recover-key') {
    const slots = [slotFacts('current', KEY_1, { version: { enabled: false, seenThrough: 'arm' } })];
    return withAzure(asked, { recovery: recovery({ slots }) });
  }
  return withAzure(asked, {
    currentKey: throughArm(KEY_1),
    ...(asked.azure.requestedKey?.found ? { requestedKey: throughArm(asked.azure.requestedKey.key.keyId) } : {}),
  });
}
