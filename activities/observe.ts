/** Looks at Azure and at the cluster, and writes nothing. */
import type { AzureAccess } from '../azure/access';
import { ArmError } from '../azure/errors';
import { readIdentityAccess } from '../azure/identity-access';
import type { ClusterSnapshot } from '../azure/managed-clusters';
import { currentGeneration, type Ledger } from '../domain/ledger';
import type { IdentityAccess } from '../domain/identity-access';
import type { AzureObservation, KeyLookup, Observation, ObservedCluster } from '../domain/observed';
import { kindOf } from '../domain/kinds';
import type { PlanPolicy, PlanResult } from '../domain/plan/plan';
import { busyState, plan, ruleFaults } from '../domain/planner';
import { requestedKeyId, type OperationRequest } from '../domain/request';
import { rewriteCeiling } from '../domain/rewrite-pace';
import { parseClusterId, parseKeyId } from '../domain/resource-ids';
import type { Census } from '../domain/census';
import type { RulesChecked } from './contract';
import { isChangedSinceProof, isConfirmed, trustedLedger } from '../domain/trusted-ledger';
import { readClusterEvidence, type EvidenceStore } from './evidence';
import type { KubeConnection } from './kubernetes/connection';
import { readLedger } from './ledger';

/**
 * What Azure says of the cluster and the keys that matter. The vault of a requested key is contacted only when it is the
 * vault of the current key: a request must not make Keyturn talk to a stranger's vault.
 * @throws ArmError, VaultError, TokenError when Azure cannot say now
 */
export async function observeAzure(
  azure: AzureAccess,
  request: OperationRequest,
  options: { readonly abortSignal?: AbortSignal } = {},
): Promise<AzureObservation> {
  const at = new Date().toISOString();
  let snapshot: ClusterSnapshot;
  try {
    snapshot = await azure.clusters.read(request.cluster, options);
  } catch (error) {
    const why = whyNotThere(error);
    if (why === undefined) throw error;
    return { at, cluster: { found: false, why } };
  }
  const cluster = { found: true as const, cluster: snapshot.observed };
  const { enabled, keyId } = snapshot.observed.kms;
  const currentKeyId = enabled ? keyId : undefined;
  const requested = requestedKeyId(request);
  const { keyFrom, needs } = kindOf(request.kind);
  const anyVault = keyFrom === 'any-vault';
  const access = needs.includes('identity-access') && requested !== undefined;
  const [currentKey, requestedKey, identityAccess] = await Promise.all([
    currentKeyId === undefined ? undefined : azure.keys.lookUp(currentKeyId, options),
    requested === undefined
      ? undefined
      : anyVault
        ? azure.keys.lookUp(requested, options)
        : lookUpRequested(azure, requested, currentKeyId, options),
    access ? accessOf(azure, snapshot.observed, requested, options) : undefined,
  ]);
  return {
    at,
    cluster,
    ...(currentKey === undefined ? {} : { currentKey }),
    ...(requestedKey === undefined ? {} : { requestedKey }),
    ...(identityAccess === undefined ? {} : { identityAccess }),
  };
}

/** @returns undefined when Azure does not tell the identity, or the key is none of this cloud */
async function accessOf(
  azure: AzureAccess,
  { resourceId, identities }: ObservedCluster,
  keyId: string,
  options: { readonly abortSignal?: AbortSignal },
): Promise<IdentityAccess | undefined> {
  const [identity] = identities;
  const cluster = parseClusterId(resourceId);
  const key = parseKeyId(keyId);
  if (identity?.principalId === undefined || !cluster || 'fault' in key || key.cloud.name !== azure.cloud.name)
    return undefined;
  const query = {
    identity: { name: identity.resourceId.split('/').at(-1) ?? '', principalId: identity.principalId },
    keyId,
    subscriptionId: cluster.subscriptionId,
  };
  return await readIdentityAccess(azure, query, options);
}

