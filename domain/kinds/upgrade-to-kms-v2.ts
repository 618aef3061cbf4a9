/**
 * `upgrade-to-kms-v2`: from KMS v1 on Kubernetes 1.26 or older to KMS v2 on 1.27 or newer.
 *
 * Follows "Migrate to KMS v2" of the AKS documents, whose five points are the plan below: disable KMS, migrate the storage, upgrade
 * the cluster, enable KMS, migrate the storage. AKS refuses the upgrade while KMS v1 is on.
 * Needs: KMS v1 on, and a version with KMS v2 that AKS offers. Does: two transitions with an upgrade between them.
 * Never does: upgrade before every Secret is proven to be plaintext: what KMS v1 has stored no later version can read.
 */
import { z } from 'zod';
import { describeState, type EncryptionState } from '../encryption';
import { transition } from '../plan/transition';
import { upgrade } from '../plan/upgrade';
import {
  clusterRules,
  currentKeyRule,
  identityAccessRule,
  identityAccessWarnings,
  kmsOnRule,
  kmsV1Rule,
  poolsInStepRule,
  privateVaultRule,
  upgradeOfferedRule,
  vaultOpenRule,
  vaultTenantRule,
  vnetIntegrationOnRule,
  withPresentAccess,
} from '../rules';
import { chosenVersion } from '../upgrade-path';
import { kind } from './kind';
import { clusterAndState, plaintextGate, proveCurrentUnlessProven, startGate, upgradeGate } from './steps';
import { previousKeyWarnings, upgradeWarnings } from './warnings';

export const upgradeToKmsV2 = kind({
  name: 'upgrade-to-kms-v2',
  does: 'Disables KMS v1, upgrades the cluster, enables KMS v2 with the same key, and proves every Secret after each.',
  never: 'upgrades before every Secret is proven to be plaintext, or disables or deletes a key.',
  section: 'Migrate to KMS v2',
  parameters: z
    .strictObject({
      kubernetesVersion: z
        .string()
        .regex(/^1\.\d{2}(?:\.\d{1,3})?$/)
        .optional()
        .meta({
          description:
            'The version to upgrade to, `1.27.3`, or a minor for its newest patch, `1.27`. Without it, the oldest minor with KMS v2 that AKS offers.',
        }),
    })
    .default({}),
  keyFrom: 'current-vault',
  needs: ['census', 'upgrade-profile', 'upgrade-risks', 'identity-access'],
  rules: [
    ...clusterRules,
    kmsOnRule,
    currentKeyRule,
    kmsV1Rule,
    poolsInStepRule,
    upgradeOfferedRule,
    // KMS is enabled again at the end: what AKS would refuse then leaves the cluster in plaintext.
    identityAccessRule,
    vaultTenantRule,
    withPresentAccess(vaultOpenRule),
    withPresentAccess(vnetIntegrationOnRule),
    withPresentAccess(privateVaultRule),
  ],

  plan(facts) {
    const { from, cluster, azure, parameters, perSecond } = facts;
    const version = azure.upgradeProfile && chosenVersion(azure.upgradeProfile, parameters.kubernetesVersion);
    if (from.mode === 'off' || version === undefined)
      throw new Error('upgrade-to-kms-v2 was planned against its rules.');
    const off: EncryptionState = { mode: 'off' };
    const to: EncryptionState = { ...from, scheme: 'kms-v2' };
    const stage = { from: cluster.kubernetesVersion, to: version, pools: cluster.agentPools };
    return {
      summary: `Upgrade ${clusterAndState(facts)} with KMS v1 on ${cluster.kubernetesVersion} to KMS v2 on ${version}, by way of plaintext, and prove every Secret.`,
      to,
      steps: [
        startGate(facts, 'The upgrade changes a production control plane and every node; no person does that alone.'),
        plaintextGate(facts),
        upgradeGate(facts),
        ...proveCurrentUnlessProven(facts),
        // Disable KMS; migrate the storage.
        ...transition('off', from, off, { perSecond, acceptable: false }),
        // Upgrade the cluster.
        ...upgrade([stage], off),
        // Enable KMS; migrate the storage.
        ...transition('on', off, to, { perSecond, acceptable: true }),
      ],
      warnings: [
        ...identityAccessWarnings(azure),
        ...previousKeyWarnings(facts.ledger),
        ...upgradeWarnings(facts, describeState(from), version),
      ],
    };
  },
});
