/**
 * `rewrite-secrets`: have the API server store every Secret under the encryption state that the cluster is in, and prove it.
 *
 * Follows "update all secrets" of the AKS documents, which a person forgets after `az aks update`: it repairs a cluster that was
 * changed by hand and never rewritten, with KMS on or off.
 * Needs: a running cluster. Does: converge, rewrite, prove, record. Never does: change the cluster's key or its KMS profile.
 */
import { z } from 'zod';
import { describeState } from '../encryption';
import { rewriteInPlace } from '../plan/transition';
import { clusterRules, currentKeyRule } from '../rules';
import { kind } from './kind';
import { startGate } from './steps';
import { kmsV1Warnings, previousKeyWarnings } from './warnings';
import { resourceName } from '../resource-ids';

export const rewriteSecrets = kind({
  name: 'rewrite-secrets',
  does: 'Rewrites every Secret under the encryption that the cluster has now, and proves it.',
  never: "changes the cluster's KMS profile, or a key.",
  section: 'Update all secrets',
  parameters: z.strictObject({}).default({}),
  keyFrom: 'current-vault',
  needs: ['census'],
  rules: [...clusterRules, currentKeyRule],

  plan(facts) {
    const { cluster, from, perSecond } = facts;
    return {
      summary: `Rewrite every Secret of ${resourceName(cluster.resourceId)} under ${describeState(from)}, and prove it.`,
      to: from,
      steps: [
        startGate(facts, 'A rewrite sends a request for every Secret to a production control plane.'),
        ...rewriteInPlace('current', from, 'Only what every API server writes with now can be proven.', { perSecond }),
      ],
      warnings: [...previousKeyWarnings(facts.ledger), ...kmsV1Warnings(from)],
    };
  },
});
