/**
 * `rotate-key`: set another key version as the cluster's KMS key, and prove that every Secret followed.
 *
 * Follows "Rotate the existing keys" of the AKS documents: `az aks update` with the new key id, then every Secret is updated.
 * Needs: KMS on. Does: one transition; makes a version of the current key, or a key of another name in its vault, if the request says so:
 * ARM makes keys in vaults that do not answer from where Keyturn runs, and never a second version of one.
 * Never does: disable or delete a key (K1), leave the vault.
 */
import { z } from 'zod';
import { describeState, NEW_KEY_STEP, type EncryptionState } from '../encryption';
import { foundKeyId } from '../observed';
import { transition } from '../plan/transition';
import {
  clusterRules,
  currentKeyRule,
  expiryRule,
  kmsOnRule,
  newKeyRule,
  otherKeyAccessRule,
  requestedKeyRule,
  sameVaultRule,
  vaultAnswersForNewVersionRule,
} from '../rules';
import { versionedKeyId } from '../key-id-schema';
import { keyChoiceWarnings, newKeyWarnings } from './key-choice';
import { kind } from './kind';
import { keyName, newKeySteps } from './provisioning-steps';
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
      newKeyName: keyName.optional().meta({
        description:
          'Name of a key to be made in the vault of the current key, and to rotate to: the way where the vault does not answer from where Keyturn runs. Not with `keyId`.',
      }),
      expiresOn,
    })
    .superRefine(({ keyId, newKeyName }, context) => {
      if (keyId === undefined || newKeyName === undefined) return;
      const message = 'Name either a key version (`keyId`), or a key to be made (`newKeyName`).';
      context.addIssue({ code: 'custom', message, path: ['newKeyName'] });
    })
    .default({}),
  keyFrom: 'current-vault',
  needs: ['census', 'new-key', 'other-key-access'],
  rules: [
    ...clusterRules,
    kmsOnRule,
    currentKeyRule,
    sameVaultRule,
    requestedKeyRule,
    otherKeyAccessRule,
    vaultAnswersForNewVersionRule,
    newKeyRule,
    expiryRule,
  ],

  plan(facts) {
    const { from, azure, parameters, perSecond } = facts;
    if (from.mode === 'off' || typeof from.key !== 'string') throw new Error('rotate-key was planned with KMS off.');
    // As the vault spells it.
    const named = foundKeyId(azure.requestedKey) ?? parameters.keyId;
    const { newKeyName } = parameters;
    const makes = newKeyName === undefined ? 'create-key-version' : NEW_KEY_STEP;
    const to: EncryptionState = { ...from, key: named ?? { madeBy: makes } };
    const expiry = expiryOf(parameters.expiresOn, azure.currentKey);
    const target = newKeyName === undefined ? 'a new version of it' : `a new key ${newKeyName} of its vault`;
    return {
      summary: `Rotate ${clusterAndState(facts)} to ${named === undefined ? target : describeState(to)}, rewrite every Secret, and prove it.`,
      to,
      steps: [
        startGate(facts, 'Rotating a key changes a production control plane; no person does that alone.'),
        ...proveCurrentUnlessProven(facts),
        ...(named === undefined && newKeyName === undefined ? [newVersionOf(from.key, expiry)] : []),
        ...(newKeyName === undefined ? [] : newKeySteps(facts, newKeyName, expiry)),
        ...transition('rotate', from, to, { perSecond, acceptable: true }),
      ],
      warnings: [
        ...previousKeyWarnings(facts.ledger),
        ...keyChoiceWarnings(azure),
        ...(newKeyName === undefined ? [] : newKeyWarnings(azure, newKeyName)),
        ...kmsV1Warnings(to),
      ],
    };
  },
});
