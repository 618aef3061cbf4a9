/**
 * The activities of the worker, as a table: what each is called in its failures, what it belongs to, and which part does the
 * work.
 */
import type { Client } from '@temporalio/client';
import type { AzureAccess } from '../azure/access';
import { keyOf, targetOf, type MadeKeys } from '../domain/encryption';
import { changeOf, profileOf } from '../domain/plan/change-of-step';
import { createApprovedPlans } from './approved-plan';
import { AWAIT_LIMITS } from './arm/await-operation';
import { awaitClusterChange, reportedKey, submitClusterChange, verifyCluster } from './arm/cluster-change';
import { awaitClusterIdle } from './arm/cluster-idle';
import { awaitNewCluster, submitNewCluster } from './arm/new-cluster';
import { whileClusterHas } from './arm/watch-cluster';
import { removeCanaries, takeBaseline } from './canaries';
import { createClusterConnections } from './cluster-connections';
import { readClusterHolder } from './cluster-lock';
import type { Activities, RetirementInput } from './contract';
import { awaitConvergence } from './convergence';
import { refuseUsedOperationId, sealEvidence, type EvidenceStore } from './evidence';
import { inspectCluster } from './inspect';
import { noteCreation, noteSwitch, recordProof } from './ledger';
import type { UseCluster } from './key-usage';
import { checkRules, makePlan } from './observe';
import { confirmVaultDiagnostics, setVaultDiagnostics } from './provision/diagnostics';
import { awaitEndpointApproval, createIdentity, grantEndpointApproval } from './provision/identity';
import { createKey, createVault } from './provision/vault';
import { awaitKms } from './repair/await-kms';
import { awaitKeyAccess, grantKeyAccess } from './repair/grant';
import type { Look } from './look';
import type { KubeConnection } from './kubernetes/connection';
import { AFTER_REFUSAL, repair, REPAIRS } from './repair/repair';
import { reportingRefused } from './refused-report';
import { checkKeyUnused, deleteFreeKey, disableKeyVersion, type Retirement } from './retirement';
import { ActivityRunner, type StepWork } from './run-activity';
import type { Running } from './running';
import { takeCensus } from './secrets/census';
import type { Pace } from './secrets/pass';
import { proveSecrets } from './secrets/proof';
import { rewriteSecrets } from './secrets/rewrite';
import { createKeyVersion } from './vault';
import { setVaultNetwork } from './vault-network';

/** What activities work with. */
export interface ActivityDeps {
  readonly azure: AzureAccess;
  readonly evidence: EvidenceStore;
  /** How fast any rewrite may be; a cluster's own ceiling comes with each. */
  readonly pace: Omit<Pace, 'perSecond'>;
  /** Where operations show their plans, and where the locks are. */
  readonly client: Client;
  /** A cluster that rests for so long while its operation in Azure shows no end decides by its own state. */
  readonly clusterDecidesAfterInMs?: number;
}

/** What ARM refuses on the way into a cluster. */
const INSIDE = { armRefusal: 'ClusterAccessRefused' } as const;

/** The types of steps that change the cluster in ARM. */
const CLUSTER_CHANGES = ['set-kms', 'upgrade-control-plane', 'upgrade-pool', 'reconcile-cluster'] as const;