/** Checks the rules of the request's kind by what Azure says. @throws ArmError, VaultError, TokenError */
export async function checkRules(
  azure: AzureAccess,
  request: OperationRequest,
  abortSignal: AbortSignal,
): Promise<RulesChecked> {
  const observed = await observeAzure(azure, request, { abortSignal });
  const faults = ruleFaults(request, observed);
  const cluster = faults.length === 0 && observed.cluster.found ? observed.cluster.cluster.resourceId : null;
  return { faults, busy: busyState(observed, faults), cluster, perSecond: rewriteCeiling(observed) };
}

/** Observes again, and plans. @param withCluster runs work with a connection to the cluster */
export async function makePlan(
  azure: AzureAccess,
  input: { readonly request: OperationRequest; readonly policy: PlanPolicy; readonly census: Census | null },
  withCluster: <T>(work: (connection: KubeConnection) => Promise<T>) => Promise<T>,
  signal: AbortSignal,
  evidence: EvidenceStore,
): Promise<PlanResult> {
  const { request, policy, census } = input;
  const observation = await observe(azure, request, withCluster, signal, evidence);
  return plan(request, { ...observation, ...(census === null ? {} : { census }) }, policy);
}

/**
 * All that a plan is made from. The cluster itself is asked only when Azure's answer leaves a plan possible.
 * @param withCluster runs work with a connection to the cluster
 * @param evidence what the ledger is believed by
 */
async function observe(
  azure: AzureAccess,
  request: OperationRequest,
  withCluster: <T>(work: (connection: KubeConnection) => Promise<T>) => Promise<T>,
  signal: AbortSignal,
  evidence: EvidenceStore,
): Promise<Observation> {
  const azureObservation = await observeAzure(azure, request, { abortSignal: signal });
  if (ruleFaults(request, azureObservation).length > 0) return { azure: azureObservation };
  const ledger = await withCluster((connection) => readLedger(connection, signal));
  return { azure: azureObservation, ...(await believed(ledger, azureObservation, request.cluster, evidence)) };
}

/** The ledger as far as signed evidence confirms it: anybody who may write ConfigMaps may have written it. */
async function believed(
  ledger: Ledger | null,
  { cluster: found }: AzureObservation,
  cluster: string,
  evidence: EvidenceStore,
): Promise<Pick<Observation, 'ledger' | 'ledgerNotConfirmed' | 'changedSinceProof'>> {
  if (ledger === null || currentGeneration(ledger)?.state !== 'proven') return { ledger };
  const records = await readClusterEvidence(cluster, evidence);
  if (!isConfirmed(ledger, cluster, records)) {
    return { ledger: trustedLedger(ledger, false), ledgerNotConfirmed: true };
  }
  const eTag = found.found ? found.cluster.eTag : undefined;
  const changed = isChangedSinceProof(ledger, cluster, records, eTag);
  return { ledger: trustedLedger(ledger, !changed), ...(changed ? { changedSinceProof: true } : {}) };
}

async function lookUpRequested(
  { keys }: AzureAccess,
  requested: string,
  currentKeyId: string | undefined,
  options: { readonly abortSignal?: AbortSignal },
): Promise<KeyLookup> {
  const key = parseKeyId(requested);
  const current = parseKeyId(currentKeyId ?? '');
  if ('fault' in key) return { found: false, keyId: requested, why: key.fault };
  if ('fault' in current || key.vaultUrl !== current.vaultUrl) {
    return { found: false, keyId: key.kid, why: 'not looked up: another vault' };
  }
  return keys.lookUp(key.kid, options);
}

function whyNotThere(error: unknown): string | undefined {
  if (!(error instanceof ArmError)) return undefined;
  if (error.status === 404) return `ARM knows no such cluster (${error.code}).`;
  if (error.status === 403) return `Keyturn may not read it (${error.code}): ${error.message}`;
  return undefined;
}
