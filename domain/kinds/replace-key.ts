/**
 * `replace-key`: rotate twice, so that the old key is in no slot, then retire it.
 *
 * Follows "Rotate the existing keys" of the AKS documents: AKS keeps the key before the current one for reading, so the old key is
 * needed until the cluster was rotated twice and every Secret updated after each.
 * Needs: KMS v2 on; no other cluster that needs the old key. Does: two transitions, a gate, a retirement.
 * Never does: disable the old key before both rotations are proven (K1, K2); delete a key object of which a version is needed; purge
 * a key (K4).
 */
import { z } from 'zod';
import { describeState, type EncryptionState } from '../encryption';
import { versionedKeyId } from '../key-id-schema';
import { foundKeyId } from '../observed';
import { retirement } from '../plan/retirement';
import { transition } from '../plan/transition';
import { sameKeyObject, shortKeyId } from '../resource-ids';
import {
  clusterRules,
  currentKeyRule,
  currentKeyUnusedElsewhereRule,
  expiryRule,
  kmsOnRule,
  kmsV2Rule,
  nextKeyRule,
  otherKeyAccessRule,
  requestedKeyRule,
  sameVaultRule,
  vaultAnswersRule,
} from '../rules';
import { keyChoiceWarnings } from './key-choice';
import { kind } from './kind';
import {
  clusterAndState,
  deletionGate,
  expiresOn,
  expiryOf,
  newVersionOf,
  proveCurrentUnlessProven,
  soakInSeconds,
  startGate,
} from './steps';
import { previousKeyWarnings, retirementWarnings } from './warnings';

export const replaceKey = kind({
  name: 'replace-key',
  does: 'Rotates the KMS key of a cluster twice and proves each rotation, then disables the old key version and deletes its key object if no version of it is needed.',
  never:
    'disables the old key before both rotations are proven, deletes a key object of which a version is needed, or purges a key.',
  section: 'Rotate the existing keys',
  parameters: z
    .strictObject({
      keyId: versionedKeyId.optional().meta({
        description: 'The key version for the first rotation. Without it a new version of the current key is created.',
      }),
      nextKeyId: versionedKeyId.optional().meta({
        description: 'The key version for the second rotation. Without it a new version of the first one is created.',
      }),
      expiresOn,
      soakInSeconds,
    })
    .default({ soakInSeconds: 86_400 }),
  keyFrom: 'current-vault',
  needs: ['census', 'key-users', 'other-key-access'],
  retires: 'current-key',
  rules: [
    ...clusterRules,
    kmsOnRule,
    kmsV2Rule,
    currentKeyRule,
    sameVaultRule,
    requestedKeyRule,
    nextKeyRule,
    otherKeyAccessRule,
    currentKeyUnusedElsewhereRule,
    vaultAnswersRule,
    expiryRule,
  ],

  plan(facts) {
    const { from, azure, parameters, perSecond } = facts;
    if (from.mode === 'off' || typeof from.key !== 'string') throw new Error('replace-key was planned with KMS off.');
    const { currentKey, requestedKey, nextKey } = azure;
    const old = from.key;
    const named = foundKeyId(requestedKey);
    const next = foundKeyId(nextKey);
    const expiry = expiryOf(parameters.expiresOn, requestedKey ?? currentKey);
    const first: EncryptionState = { ...from, key: named ?? { madeBy: 'first.create-key-version' } };
    const second: EncryptionState = { ...from, key: next ?? { madeBy: 'second.create-key-version' } };
    const stays = [named ?? old, next ?? named ?? old].some((key) => sameKeyObject(key, old));
    return {
      summary: `Replace the key of ${clusterAndState(facts)}: rotate to ${describeState(first)}, then to ${describeState(second)}, prove every Secret after each, then retire ${shortKeyId(old)}.`,
      to: second,
      steps: [
        startGate(facts, 'Rotating a key changes a production control plane; no person does that alone.'),
        ...proveCurrentUnlessProven(facts),
        ...(named === undefined ? [newVersionOf(old, expiry, 'first.create-key-version')] : []),
        ...transition('first', from, first, { perSecond, acceptable: false }),
        ...(next === undefined ? [newVersionOf(named ?? old, expiry, 'second.create-key-version')] : []),
        ...transition('second', first, second, { perSecond, acceptable: false }),
        ...retirement(old, {
          state: second,
          gate: deletionGate(facts, shortKeyId(old)),
          gateBefore: 'disable',
          soakInSeconds: parameters.soakInSeconds,
          deleteObject: !stays,
        }),
      ],
      warnings: [
        ...previousKeyWarnings(facts.ledger),
        ...keyChoiceWarnings(azure),
        ...retirementWarnings(azure, old, { objectStays: stays }),
      ],
    };
  },
});
