/**
 * `retire-key`: disable a key version that no cluster needs any more, wait, and delete its key object if it is free.
 *
 * Follows "Rotate the existing keys" of the AKS documents, which says when an old key is needed no more: after two rotations, each
 * with an update of all Secrets.
 * Needs: a ledger that shows the key leave its slots, and every Secret proven. Does: a retirement; changes nothing in the cluster.
 * Never does: disable a key that a cluster needs (K1); delete a key object of which a version is needed; purge a key (K4).
 */
import { z } from 'zod';
import { versionedKeyId } from '../key-id-schema';
import { foundKeyId } from '../observed';
import { retirement } from '../plan/retirement';
import { rewriteInPlace } from '../plan/transition';
import { shortKeyId, resourceName } from '../resource-ids';
import {
  clusterRules,
  currentKeyRule,
  keyLeftItsSlotsRule,
  keyUnusedRule,
  retiredKeyFoundRule,
  vaultAnswersRule,
} from '../rules';
import { kind } from './kind';
import { deletionGate, soakInSeconds, startGate } from './steps';
import { retirementWarnings } from './warnings';

export const retireKey = kind({
  name: 'retire-key',
  does: 'Disables a key version that no cluster needs, waits, and deletes its key object if no version of it is needed.',
  never: 'disables a key that a cluster needs, deletes a key object of which a version is needed, or purges a key.',
  section: 'Rotate the existing keys',
  parameters: z.strictObject({
    keyId: versionedKeyId.meta({ description: 'The key version to retire.' }),
    soakInSeconds,
  }),
  keyFrom: 'any-vault',
  needs: ['census', 'key-users'],
  retires: 'requested-key',
  rules: [...clusterRules, currentKeyRule, retiredKeyFoundRule, keyUnusedRule, vaultAnswersRule],
  factRules: [keyLeftItsSlotsRule],

  plan(facts) {
    const { azure, cluster, from, parameters, perSecond } = facts;
    const key = foundKeyId(azure.requestedKey) ?? parameters.keyId;
    return {
      summary: `Retire ${shortKeyId(key)}, which ${resourceName(cluster.resourceId)} needs no more.`,
      to: from,
      steps: [
        startGate(facts, 'A key that is needed after all is a cluster lost; no person decides that alone.'),
        // Always, however lately it was proven: what is deleted next cannot be asked any more.
        ...rewriteInPlace('current', from, 'A Secret that is stored under the key is lost with it.', { perSecond }),
        ...retirement(key, {
          state: from,
          gate: deletionGate(facts, shortKeyId(key)),
          gateBefore: 'delete',
          soakInSeconds: parameters.soakInSeconds,
          deleteObject: true,
        }),
      ],
      warnings: retirementWarnings(azure, key, { objectStays: false }),
    };
  },
});
