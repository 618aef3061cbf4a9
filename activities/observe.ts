/** Looks at Azure and at the cluster, and writes nothing. */
import type { AzureAccess } from '../azure/access';
import { ArmError } from '../azure/errors';
import type { ClusterSnapshot } from '../azure/managed-clusters';
import { currentGeneration, type Ledger } from '../domain/ledger';
import { ANOTHER_VAULT, type AzureObservation, type KeyLookup, type Observation } from '../domain/observed';
import { usersOf } from '../domain/key-users';
import { kindOf } from '../domain/kinds';
import type { PlanPolicy } from '../domain/plan/plan';
import { busyState, plan, ruleFaults } from '../domain/planner';
import { nextKeyId, requestedKeyId, type OperationRequest } from '../domain/request';
import { rewriteCeiling } from '../domain/rewrite-pace';
import { parseKeyId } from '../domain/resource-ids';
import type { Census } from '../domain/census';
import type { PlanMade, RulesChecked } from './contract';
import { isConfirmed, trustedLedger } from '../domain/trusted-ledger';
import { readClusterEvidence, type EvidenceStore } from './evidence';
import { readKeyUsage } from './key-usage';
import { readLedger } from './ledger';
import type { Look } from './look';

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
  const next = nextKeyId(request);
  const { keyFrom, needs } = kindOf(request.kind);
  const lookUp = (keyId: string): Promise<KeyLookup> =>
    keyFrom === 'any-vault' ? azure.keys.lookUp(keyId, options) : lookUpRequested(azure, keyId, currentKeyId, options);
  const [currentKey, requestedKey, nextKey, upgradeProfile] = await Promise.all([
    currentKeyId === undefined ? undefined : azure.keys.lookUp(currentKeyId, options),
    requested === undefined ? undefined : lookUp(requested),
    next === undefined ? undefined : lookUp(next),
    needs.includes('upgrade-profile')
      ? azure.clusters.upgradeProfile(snapshot.observed.resourceId, options)
      : undefined,
  ]);
  return {
    at,
    cluster,
    ...(currentKey === undefined ? {} : { currentKey }),
    ...(requestedKey === undefined ? {} : { requestedKey }),
    ...(nextKey === undefined ? {} : { nextKey }),
    ...(upgradeProfile === undefined ? {} : { upgradeProfile }),
  };
}

/** Who needs the key that a kind retires: the one that the request names for that, or the current one. Many reads: for plans only. */
async function observeKeyUsers(
  { azure, use, signal }: Look,
  request: OperationRequest,
  observed: AzureObservation,
): Promise<AzureObservation> {
  const { needs, retires } = kindOf(request.kind);
  if (!needs.includes('key-users') || !observed.cluster.found) return observed;
  const keyId = retires === 'requested-key' ? requestedKeyId(request) : observed.cluster.cluster.kms.keyId;
  if (keyId === undefined) return observed;
  return { ...observed, keyUsers: usersOf(await readKeyUsage(azure, use, signal), keyId) };
}

/** Checks the rules of the request's kind by what Azure says. @throws ArmError, VaultError, TokenError */
export async function checkRules(look: Look, request: OperationRequest): Promise<RulesChecked> {
  const observed = await observeKeyUsers(
    look,
    request,
    await observeAzure(look.azure, request, { abortSignal: look.signal }),
  );
  const faults = ruleFaults(request, observed);
  const cluster = faults.length === 0 && observed.cluster.found ? observed.cluster.cluster.resourceId : null;
  return { faults, busy: busyState(observed, faults), cluster, perSecond: rewriteCeiling(observed) };
}

/** Observes again, and plans. @throws as `checkRules`; KubeError */
export async function makePlan(
  look: Look,
  input: { readonly request: OperationRequest; readonly policy: PlanPolicy; readonly census: Census | null },
): Promise<PlanMade> {
  const { request, policy, census } = input;
  const observation = await observe(look, request);
  const result = plan(request, { ...observation, ...(census === null ? {} : { census }) }, policy);
  return { ...result, busy: busyState(observation.azure, ruleFaults(request, observation.azure)) };
}

/** All that a plan is made from. The cluster itself is asked only when Azure's answer leaves a plan possible. */
async function observe(look: Look, request: OperationRequest): Promise<Observation> {
  const { signal, use, evidence } = look;
  const observed = await observeAzure(look.azure, request, { abortSignal: signal });
  const azure = await observeKeyUsers(look, request, observed);
  if (ruleFaults(request, azure).length > 0) return { azure };
  const ledger = await use(request.cluster, signal, (connection) => readLedger(connection, signal));
  return { azure, ...(await believed(ledger, request.cluster, evidence)) };
}

/** The ledger as far as signed evidence confirms it: anybody who may write ConfigMaps may have written it. */
async function believed(
  ledger: Ledger | null,
  cluster: string,
  evidence: EvidenceStore,
): Promise<Pick<Observation, 'ledger' | 'ledgerNotConfirmed'>> {
  if (ledger === null || currentGeneration(ledger)?.state !== 'proven') return { ledger };
  const confirmed = isConfirmed(ledger, cluster, await readClusterEvidence(cluster, evidence));
  return { ledger: trustedLedger(ledger, confirmed), ...(confirmed ? {} : { ledgerNotConfirmed: true }) };
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
    return { found: false, keyId: key.kid, why: ANOTHER_VAULT };
  }
  return keys.lookUp(key.kid, options);
}

function whyNotThere(error: unknown): string | undefined {
  if (!(error instanceof ArmError)) return undefined;
  if (error.status === 404) return `ARM knows no such cluster (${error.code}).`;
  if (error.status === 403) return `Keyturn may not read it (${error.code}): ${error.message}`;
  return undefined;
}
