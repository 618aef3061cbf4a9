/**
 * `enable-kms`: turn KMS on with a key of a vault that is open to all networks, and prove that no Secret is left in plaintext.
 *
 * Follows "Turn on KMS etcd encryption for an existing AKS cluster" (public key vault): `az aks update
 * --enable-azure-keyvault-kms`, then every Secret is updated. From 1.27 on AKS configures KMS v2, before it KMS v1.
 * Needs: KMS off, a usable key, and an identity of the cluster that may use it. Does: one transition. Never does: create a vault, a key or a grant.
 */
import { z } from 'zod';
import { describeState, kmsScheme, type EncryptionState } from '../encryption';
import { versionedKeyId } from '../key-id-schema';
import { foundKeyId } from '../observed';
import { transition } from '../plan/transition';
import {
  clusterRules,
  identityAccessRule,
  identityAccessWarnings,
  privateVaultRule,
  vaultOpenRule,
  vnetInEffectRule,
  vnetIntegrationRule,
  kmsOffRule,
  requestedKeyRule,
  vaultProtectedRule,
  vaultTenantRule,
} from '../rules';
import { kind } from './kind';
import { accessTo, clusterAndState, proveCurrentUnlessProven, startGate, vaultAccess } from './steps';
import { vnetIntegration, vnetParameters } from './vnet-integration';
import { kmsV1Warnings } from './warnings';

export const enableKms = kind({
  name: 'enable-kms',
  does: 'Enables KMS on a cluster with a key, rewrites every Secret, and proves it.',
  never: 'creates a vault, a key or a grant.',
  section: 'Turn on KMS etcd encryption for an existing AKS cluster',
  parameters: z.strictObject({
    keyId: versionedKeyId.meta({
      description: 'The key version to encrypt with.',
    }),
    vaultAccess,
    ...vnetParameters,
  }),
  keyFrom: 'any-vault',
  needs: ['census', 'identity-access', 'vnet-integration'],
  rules: [
    ...clusterRules,
    kmsOffRule,
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
    const { cluster, from, azure, parameters, perSecond } = facts;
    const key = foundKeyId(azure.requestedKey) ?? parameters.keyId;
    const to: EncryptionState = {
      mode: 'on',
      scheme: kmsScheme(cluster.kubernetesVersion),
      key,
      ...accessTo(azure, parameters.vaultAccess),
    };
    const vnet = vnetIntegration(facts);
    return {
      summary: `${vnet.first}Enable KMS: move ${clusterAndState(facts)} to ${describeState(to)}, rewrite every Secret, and prove it.`,
      to,
      steps: [
        startGate(facts, 'Enabling KMS changes a production control plane; no person does that alone.'),
        ...vnet.gates,
        ...vnet.steps,
        ...proveCurrentUnlessProven(facts),
        ...transition('on', from, to, { perSecond, acceptable: true }),
      ],
      warnings: [...identityAccessWarnings(azure), ...kmsV1Warnings(to), ...vnet.warnings],
    };
  },
});