/** Makes the activities; contacts no service yet. */
export function createActivities({ azure, evidence, pace, client, clusterDecidesAfterInMs }: ActivityDeps): Activities {
  // One more for what is asked beside the Secrets.
  const connections = createClusterConnections(azure.clusters, pace.inFlight + 1);
  const runner = new ActivityRunner(client, createApprovedPlans(client), connections);
  const awaitLimits = { ...AWAIT_LIMITS, restsInMs: clusterDecidesAfterInMs ?? AWAIT_LIMITS.restsInMs };
  const use: UseCluster = (cluster, signal, work) => connections.use(cluster, signal, work);
  const look = (signal: AbortSignal): Look => ({ azure, use, evidence, signal });
  /** Work inside a cluster that holds only as long as Azure reports the state of its step. */
  const watched = <T>(
    { step, cluster, inside, ...running }: StepWork<'converge' | 'rewrite' | 'prove'>,
    made: MadeKeys,
    work: (connection: KubeConnection, running: Running) => Promise<T>,
  ): Promise<T> =>
    whileClusterHas(azure, { cluster, expected: profileOf(step.to, made) }, running, (watchedRun) =>
      inside((connection) => work(connection, watchedRun)),
    );
  return {
    checkRules: runner.plain({ doing: 'Checking the rules', ...INSIDE }, ({ request }, { signal }) =>
      checkRules(look(signal), request),
    ),
    takeCensus: runner.plain(
      { doing: 'Taking the census of Secrets', ...INSIDE },
      ({ cluster, perSecond, earlier }, running) =>
        connections.use(cluster, running.signal, (connection) =>
          takeCensus(connection, { ...pace, perSecond }, running, { earlier }),
        ),
    ),
    makePlan: runner.plain({ doing: 'Making the plan', ...INSIDE }, (input, { signal }) =>
      makePlan(look(signal), input),
    ),

    createKeyVersion: runner.writesForStep(
      ['create-key-version'],
      { doing: 'Making a new key version', vaultRefusal: 'CreateKeyRefused' },
      ({ nonce, since }, { step: { like, expiry }, operationId, signal }) =>
        createKeyVersion(azure.keys, { operationId, nonce, since, basedOn: like, expiry }, signal),
    ),
    takeBaseline: runner.writesForStep(
      ['take-baseline'],
      { doing: 'Taking the baseline', ...INSIDE },
      (_, { operationId, signal, inside }) => inside((connection) => takeBaseline(connection, operationId, signal)),
    ),

    submitClusterChange: runner.writesForStep(
      CLUSTER_CHANGES,
      { doing: 'Changing the cluster' },
      ({ made }, { cluster, step, signal }) => submitClusterChange(azure, { cluster, ...changeOf(step, made) }, signal),
    ),
    awaitClusterChange: runner.readsForStep(
      CLUSTER_CHANGES,
      { doing: 'Waiting for the change of the cluster' },
      ({ made, operationUrl }, { cluster, step, ...running }) =>
        awaitClusterChange(azure, { cluster, operationUrl, change: changeOf(step, made).change }, running, awaitLimits),
    ),
    awaitClusterIdle: runner.plain({ doing: 'Waiting until Azure is not changing the cluster' }, (input, running) =>
      awaitClusterIdle(azure, input, running),
    ),
    verifyCluster: runner.plain({ doing: 'Checking the cluster' }, (input, { signal }) =>
      verifyCluster(azure, input, signal),
    ),

    awaitConvergence: runner.writesForStep(
      ['converge'],
      { doing: 'Waiting for convergence', ...INSIDE },
      ({ made, baseline }, work) =>
        watched(work, made, (connection, running) => {
          const { step, operationId } = work;
          return awaitConvergence(connection, { operationId, target: targetOf(step.to, made), baseline }, running);
        }),
    ),
    rewriteSecrets: runner.writesForStep(
      ['rewrite'],
      { doing: 'Rewriting Secrets', ...INSIDE },
      ({ made, bounds }, work) =>
        watched(work, made, (connection, running) => {
          const { step, operationId } = work;
          const input = { bounds, operationId, pace: { ...pace, perSecond: step.perSecond } };
          return reportingRefused({ directory: evidence.directory, operationId, step: step.id }, (onRefused) =>
            rewriteSecrets(connection, { ...input, onRefused }, running),
          );
        }),
    ),
    proveSecrets: runner.writesForStep(
      ['prove'],
      { doing: 'Proving Secrets', ...INSIDE },
      ({ made, bounds, convergence }, work) =>
        watched(work, made, (connection, running) => {
          const { step, operationId } = work;
          const input = { target: targetOf(step.to, made), bounds, convergence, operationId };
          return reportingRefused({ directory: evidence.directory, operationId, step: step.id }, (onRefused) =>
            proveSecrets(connection, { ...input, pace: { ...pace, perSecond: step.perSecond }, onRefused }, running),
          );
        }),
    ),
    removeCanaries: runner.forPlan({ doing: 'Removing canaries', ...INSIDE }, (_, { operationId, signal, inside }) =>
      inside((connection) => removeCanaries(connection, operationId, signal)),
    ),

    noteSwitch: runner.writesForStep(
      ['set-kms'],
      { doing: 'Writing the ledger', ...INSIDE },
      async ({ made, happened }, { step, operationId, cluster, signal, inside }) => {
        const { change, expect } = changeOf(step, made);
        // What Azure reports, not what the plan says it reports: another operation may have had the lock in between.
        const reported = happened
          ? keyOf(step.to, made)
          : await reportedKey(azure, { cluster, change, expect }, signal);
        const ofSwitch = { reported, to: keyOf(step.to, made), happened, operationId };
        return await inside((connection) => noteSwitch(connection, ofSwitch, { signal }));
      },
    ),
    recordProof: runner.writesForStep(
      ['record-proof'],
      { doing: 'Writing the ledger', ...INSIDE },
      ({ made, proof, validUntil }, { step, operationId, signal, inside }) => {
        const recorded = { keyId: keyOf(step.to, made), proof, operationId, validUntil };
        return inside((connection) => recordProof(connection, recorded, { signal }));
      },
    ),

    checkKeyUnused: runner.readsForStep(
      ['check-key-unused'],
      { doing: 'Looking whether the key is needed', ...INSIDE },
      (input, work) => checkKeyUnused(look(work.signal), retirementOf(input, work)),
    ),
    disableKeyVersion: runner.writesForStep(
      ['disable-key-version'],
      {
        doing: 'Disabling the key version',
        vaultRefusal: 'DeleteKeyRefused',
        afterVaultRefusal: rightMissing('update', 'The key version stays enabled.'),
        ...INSIDE,
      },
      (input, work) => disableKeyVersion(look(work.signal), retirementOf(input, work)),
    ),
    deleteFreeKey: runner.writesForStep(
      ['delete-key'],
      {
        doing: 'Deleting the key',
        vaultRefusal: 'DeleteKeyRefused',
        afterVaultRefusal: rightMissing('delete', 'The key version stays disabled and is not deleted.'),
        ...INSIDE,
      },
      (input, work) => deleteFreeKey(look(work.signal), retirementOf(input, work)),
    ),

    setVaultNetwork: runner.writesForStep(
      ['set-vault-network'],
      { doing: 'Changing the network of the vault' },
      (_, { step, cluster, ...running }) => setVaultNetwork(look(running.signal), { ...step, cluster }, running),
    ),
    grantKeyAccess: runner.writesForStep(
      ['grant-key-access'],
      { doing: 'Giving the identity access to the key', armRefusal: 'GrantRefused' },
      (_, { step, signal }) => grantKeyAccess(azure, step, signal),
    ),
    awaitKeyAccess: runner.readsForStep(
      ['grant-key-access'],
      { doing: 'Waiting for the access to the key' },
      ({ principalId }, { step, ...running }) => awaitKeyAccess(azure, { ...step, principalId }, running),
    ),

    repair: runner.writesForStep(
      REPAIRS,
      {
        doing: 'Repairing what keeps the cluster from its key',
        armRefusal: 'RepairRefused',
        vaultRefusal: 'RepairRefused',
        afterVaultRefusal: AFTER_REFUSAL,
      },
      (_, { step, ...running }) => repair(azure, step, running),
    ),
    awaitKms: runner.readsForStep(
      ['await-kms'],
      { doing: 'Waiting for the KMS of the API servers', ...INSIDE },
      (_, { cluster, ...running }) => awaitKms({ azure, use, evidence }, cluster, running),
    ),
    setVaultDiagnostics: runner.writesForStep(
      ['set-vault-diagnostics'],
      { doing: 'Making the diagnostic setting', armRefusal: 'VaultChangeRefused' },
      (_, { step, signal }) => setVaultDiagnostics(azure, step, signal),
    ),
    confirmVaultDiagnostics: runner.readsForStep(
      ['confirm-vault-diagnostics'],
      { doing: 'Reading the diagnostic settings', armRefusal: 'VaultChangeRefused' },
      (_, { step, signal }) => confirmVaultDiagnostics(azure, step, signal),
    ),

    createVault: runner.writesForStep(
      ['create-vault'],
      { doing: 'Making the vault', armRefusal: 'VaultChangeRefused' },
      ({ nonce }, { step, operationId, signal }) => createVault(azure, step, { operationId, nonce }, signal),
    ),
    createKey: runner.writesForStep(
      ['create-key'],
      { doing: 'Making the key', vaultRefusal: 'CreateKeyRefused' },
      ({ nonce }, { step, operationId, signal }) => createKey(azure, step, { operationId, nonce }, signal),
    ),

    createIdentity: runner.writesForStep(
      ['create-identity'],
      { doing: 'Making the managed identity' },
      ({ nonce }, { step, operationId, signal }) => createIdentity(azure, step, { operationId, nonce }, signal),
    ),
    grantEndpointApproval: runner.writesForStep(
      ['grant-endpoint-approval'],
      { doing: 'Giving the identity the right to approve private endpoints', armRefusal: 'GrantRefused' },
      (_, { step, signal }) => grantEndpointApproval(azure, step, signal),
    ),
    awaitEndpointApproval: runner.readsForStep(
      ['grant-endpoint-approval'],
      { doing: 'Waiting for the right to approve private endpoints' },
      ({ principalId }, { step, ...running }) => awaitEndpointApproval(azure, { ...step, principalId }, running),
    ),
    submitNewCluster: runner.writesForStep(
      ['create-cluster'],
      { doing: 'Making the cluster' },
      ({ made, nonce }, { step, cluster, operationId, signal }) =>
        submitNewCluster(azure, { cluster, step, kms: profileOf(step.to, made), mark: { operationId, nonce } }, signal),
    ),
    awaitNewCluster: runner.readsForStep(
      ['create-cluster'],
      { doing: 'Waiting for the cluster' },
      ({ made, operationUrl }, { cluster, step, ...running }) =>
        awaitNewCluster(azure, { cluster, operationUrl, kms: profileOf(step.to, made) }, running, awaitLimits),
    ),
    noteCreation: runner.writesForStep(
      ['create-cluster'],
      { doing: 'Writing the ledger', ...INSIDE },
      ({ made }, { step, operationId, signal, inside }) =>
        inside((connection) => noteCreation(connection, { keyId: keyOf(step.to, made), operationId }, { signal })),
    ),

    inspectCluster: runner.plain({ doing: 'Looking at the cluster', ...INSIDE }, ({ cluster }, { signal }) =>
      inspectCluster(look(signal), cluster),
    ),
    refuseUsedOperationId: runner.plain({ doing: 'Looking for earlier evidence' }, ({ operationId }) =>
      refuseUsedOperationId(operationId, evidence),
    ),
    sealEvidence: runner.plain({ doing: 'Sealing the evidence' }, ({ record }) => sealEvidence(record, evidence)),
    readClusterHolder: runner.plain({ doing: 'Reading who holds the lock' }, ({ cluster }) =>
      readClusterHolder(client, cluster),
    ),
  };
}

/** What to do when a vault refuses a write of a retirement. @param permission as Key Vault names it */
function rightMissing(permission: 'update' | 'delete', means: string): string {
  return `${means} Give Keyturn's identity the right Microsoft.KeyVault/vaults/keys/${permission} on the vault (role Key Vault Crypto Officer, or the key permission ${permission} in an access policy), then retry; or cancel.`;
}

function retirementOf(
  { provenRv, disabled }: RetirementInput,
  { step, cluster, operationId }: StepWork<'check-key-unused' | 'disable-key-version' | 'delete-key'>,
): Retirement {
  return { keyId: step.key, cluster, operationId, provenRv, disabled };
}
