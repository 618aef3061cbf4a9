/** Makes the plan of any kind: pure, so that the same facts always give the same plan and digest. */
import { isBusy } from './cluster-change';
import { windowWarnings } from './change/warnings';
import { censusFaults, censusWarnings, forcedRewriteWarnings, type Census } from './census';
import { KMS_V1_MOST_SECRETS, type EncryptionState } from './encryption';
import { clusterToBe } from './cluster-to-make';
import type { ErrorCode, Fault } from './errors';
import { needsKey } from './key-users';
import { kindOf } from './kinds';
import { vaultIdsFor } from './known-vaults';
import type { Kind } from './kinds/kind';
import { currentGeneration, reconcile, type Ledger } from './ledger';
import {
  encryptionStateOf,
  reportedKeyId,
  type AzureObservation,
  type Observation,
  type ObservedCluster,
} from './observed';
import { checkPlan } from './plan/check-plan';
import type { PlanStep } from './plan/steps';
import { sealPlan, type PlanPolicy, type PlanResult, type Warning } from './plan/plan';
import type { OperationRequest } from './request';
import { keysNeededBy } from './recovery-keys';
import { recentSwitch } from './recent-switch';
import { keyWarnings, privateVaultWarnings } from './rules';
import { nodeWarnings, storageWarnings, versionWarnings } from './rewrite-effects';
import { ceilingWarnings, rewriteCeiling } from './rewrite-pace';
import { shortKeyId } from './resource-ids';
import { scopeFaults } from './trust/plan-scope';
import { unusedVersionWarning } from './unused-versions';

/** Every rule of the request's kind that is violated, by what Azure says; none means that a plan can be made. */
export function ruleFaults(
  request: OperationRequest,
  azure: AzureObservation,
  kind: Kind = kindOf(request.kind),
): Fault[] {
  const cluster = subjectOf(request, azure, kind);
  if (!cluster) {
    const why = azure.cluster.found ? '' : azure.cluster.why;
    return [{ code: 'ClusterNotFound', pointer: '/cluster', detail: `${request.cluster}: ${why}` }];
  }
  return kind.rules.flatMap((rule) => rule.check(cluster, azure, request.parameters as never));
}

/** The cluster that rules and plan are about: as it is, or as it will look; undefined when a kind needs it and it is not there. */
function subjectOf(request: OperationRequest, { cluster }: AzureObservation, kind: Kind): ObservedCluster | undefined {
  if (kind.startsWithout === 'cluster') return clusterToBe(request);
  return cluster.found ? cluster.cluster : undefined;
}

/** What a cluster that Azure is changing violates for as long as that takes. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['ClusterNotSucceeded', 'ClusterNotRunning']);

/**
 * The provisioning state when a change under way is all that is wrong; null otherwise.
 * @param faults every violated rule
 */
export function busyState({ cluster }: AzureObservation, faults: readonly Fault[]): string | null {
  if (!cluster.found || faults.length === 0) return null;
  const { provisioningState } = cluster.cluster;
  return isBusy(provisioningState) && faults.every(({ code }) => PASSING.has(code)) ? provisioningState : null;
}

/** Every code that the rules of kinds can answer with. */
export function ruleCodes(kinds: readonly Pick<Kind, 'rules' | 'factRules' | 'startsWithout'>[]): ErrorCode[] {
  const codes = kinds.flatMap(({ rules, factRules = [] }) => [...rules, ...factRules].flatMap((rule) => rule.codes));
  const needsCluster = kinds.some(({ startsWithout }) => startsWithout === undefined);
  return [...new Set<ErrorCode>([...(needsCluster ? (['ClusterNotFound'] as const) : []), ...codes])];
}

/** Plans an operation from what was observed, or says every rule that is violated. */
export function plan(
  request: OperationRequest,
  observation: Observation,
  policy: PlanPolicy,
  kind: Kind = kindOf(request.kind),
): PlanResult {
  const { azure, census } = observation;
  const faults = [...ruleFaults(request, azure, kind), ...(census ? censusFaults(census) : [])];
  const cluster = subjectOf(request, azure, kind);
  if (faults.length > 0 || !cluster) return { plan: null, faults };

  const from = encryptionStateOf(cluster);
  const ledger = reconcile(observation.ledger ?? undefined, reportedKeyId(cluster), azure.at);
  const proven = currentGeneration(ledger)?.state === 'proven';
  const parameters: unknown = request.parameters;
  const { upgradeRisks, vnetSight, csiInside } = observation;
  const perSecond = rewriteCeiling(azure);
  const seen = { upgradeRisks, vnetSight, csiInside };
  const facts = { cluster, azure, ledger, from, proven, perSecond, parameters, policy, ...seen };
  const violated = (kind.factRules ?? []).flatMap((rule) => rule.check(facts as never));
  if (violated.length > 0) return { plan: null, faults: violated };
  const planned = kind.plan(facts);
  // What proves nothing may run at any time: a repair must not wait for an hour.
  const proves = planned.steps.some(({ type }) => type === 'converge');
  const late = [
    ...(proves ? recentSwitchFaults(ledger, cluster, azure.at) : []),
    ...kmsV1Faults(planned.steps, census),
  ];
  if (late.length > 0) return { plan: null, faults: late };
  checkPlan(planned.steps, { state: from, proven });
  const changing = { kind: request.kind, cluster: cluster.resourceId, from, steps: [...planned.steps] };
  const vaults = vaultIdsFor(changing, azure);
  const outside = scopeFaults({ ...changing, vaults }, policy);
  if (outside.length > 0) return { plan: null, faults: outside };
  return {
    faults: [],
    plan: sealPlan({
      ...changing,
      changeNumber: request.change.number,
      summary: planned.summary,
      to: planned.to,
      keysNeeded: allKeysNeeded(cluster, observation),
      ...(vaults === undefined ? {} : { vaults }),
      warnings: [
        ...planned.warnings,
        ...windowWarnings(request.change, planned.steps, { now: azure.at, secrets: census?.secrets }),
        ...keyWarnings(azure),
        ...privateVaultWarnings(azure, request.parameters),
        ...(observation.unreadable === undefined ? [] : volatile([notReadable(observation.unreadable)])),
        ...(observation.ledgerNotConfirmed === true ? [LEDGER_NOT_CONFIRMED] : []),
        ...(observation.changedSinceProof === true ? [CHANGED_SINCE_PROOF] : []),
        // On a cluster that is made here no controller watches yet.
        ...(kind.startsWithout === 'cluster' ? [] : versionWarnings(planned.steps, facts.perSecond)),
        ...volatile(storageWarnings(observation.storageBytes, census?.secrets, planned.steps)),
        ...volatile(nodeWarnings(cluster, observation.nodes, planned.steps)),
        ...(observation.unusedVersion ? [unusedVersionWarning(observation.unusedVersion)] : []),
        ...ceilingWarnings(cluster),
        ...(census ? volatile([...censusWarnings(census), ...forcedRewriteWarningsOf(planned.to, census)]) : []),
      ],
    }),
  };
}

