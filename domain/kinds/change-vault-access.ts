/**
 * `change-vault-access`: the same vault and key, reached over a private endpoint instead of the vault's public address, or back.
 *
 * Follows "Update key vault mode" of the AKS documents: the mode of a vault cannot change while KMS is on, so KMS goes off, and on
 * again. The documents update the Secrets after the first half only; here both are proven.
 * The vault's public address closes last, and opens first: at every moment the API servers reach the key that Secrets are under. The
 * documents close it before KMS is on again, while the API servers may still read with it.
 * Needs: KMS on; for private access API Server VNet Integration, which it turns on when asked to, and an identity that may approve private endpoints.
 * Does: two transitions and a change of the vault's network. Never does: change another member of the vault, disable or delete a key.
 */
import { z } from 'zod';
import { describeState, type EncryptionState } from '../encryption';
import { transition } from '../plan/transition';
import type { PlanStep, VaultNetwork } from '../plan/steps';
import { mustParseKeyId } from '../resource-ids';
import {
  accessDiffersRule,
  clusterRules,
  currentKeyRule,
  identityAccessRule,
  identityAccessWarnings,
  kmsOnRule,
  privateVaultRule,
  vaultTenantRule,
  vaultUnusedByOthersRule,
  vnetInEffectRule,
  vnetIntegrationRule,
} from '../rules';
import { kind } from './kind';
import { clusterAndState, plaintextGate, proveCurrentUnlessProven, startGate } from './steps';
import { vnetIntegration, vnetParameters } from './vnet-integration';
import { kmsV1Warnings, previousKeyWarnings } from './warnings';

export const changeVaultAccess = kind({
  name: 'change-vault-access',
  does: 'Disables KMS, changes the access to the vault of the current key between public and private, enables KMS with the same key, and proves every Secret after each.',
  never: 'closes the public address of a vault that another cluster needs, or disables or deletes a key.',
  section: 'Update key vault mode',
  parameters: z.strictObject({
    vaultAccess: z.enum(['Public', 'Private']).meta({
      description: 'How the API servers are to reach the vault: on its public address, or over a private endpoint.',
    }),
    ...vnetParameters,
  }),
  keyFrom: 'current-vault',
  needs: ['census', 'identity-access', 'vnet-integration', 'vault-users'],
  rules: [
    ...clusterRules,
    kmsOnRule,
    currentKeyRule,
    accessDiffersRule,
    identityAccessRule,
    vnetIntegrationRule,
    privateVaultRule,
    vaultUnusedByOthersRule,
    vaultTenantRule,
  ],
  factRules: [vnetInEffectRule],

  plan(facts) {
    const { from, azure, parameters, perSecond } = facts;
    const seen = azure.identityAccess?.vault;
    const vaultId = from.mode === 'on' ? (from.vaultId ?? (seen?.known ? seen.value.vaultId : undefined)) : undefined;
    if (from.mode === 'off' || typeof from.key !== 'string' || vaultId === undefined)
      throw new Error('change-vault-access was planned against its rules.');
    const { vaultAccess: access } = parameters;
    const { key, scheme } = from;
    const off: EncryptionState = { mode: 'off' };
    const to: EncryptionState = { mode: 'on', scheme, key, access, ...(access === 'Private' ? { vaultId } : {}) };
    const vnet = vnetIntegration(facts);
    const setNetwork = (network: VaultNetwork): PlanStep => networkStep(network, vaultId, key);
    return {
      summary: `${vnet.first}Change ${clusterAndState(facts)} with ${from.access.toLowerCase()} vault access to ${access.toLowerCase()} access to the same vault, by way of plaintext, and prove every Secret.`,
      to,
      steps: [
        startGate(facts, 'Changing the vault access changes a production control plane; no person does that alone.'),
        plaintextGate(facts),
        ...vnet.gates,
        ...vnet.steps,
        ...proveCurrentUnlessProven(facts),
        ...(access === 'Public' ? [setNetwork('open')] : []),
        ...transition('off', from, off, { perSecond, acceptable: false }),
        ...transition('on', off, to, { perSecond, acceptable: access === 'Public' }),
        ...(access === 'Private' ? [setNetwork('closed')] : []),
      ],
      warnings: [
        ...identityAccessWarnings(azure),
        ...previousKeyWarnings(facts.ledger),
        ...kmsV1Warnings(to),
        ...vnet.warnings,
        {
          code: 'PlaintextAtRest',
          detail: `From the first change of the cluster until KMS is on again, etcd and its backups hold every Secret in plaintext. A key of another vault, which has the access that is wanted, avoids that: kind change-vault. ${describeState(from)} must stay enabled, unexpired and undeleted all the time.`,
        },
        access === 'Private' ? publicAddressCloses(key) : publicAddressOpens(key),
      ],
    };
  },
});

function networkStep(to: VaultNetwork, vaultId: string, key: string): PlanStep {
  const { vaultName } = mustParseKeyId(key);
  const words =
    to === 'open'
      ? {
          title: `Open the vault ${vaultName} to all networks`,
          reason:
            'With public access AKS reaches the vault from addresses that no firewall rule can name. It is opened first, so that the key stays reachable all the time.',
        }
      : {
          title: `Close the public address of the vault ${vaultName}`,
          reason:
            'It closes last: now the API servers reach the key over their private endpoint, and every Secret is proven.',
        };
  return { id: 'set-vault-network', type: 'set-vault-network', vaultId, to, key, ...words };
}

function publicAddressCloses(key: string): { code: string; detail: string } {
  const { vaultName } = mustParseKeyId(key);
  return {
    code: 'PublicAddressCloses',
    detail: `At the end the vault ${vaultName} answers over private endpoints only. Programs, pipelines and people who use its public address lose it, Keyturn too, unless it runs in a network with a private endpoint of the vault. Keyturn looked at AKS clusters only.`,
  };
}

function publicAddressOpens(key: string): { code: string; detail: string } {
  const { vaultName } = mustParseKeyId(key);
  return {
    code: 'PublicAddressOpens',
    detail: `The vault ${vaultName} is opened to all networks: from then on only its rights protect its keys.`,
  };
}
