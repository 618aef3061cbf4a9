/**
 * `disable-kms`: turn KMS off, and prove that every Secret is stored in plaintext, so that no Secret depends on the key any more.
 *
 * Follows "Disable KMS" of the AKS documents: `az aks update --disable-azure-keyvault-kms`, then every Secret is updated.
 * Needs: KMS on. Does: one transition, behind a gate of its own. Never does: disable or delete a key: AKS names no time after
 * which it may go (K3).
 */
import { z } from 'zod';
import { shortKeyId } from '../resource-ids';
import { transition } from '../plan/transition';
import { clusterRules, currentKeyRule, kmsOnRule } from '../rules';
import { kind } from './kind';
import { clusterAndState, plaintextGate, proveCurrentUnlessProven, startGate } from './steps';
import { previousKeyWarnings } from './warnings';

export const disableKms = kind({
  name: 'disable-kms',
  does: 'Disables KMS on a cluster, rewrites every Secret as plaintext, and proves it.',
  never: 'disables or deletes a key.',
  section: 'Disable KMS',
  parameters: z.strictObject({}).default({}),
  keyFrom: 'current-vault',
  needs: ['census'],
  rules: [...clusterRules, kmsOnRule, currentKeyRule],

  plan(facts) {
    const { from, perSecond, ledger } = facts;
    if (from.mode === 'off' || typeof from.key !== 'string') throw new Error('disable-kms was planned with KMS off.');
    return {
      summary: `Disable KMS: move ${clusterAndState(facts)} to plaintext, rewrite every Secret, and prove it.`,
      to: { mode: 'off' },
      steps: [
        startGate(facts, 'Disabling KMS changes a production control plane; no person does that alone.'),
        plaintextGate(facts),
        ...proveCurrentUnlessProven(facts),
        ...transition('off', from, { mode: 'off' }, { perSecond, acceptable: true }),
      ],
      warnings: [
        ...previousKeyWarnings(ledger),
        {
          code: 'PlaintextAtRest',
          detail: `Afterwards etcd and its backups hold every Secret in plaintext. ${shortKeyId(from.key)} must stay enabled, unexpired and undeleted all the same: AKS names no time after which the API servers need it no more.`,
        },
      ],
    };
  },
});
