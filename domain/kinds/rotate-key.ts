/**
 * The plan of `rotate-key`: turn a cluster with KMS on to a new key version, and prove that every Secret followed.
 *
 * Follows "Rotate existing keys" of the AKS documents on KMS etcd encryption (seeds), with what they leave out: the
 * baseline before the switch, the wait until every API server has switched, and the proof after the rewrite.
 * The old and the new key are the two slots afterwards: both stay valid, and nothing here disables or deletes a key (K1).
 */
import { censusFaults, censusWarnings } from '../census';
import { kmsTarget } from '../encryption';
import type { Fault } from '../errors';
import { currentGeneration, keySlots, reconcile, type Ledger } from '../ledger';
import type { Observation } from '../observed';
import { sealPlan, StepId, type Plan, type PlanResult, type PlanStep, type Warning } from '../plan';
import { rotateKeyFaults } from '../preconditions';
import { ceilingWarnings, rewriteCeiling } from '../rewrite-pace';
import type { OperationRequest } from '../request';
import { shortKeyId } from '../resource-ids';
import { minutesAfter } from '../times';

/** What the operator of Keyturn has decided for all operations. */
export interface PlanPolicy {
  /** Approvals that a plan needs, from different people, none of them the requester. At least 1. */
  readonly approvalsRequired: number;
}

/** Plans a rotation from what was observed, or says every rule that stands in its way. */
export function planRotateKey(request: OperationRequest, observation: Observation, policy: PlanPolicy): PlanResult {
  const { azure, census } = observation;
  const faults = [...rotateKeyFaults(request, azure), ...(census ? censusFaults(census) : [])];
  const currentKeyId = azure.cluster.found ? azure.cluster.cluster.kms.keyId : undefined;
  if (faults.length > 0 || !azure.cluster.found || currentKeyId === undefined) return { plan: null, faults };

  const { cluster } = azure.cluster;
  const ledger = reconcile(observation.ledger ?? undefined, currentKeyId, azure.at);
  const { scheme } = kmsTarget(currentKeyId, cluster.kubernetesVersion);
  const recentTurn = faultsOfRecentTurn(ledger, scheme, azure.at);
  if (recentTurn.length > 0) return { plan: null, faults: recentTurn };
  const ceiling = rewriteCeiling(azure);
  // As the vault spells it, when it was looked up.
  const { requestedKey } = azure;
  const targetKeyId = requestedKey?.found ? requestedKey.key.keyId : (request.parameters.keyId ?? null);
  const target = targetKeyId === null ? 'a new version of it' : shortKeyId(targetKeyId);
  return {
    faults: [],
    plan: sealPlan({
      kind: request.kind,
      cluster: cluster.resourceId,
      changeNumber: request.change.number,
      summary: `Turn ${cluster.resourceId.split('/').at(-1)} from ${shortKeyId(currentKeyId)} to ${target}, rewrite every Secret, and prove it.`,
      currentKeyId,
      scheme,
      targetKeyId,
      ceilingPerSecond: ceiling,
      approvalsRequired: policy.approvalsRequired,
      steps: stepsOf({ ledger, currentKeyId, targetKeyId, scheme, ceiling, policy }),
      warnings: [
        ...warningsOf(ledger),
        ...ceilingWarnings(cluster),
        ...(scheme === 'kms-v1' ? [KMS_V1_WARNING] : []),
        ...(census ? censusWarnings(census) : []),
      ],
    }),
  };
}

/** How long the turn of an unproven key behind KMS v1 must be over before its Secrets can be proven and it can be turned again. */
const TURN_IS_OVER_AFTER_IN_MINUTES = 60;

/**
 * With KMS v1 behind one provider name, time alone tells that every API server has switched: one that is minutes late would
 * store Secrets under the old key, and the next turn would evict that.
 */
function faultsOfRecentTurn(ledger: Ledger, scheme: Plan['scheme'], now: string): Fault[] {
  const current = currentGeneration(ledger);
  if (scheme !== 'kms-v1' || current?.state !== 'activated' || current.origin !== 'operation') return [];
  const overAt = minutesAfter(current.since, TURN_IS_OVER_AFTER_IN_MINUTES);
  if (now >= overAt) return [];
  return [
    {
      code: 'KeyTurnedRecently',
      pointer: '/cluster',
      detail: `${shortKeyId(current.keyId)} was set at ${current.since}, and is not proven yet. With KMS v1 nobody sees which key an API server writes with, so it is proven again before the next turn, when every server has surely switched. Ask again after ${overAt}.`,
    },
  ];
}

