/**
 * `change-vault`: set a key of another vault as the cluster's KMS key, and prove that every Secret followed.
 *
 * Follows "Update key vault mode" and "Rotate the existing keys": another vault is another key id, so that one `az aks update` and
 * one rewrite do it. The Secrets are never plaintext in between.
 * Needs: KMS on; a usable key in another vault that is open to all networks, and the cluster's identity allowed to use it.
 * Does: one transition. Never does: create a vault, a key or a grant; disable or delete a key (K1).
 */
import { z } from 'zod';
import { describeState, type EncryptionState } from '../encryption';
import { versionedKeyId } from '../key-id-schema';
import { foundKeyId } from '../observed';
import { transition } from '../plan/transition';
import {
  clusterRules,
  currentKeyRule,
  identityAccessRule,
  identityAccessWarnings,
  privateVaultRule,
  vaultOpenRule,
  vnetInEffectRule,
  vnetIntegrationRule,
  kmsOnRule,
  otherVaultRule,
  requestedKeyRule,
  vaultProtectedRule,
  vaultTenantRule,
} from '../rules';
import { kind } from './kind';
import { accessTo, clusterAndState, proveCurrentUnlessProven, startGate, vaultAccess } from './steps';
import { vnetIntegration, vnetParameters } from './vnet-integration';
import { kmsV1Warnings, previousKeyWarnings } from './warnings';

export const changeVault = kind({
  name: 'change-vault',
  does: 'Sets a key of another vault as the KMS key of a cluster, rewrites every Secret, and proves it.',
  never: 'creates a vault, a key or a grant, or disables or deletes a key.',
  section: 'Update key vault mode',
  parameters: z.strictObject({
    keyId: versionedKeyId.meta({
      description: 'The key version to encrypt with, in another vault.',
    }),
    vaultAccess,
    ...vnetParameters,
  }),
  keyFrom: 'any-vault',
  needs: ['census', 'identity-access', 'vnet-integration'],
  rules: [
    ...clusterRules,
    kmsOnRule,
    currentKeyRule,
    otherVaultRule,
    requestedKeyRule,
    identityAccessRule,
    vaultOpenRule,
    vnetIntegrationRule,
    privateVaultRule,
    vaultTenantRule,
    vaultProtectedRule,
  ],
  factRules: [vnetInEffectRule],

  plan(facts) {
    const { from, azure, parameters, perSecond } = facts;
    if (from.mode === 'off') throw new Error('change-vault was planned with KMS off.');
    // As the vault spells it.
    const key = foundKeyId(azure.requestedKey) ?? parameters.keyId;
    const to: EncryptionState = { mode: 'on', scheme: from.scheme, key, ...accessTo(azure, parameters.vaultAccess) };
    const vnet = vnetIntegration(facts);
    return {
      summary: `${vnet.first}Move ${clusterAndState(facts)} to ${describeState(to)} of another vault, rewrite every Secret, and prove it.`,
      to,
      steps: [
        startGate(facts, 'Changing the vault changes a production control plane; no person does that alone.'),
        ...vnet.gates,
        ...vnet.steps,
        ...proveCurrentUnlessProven(facts),
        ...transition('move', from, to, { perSecond, acceptable: true }),
      ],
      warnings: [
        ...identityAccessWarnings(azure),
        ...previousKeyWarnings(facts.ledger),
        ...kmsV1Warnings(to),
        ...vnet.warnings,
        {
          code: 'BothVaultsNeeded',
          detail: `Afterwards the API servers go on reading with ${describeState(from)}. Both vaults must stay as they are, and reachable, until a later rotation is proven.`,
        },
      ],
    };
  },
});
