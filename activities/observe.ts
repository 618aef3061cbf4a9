/** Checks rules and makes plans from what Azure, the cluster and earlier evidence say. Writes nothing. */
import type { Census } from '../domain/census';
import type { EvidenceRecord } from '../domain/evidence';
import type { Ledger } from '../domain/ledger';
import { canonicalJson, digestOf } from '../domain/canonical';
import { kindOf } from '../domain/kinds';
import { reportedKeyId, type AzureObservation, type ObservedCluster, type Observation } from '../domain/observed';
import type { PlanPolicy } from '../domain/plan/plan';
import { busyState, plan, ruleFaults } from '../domain/planner';
import type { OperationRequest } from '../domain/request';
import { clusterLockId } from '../domain/resource-ids';
import { rewriteCeiling } from '../domain/rewrite-pace';
import { claimsProof, trustedLedger, trustIn } from '../domain/trusted-ledger';
import { newestUnused, type UnusedVersion } from '../domain/unused-versions';
import type { PlanMade, RulesChecked } from './contract';
import { readCsiInside, type InsideQuery } from './csi/inside';
import { readClusterEvidence, type EvidenceStore } from './evidence';
import type { KubeConnection } from './kubernetes/connection';
import { readMetrics } from './kubernetes/metrics';
import { nodesByPool } from './kubernetes/nodes';
import { unlessRefused } from './kubernetes/servers';
import { storageSizeOf } from './kubernetes/storage';
import { readUpgradeRisks } from './kubernetes/upgrade-risks';
import { readVnetSight } from './kubernetes/vnet-sight';
import { readLedger } from './ledger';
import { readIfItAnswers, type Look, type PlanLook } from './look';
import { observeForPlan } from './observe-azure';
import { observeRecovery } from './observe-recovery';

/** Checks the rules of the request's kind by what Azure says. @throws ArmError, VaultError, TokenError */
export async function checkRules(look: PlanLook, request: OperationRequest): Promise<RulesChecked> {
  const observed = await azureOf(look, request);
  const faults = ruleFaults(request, observed);
  const looksInside = faults.length === 0 && kindOf(request.kind).needs.includes('census');
  const cluster = looksInside && observed.cluster.found ? observed.cluster.cluster.resourceId : null;
  const state = observed.cluster.found && cluster !== null ? { state: stateOf(observed.cluster.cluster) } : {};
  return { faults, busy: busyState(observed, faults), cluster, perSecond: rewriteCeiling(observed), ...state };
}

/** Names what ARM says of a cluster and its KMS: the eTag is another one after every change of the cluster. */
function stateOf({ eTag, kms }: ObservedCluster): string {
  return digestOf({ eTag, kms });
}

/** Observes again, and plans. @throws as `checkRules`; KubeError */
export async function makePlan(
  look: PlanLook,
  input: { readonly request: OperationRequest; readonly policy: PlanPolicy; readonly census: Census | null },
): Promise<PlanMade> {
  const { request, policy, census } = input;
  const records = evidenceOf(request.cluster, look.evidence);
  const observation = await observe(look, request, records);
  const facts = { ...observation, ...(census === null ? {} : { census }) };
  const first = plan(request, facts, policy);
  const makesVersion = first.plan?.steps.some(({ type }) => type === 'create-key-version') ?? false;
  const unusedVersion = makesVersion ? await findUnused(look, observation, records) : undefined;
  const result = unusedVersion ? plan(request, { ...facts, unusedVersion }, policy) : first;
  return { ...result, busy: busyState(observation.azure, ruleFaults(request, observation.azure)) };
}

/** All that a plan is made from. The cluster itself is asked only when Azure's answer leaves a plan possible. */
async function observe(look: PlanLook, request: OperationRequest, records: ClusterEvidence): Promise<Observation> {
  const { signal, use, shared } = look;
  const azure = await azureOf(look, request);
  if (ruleFaults(request, azure).length > 0) return { azure };
  const { needs, startsWithout } = kindOf(request.kind);
  if (startsWithout === 'cluster') return { azure };
  if (needs.includes('csi')) return { azure, ...(await observeConnections(look, request, azure, records)) };
  if (!needs.includes('census')) {
    const inside = await observeUnreadable(look, request, azure, records);
    if (!needs.includes('recovery') || !azure.cluster.found) return { azure, ...inside };
    const query = { cluster: azure.cluster.cluster, ledger: inside.ledger ?? null, records, at: azure.at };
    return { azure: { ...azure, recovery: await observeRecovery(look, query) }, ...inside };
  }
  const atRisk = needs.includes('upgrade-risks');
  const privately = needs.includes('vnet-integration') && request.parameters.vaultAccess === 'Private';
  const key = canonicalJson(['inside', clusterLockId(request.cluster), atRisk, privately]);
  const { ledger, nodes, storageBytes, upgradeRisks, vnetSight } = await shared.of(key, signal, (together) =>
    use(request.cluster, together, (connection) => readInside(connection, { atRisk, privately }, together)),
  );
  return {
    azure,
    ...(nodes === undefined ? {} : { nodes }),
    ...(storageBytes === undefined ? {} : { storageBytes }),
    ...(upgradeRisks === undefined ? {} : { upgradeRisks }),
    ...(vnetSight === undefined ? {} : { vnetSight }),
    ...(await believed(ledger, azure, request.cluster, records)),
  };
}