function stepsOf({
  ledger,
  currentKeyId,
  targetKeyId,
  scheme,
  ceiling,
  policy,
}: {
  readonly ledger: Ledger;
  readonly currentKeyId: string;
  readonly targetKeyId: string | null;
  readonly scheme: Plan['scheme'];
  readonly ceiling: number | null;
  readonly policy: PlanPolicy;
}): PlanStep[] {
  const pace = ceiling === null ? '' : ` At most ${ceiling} Secrets a second.`;
  const current = shortKeyId(currentKeyId);
  const target = targetKeyId === null ? 'the new version' : shortKeyId(targetKeyId);
  const people = policy.approvalsRequired === 1 ? 'one person' : `${policy.approvalsRequired} people`;
  const steps: PlanStep[] = [
    {
      id: StepId.Approve,
      title: `Wait for approval by ${people} other than the requester`,
      reason: 'Turning a key changes a production control plane; nobody does that alone.',
      changes: 'nothing',
    },
  ];
  if (currentGeneration(ledger)?.state !== 'proven') {
    steps.push({
      id: StepId.ProveCurrentKey,
      title: `Rewrite and prove every Secret under the current key ${current}`,
      reason:
        'No earlier operation proved it. AKS holds two keys only: turning twice while Secrets are still under an older key wedges the cluster (Azure/kubernetes-kms#291).',
      changes: 'kubernetes',
    });
  }
  if (targetKeyId === null) {
    steps.push({
      id: StepId.CreateKeyVersion,
      title: `Make a new version of key ${current.split('/').slice(0, 2).join('/')}`,
      reason:
        'The request names no key. The new version gets the type, size and permitted operations of the current one; the current one stays enabled.',
      changes: 'vault',
    });
  }
  steps.push(
    {
      id: StepId.TakeBaseline,
      title: 'Write canaries under the current key and note the resource version R0',
      reason: 'Only an object that was surely written before the switch can show that a server has switched.',
      changes: 'kubernetes',
    },
    {
      id: StepId.SetKey,
      title: `Set ${target} as the cluster's KMS key`,
      reason: `AKS keeps ${current} in the second slot for reading. Both keys must stay enabled and unexpired until a later rotation is proven.`,
      changes: 'cluster',
    },
    {
      id: StepId.Converge,
      title: 'Wait until every API server writes with the new key, and note the resource version Rc',
      reason: 'A rewrite through a server that has not switched does nothing, or undoes what another server did.',
      changes: 'kubernetes',
    },
    {
      id: StepId.Rewrite,
      title:
        scheme === 'kms-v1'
          ? 'Rewrite every Secret with a fenced patch, by an annotation where a no-op would do nothing'
          : 'Rewrite every Secret with a fenced no-op patch',
      reason: `The API server stores a stale record anew under its current key. No Secret value leaves the API server.${pace}`,
      changes: 'kubernetes',
    },
    {
      id: StepId.Prove,
      title: 'Prove from a fresh list that no Secret is left under an older key',
      reason: 'The end of a loop is not proof: a fresh list must show nobody unproven, with convergence still holding.',
      changes: 'kubernetes',
    },
    {
      id: StepId.VerifyKey,
      title: 'Check the key id that Azure reports, and record the generation in the ledger',
      reason: 'The documents ask for it after every rotation; Azure does not tell the previous key later.',
      changes: 'kubernetes',
    },
  );
  return steps;
}

const KMS_V1_WARNING: Warning = {
  code: 'KmsV1',
  detail:
    'This Kubernetes version encrypts with KMS v1: records carry no key id, and API servers show none in their metrics, so that the proof rests on canaries and restarts. If both keys turn out to share one provider name, or no operation has proven the current key, every Secret gets the annotation keyturn.dev/rewritten. With one name for both, the new key is not called proven by this operation: the next one rewrites again before it turns.',
};

function warningsOf(ledger: Ledger): Warning[] {
  const slots = keySlots(ledger);
  if (!slots) return [];
  if (!slots.previousKnown) {
    return [
      {
        code: 'PreviousSlotUnknown',
        detail:
          'Keyturn has no ledger of an earlier rotation of this cluster, and Azure does not tell the previous key. Keep every older key version enabled and unexpired until this rotation is proven.',
      },
    ];
  }
  if (slots.previous === null) return [];
  return [
    {
      code: 'PreviousKeyLeavesItsSlot',
      detail: `${shortKeyId(slots.previous)} leaves its slot with this rotation. The proof of the current key says that no live Secret needs it; backups of etcd may.`,
    },
  ];
}
