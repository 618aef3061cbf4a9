/**
 * `provision-kms`: the vault, the key and the grants that a cluster needs before KMS can be enabled with them.
 *
 * Follows "Create a key vault and key" and "Assign permissions" of the AKS documents, for both permission models, for public and private
 * key vaults.
 * Needs: a cluster with a user-assigned identity. Does: makes what is not there: a vault with soft delete and purge protection, open to
 * all networks or to none; a key; the grants for the identity. Each may exist: then it is used as it is, if it is fit.
 * Never does: change a vault or a key that exists, recover or purge anything, or change the cluster: `enable-kms` does that.
 */
import { z } from 'zod';
import type { PlanFacts } from './kind';
import { parseKeyId, resourceName } from '../resource-ids';
import { clusterRule, expiryRule, provisioningRules } from '../rules';
import { kind } from './kind';
import { expiryAsked, grantSteps, vaultAndKey, vaultAndKeySteps, whatIsProvisioned } from './provisioning-steps';
import { startGate, vaultAccess } from './steps';
import { provisioningWarnings } from './warnings';

const parameters = z.strictObject({ ...vaultAndKey, vaultAccess });
type Parameters = z.infer<typeof parameters>;

export const provisionKms = kind({
  name: 'provision-kms',
  does: 'Makes the vault, the key and the grants that a cluster needs for KMS, or uses those that are there.',
  never: 'changes a vault or key that exists, gives the identity more than AKS needs, or changes the cluster.',
  section: 'Create a key vault and key',
  parameters,
  keyFrom: 'any-vault',
  needs: ['provisioning'],
  rules: [
    clusterRule('PlatformManagedEncryption'),
    clusterRule('ClusterIdentityUnsupported'),
    ...provisioningRules((asked: Parameters) => ({ ...asked, at: '/parameters' })),
    expiryRule,
  ],

  plan(facts) {
    const { azure, cluster, from, parameters: asked } = facts;
    const { provisioning: found, provisionedKey: key } = azure;
    const [identity] = cluster.identities;
    if (!found || !identity) throw new Error('provision-kms was planned against its rules.');
    const { vaultAccess: access, permissionModel, keyName } = asked;
    const toProvision = { asked, access, location: cluster.location, found, key };
    const identityName = resourceName(identity.resourceId);
    const privately = access === 'Private' ? ', and approve private endpoints of the vault' : '';
    const named = access === 'Private' ? ' and `vaultAccess` Private' : '';
    return {
      summary: `For KMS of ${resourceName(cluster.resourceId)}: ${whatIsProvisioned(toProvision)}, and let its identity ${identityName} encrypt and decrypt with the key${privately}. The cluster is not changed: ask for ${nextKind(facts)} afterwards, with the key id that the result names${named}.`,
      to: from,
      steps: [
        startGate(
          facts,
          'A cluster will depend on this vault and key for as long as it lives; no person decides that alone.',
        ),
        ...vaultAndKeySteps(toProvision),
        ...grantSteps({
          vaultId: found.vaultId,
          permissionModel,
          keyName,
          identityId: identity.resourceId,
          principalId: identity.principalId ?? null,
          access,
        }),
      ],
      warnings: provisioningWarnings(found, {
        ...asked,
        asked: { keySizeInBits: asked.keySizeInBits, expiry: expiryAsked(asked) },
        found: key,
      }),
    };
  },
});

/** What sets the key: a rotation where it is in the vault of the current key. */
function nextKind({ from, azure: { provisioning } }: PlanFacts<Parameters>): string {
  if (from.mode === 'off') return 'enable-kms';
  const current = typeof from.key === 'string' ? parseKeyId(from.key) : undefined;
  const vault = resourceName(provisioning?.vaultId ?? '');
  const same =
    current !== undefined && !('fault' in current) && current.vaultName.toLowerCase() === vault.toLowerCase();
  return same ? 'rotate-key' : 'change-vault';
}