/** What Azure says, as after this call began: plans that ask for the same at the same time share the look. */
function azureOf(look: PlanLook, request: OperationRequest): Promise<AzureObservation> {
  // What does not matter to the look: who asked, for which change, and whether the operation waits for others.
  const { kind, cluster, parameters } = request;
  const key = canonicalJson(['azure', kind, cluster, parameters]);
  return look.shared.of(key, look.signal, (signal) => observeForPlan({ ...look, signal }, request));
}

/** What the cluster itself says, but for its Secrets. */
async function readInside(
  connection: KubeConnection,
  { atRisk, privately }: { readonly atRisk: boolean; readonly privately: boolean },
  signal: AbortSignal,
) {
  const [ledger, nodes, metrics] = await Promise.all([
    readLedger(connection, signal),
    nodesByPool(connection, signal),
    unlessRefused(() => readMetrics(connection, signal)),
  ]);
  return {
    ledger,
    nodes,
    storageBytes: metrics === undefined ? undefined : storageSizeOf(metrics),
    upgradeRisks: atRisk ? await readUpgradeRisks(connection, metrics, signal) : undefined,
    vnetSight: privately ? await readVnetSight(connection, signal) : undefined,
  };
}

/** The ledger, for kinds that may run on a cluster that does not answer: without it they go by what Azure reports. */
async function observeUnreadable(
  look: Look,
  { cluster }: OperationRequest,
  azure: AzureObservation,
  records: ClusterEvidence,
): Promise<Omit<Observation, 'azure'>> {
  const read = await readIfItAnswers(look, cluster, (connection, signal) => readLedger(connection, signal));
  return 'unreadable' in read ? { unreadable: read.unreadable } : await believed(read.value, azure, cluster, records);
}

/** For kinds that connect pods with a vault: the rules judge what is inside, so a cluster that does not answer is asked again. */
async function observeConnections(
  { use, signal }: Look,
  { cluster, parameters }: OperationRequest,
  azure: AzureObservation,
  records: ClusterEvidence,
): Promise<Omit<Observation, 'azure'>> {
  // The schema of the kind has read them.
  const query = parameters as unknown as InsideQuery;
  const [ledger, csiInside] = await use(cluster, signal, (connection) =>
    Promise.all([readLedger(connection, signal), readCsiInside(connection, query, signal)]),
  );
  return { csiInside, ...(await believed(ledger, azure, cluster, records)) };
}

/** A version that could be used instead of making another one. @throws VaultError, TokenError */
async function findUnused(
  { azure, signal }: Look,
  { azure: { cluster }, ledger = null }: Observation,
  records: ClusterEvidence,
): Promise<UnusedVersion | undefined> {
  if (!cluster.found) return undefined;
  const unused = newestUnused(await records(), ledger, reportedKeyId(cluster.cluster));
  if (unused === undefined) return undefined;
  const found = await azure.keys.lookUp(unused.keyId, { abortSignal: signal });
  return found.found && found.key.enabled ? unused : undefined;
}

/** The ledger as far as signed evidence confirms it: anybody who may write ConfigMaps may have written it. */
async function believed(
  ledger: Ledger | null,
  { cluster: found }: AzureObservation,
  cluster: string,
  records: ClusterEvidence,
): Promise<Pick<Observation, 'ledger' | 'ledgerNotConfirmed' | 'changedSinceProof'>> {
  if (!claimsProof(ledger)) return { ledger };
  const eTag = found.found ? found.cluster.eTag : undefined;
  const { confirmed, changedSinceProof } = trustIn(ledger, cluster, await records(), eTag);
  return {
    ledger: trustedLedger(ledger, confirmed && !changedSinceProof),
    ...(confirmed ? {} : { ledgerNotConfirmed: true }),
    ...(changedSinceProof ? { changedSinceProof } : {}),
  };
}

/** The evidence of operations on the cluster: looked for when it is needed first, among the files of all clusters. */
type ClusterEvidence = () => Promise<EvidenceRecord[]>;

function evidenceOf(cluster: string, store: EvidenceStore): ClusterEvidence {
  let reading: Promise<EvidenceRecord[]> | undefined;
  return () => (reading ??= readClusterEvidence(cluster, store));
}