/** Evidence knows keys that the ledger of a cluster that does not answer has. */
function allKeysNeeded(cluster: ObservedCluster, { ledger = null, azure: { at, recovery } }: Observation): string[] {
  const needed = keysNeededBy(cluster, ledger, at);
  const more = (recovery?.slots ?? []).map(({ keyId }) => keyId).filter((keyId) => !needsKey(needed, keyId));
  return [...needed, ...more];
}

/** With KMS v1 every Secret may be rewritten by a changed annotation, which has to fit. */
function forcedRewriteWarningsOf(to: EncryptionState, census: Census): Warning[] {
  return to.mode === 'on' && to.scheme === 'kms-v1' ? forcedRewriteWarnings(census) : [];
}

/** Warnings that tell of one moment. */
function volatile(warnings: readonly Warning[]): Warning[] {
  return warnings.map((warning) => ({ ...warning, volatile: true }));
}

/** For kinds that go on all the same. */
function notReadable(why: string): Warning {
  return {
    code: 'ClusterNotReadable',
    detail: `Keyturn could not read the ledger in the cluster: ${why} So keysNeeded holds only what Azure reports: keep every key that the cluster has ever used enabled and unexpired.`,
  };
}

const LEDGER_NOT_CONFIRMED: Warning = {
  code: 'LedgerNotConfirmed',
  detail:
    'The ledger in the cluster calls the current state proven, and no evidence that Keyturn signed confirms it. It is proven again before any switch. If the evidence of the last operation is not lost, find out who changed the ConfigMap kube-system/keyturn-ledger.',
};

const CHANGED_SINCE_PROOF: Warning = {
  code: 'ClusterChangedSinceProof',
  detail:
    'The cluster was changed in Azure since Keyturn proved its current state: its entity tag is another one. Another key may have been set for a while, so that Secrets may be under it and it may be in the second slot. The current state is proven again before any switch. Look at the activity log of the cluster: a key that was set since must stay enabled and unexpired.',
};

/**
 * Where API servers do not show which key they write with, canaries tell of a switch only if they were written before it. Without
 * them API servers that are all minutes late agree, on the old key: the next switch would evict it under Secrets that were called
 * proven. So time alone tells that every API server has switched.
 */
function recentSwitchFaults(ledger: Ledger, cluster: ObservedCluster, now: string): Fault[] {
  const recent = recentSwitch(ledger, cluster, now);
  if (recent === undefined) return [];
  const { current, overAt } = recent;
  const what = current.keyId === null ? 'KMS was disabled' : `${shortKeyId(current.keyId)} was set`;
  return [
    {
      code: 'KeyRotatedRecently',
      pointer: '/cluster',
      detail: `${what} at ${current.since}, and that is not proven yet. API servers of Kubernetes ${cluster.kubernetesVersion} do not show which key they write with, so Keyturn proves it again before the next change, when every API server has surely switched. Keep every older key enabled. Ask again after ${overAt}.`,
    },
  ];
}

/** AKS documents, "Limitations": at most 2,000 Secrets with KMS v1. Asked where a plan enables it, the first time or again. */
function kmsV1Faults(steps: readonly PlanStep[], census: Census | undefined): Fault[] {
  const enables = steps.some(
    (step) =>
      step.type === 'set-kms' && step.expect.mode === 'off' && step.to.mode === 'on' && step.to.scheme === 'kms-v1',
  );
  if (!enables) return [];
  if (census === undefined || census.secrets <= KMS_V1_MOST_SECRETS) return [];
  return [
    {
      code: 'TooManySecretsForKmsV1',
      pointer: '/cluster',
      detail: `The cluster has ${census.secrets} Secrets; AKS supports at most ${KMS_V1_MOST_SECRETS} with KMS v1. Upgrade it to Kubernetes 1.27 or newer, which encrypts with KMS v2.`,
    },
  ];
}
