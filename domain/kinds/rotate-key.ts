/**
 * `rotate-key`: set another key version as the cluster's KMS key, and prove that every Secret followed.
 *
 * Follows "Rotate the existing keys" of the AKS documents: `az aks update` with the new key id, then every Secret is updated.
 * Needs: KMS on. Does: one transition. Never does: disable or delete a key (K1), leave the vault.
 */
import { z } from 'zod';
import { describeState, type EncryptionState } from '../encryption';
import { foundKeyId } from '../observed';
import { transition } from '../plan/transition';
import {
  clusterRules,
  currentKeyRule,
  kmsOnRule,
  requestedKeyRule,
  sameVaultRule,
  vaultAnswersForNewVersionRule,
} from '../rules';
import { versionedKeyId } from '../key-id-schema';
import { keyChoiceWarnings } from './key-choice';
import { kind } from './kind';
import { clusterAndState, expiresOn, expiryOf, newVersionOf, proveCurrentUnlessProven, startGate } from './steps';
import { kmsV1Warnings, previousKeyWarnings } from './warnings';

export const rotateKey = kind({
  name: 'rotate-key',
  does: 'Sets another key version as the KMS key of a cluster, rewrites every Secret, and proves it.',
  never: 'disables or deletes a key, or sets a key of another vault.',
  section: 'Rotate the existing keys',
  parameters: z
    .strictObject({
      keyId: versionedKeyId.optional().meta({
        description: 'The key version to rotate to. Without it a new version of the current key is created.',
      }),
      expiresOn,
    })
    .default({}),
  keyFrom: 'current-vault',
  needs: ['census'],
  rules: [...clusterRules, kmsOnRule, currentKeyRule, sameVaultRule, requestedKeyRule, vaultAnswersForNewVersionRule],

  plan(facts) {
    const { from, azure, parameters, perSecond } = facts;
    if (from.mode === 'off' || typeof from.key !== 'string') throw new Error('rotate-key was planned with KMS off.');
    // As the vault spells it.
    const named = foundKeyId(azure.requestedKey) ?? parameters.keyId;
    const to: EncryptionState = { ...from, key: named ?? { madeBy: 'create-key-version' } };
    return {
      summary: `Rotate ${clusterAndState(facts)} to ${named === undefined ? 'a new version of it' : describeState(to)}, rewrite every Secret, and prove it.`,
      to,
      steps: [
        startGate(facts, 'Rotating a key changes a production control plane; no person does that alone.'),
        ...proveCurrentUnlessProven(facts),
        ...(named === undefined ? [newVersionOf(from.key, expiryOf(parameters.expiresOn, azure.currentKey))] : []),
        ...transition('rotate', from, to, { perSecond, acceptable: true }),
      ],
      warnings: [...previousKeyWarnings(facts.ledger), ...keyChoiceWarnings(azure), ...kmsV1Warnings(to)],
    };
  },
});
