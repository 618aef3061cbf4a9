/**
 * The activities of the worker, as a table: what each is called in its failures, what it belongs to, and which part does the
 * work.
 */
import { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import type { AzureAccess } from '../azure/access';
import { keyOf } from '../domain/encryption';
import type { Census } from '../domain/census';
import { changeOf, profileOf } from '../domain/plan/change-of-step';
import type { StepType } from '../domain/plan/steps';
import { createApprovedPlans, type TrustRules } from './approved-plan';
import { AWAIT_LIMITS } from './arm/await-operation';
import { awaitClusterChange, reportedKey, submitClusterChange, verifyCluster } from './arm/cluster-change';
import { awaitClusterIdle } from './arm/cluster-idle';
import { awaitNewCluster, submitNewCluster } from './arm/new-cluster';
import { awaitApiServers } from './await-api-servers';
import { removeCanaries } from './canaries';
import { createChangeDesk } from './change/check-change';
import { NO_CHANGE_SYSTEM, type ChangeSystemSettings } from './change/port';
import { createClusterConnections } from './cluster-connections';
import { readClusterHolder } from './cluster-lock';
import type { Activities } from './contract';
import { CONVERGENCE_LIMITS } from './convergence';
import { createFederatedCredential } from './csi/federated-credential';
import { MOUNT_LIMITS, proveMount } from './csi/mount';
import { assignNodeIdentity } from './csi/node-identity';
import { changeConnectionPart, CONNECTION_PARTS } from './csi/parts';
import { proveRotation, removeRotation, ROTATION_LIMITS } from './csi/rotation';
import { createServiceConnection } from './csi/service-connection';
import { awaitVaultRead, grantVaultRead } from './csi/vault-read';
import { refuseUsedOperationId, sealEvidence, type EvidenceStore } from './evidence';
import { requireSealable, requireSignedDecision, requireSignedRequest } from './statements';
import { inspectCsi } from './csi/inspect';
import { usersOf } from '../domain/key-users';
import { examineWorker } from './examine';
import { inspectCluster } from './inspect';
import { inspectLedger } from './inspect-ledger';
import { noteCreation, noteSwitch, requireSwitchNoted } from './ledger';
import { readKeyUsage, type UseCluster } from './key-usage';
import { checkRules, makePlan } from './observe';
import { confirmVaultDiagnostics, setVaultDiagnostics } from './provision/diagnostics';
import { awaitEndpointApproval, createIdentity, grantEndpointApproval } from './provision/identity';
import { createKey } from './provision/key';
import { createVault } from './provision/vault';
import { provingActivities } from './proving';
import { Receipts } from './receipts';
import { awaitKms } from './repair/await-kms';
import { awaitKeyAccess, grantKeyAccess } from './repair/grant';
import type { Look, PlanLook } from './look';
import { requireNoHindrances } from './kubernetes/vnet-sight';
import { createSharedLooks } from './shared-look';
import type { Running } from './running';
import { countSecrets } from './kubernetes/secret-list';
import { createSharedCensuses } from './secrets/shared-census';
import { AFTER_REFUSAL, repair, REPAIRS } from './repair/repair';
import { retiringActivities } from './retiring';
import { ActivityRunner, askingOperation, INSIDE } from './run-activity';
import { takeCensus } from './secrets/census';
import type { Pace } from './secrets/pass';
import { sweepOperations } from './sweep';
import { createKeyVersion } from './vault';
import { setVaultNetwork } from './vault-network';
import { createWebhooks, NO_WEBHOOKS, type WebhookSettings } from './webhooks/webhooks';

/** What activities work with. */
export interface ActivityDeps {
  readonly azure: AzureAccess;
  readonly evidence: EvidenceStore;
  /** Whom the worker believes. */
  readonly trust: TrustRules;
  /** How fast any rewrite may be; a cluster's own ceiling comes with each. */
  readonly pace: Omit<Pace, 'perSecond'>;
  /** Where operations show their plans, and where the locks are. */
  readonly client: Client;
  /** Which system says whether a change may be carried out; none when absent. */
  readonly change?: ChangeSystemSettings;
  /** A cluster that rests for so long while its operation in Azure shows no end decides by its own state. */
  readonly clusterDecidesAfterInMs?: number;
  /** For so long after the start of an API server the one that it replaced may still store Secrets under the old key. */
  readonly apiServerDrainInMs?: number;
  /** A pod of Keyturn's whose mount fails for so long blocks its operation. */
  readonly mountFailsAfterInMs?: number;
  /** Who is told of the events of operations. */
  readonly webhooks?: WebhookSettings;
}

/** A person waits for the answer: the activity has 20 s, and needs some of them for Azure's lists. */
const KEY_USERS_WITHIN_MS = 12_000;

/** The types of steps that change the cluster in ARM. */
const CLUSTER_CHANGES = [
  'set-kms',
  'upgrade-control-plane',
  'upgrade-pool',
  'reconcile-cluster',
  'enable-vnet-integration',
  'stop-cluster',
  'start-cluster',
  'enable-secrets-provider',
  'enable-workload-identity',
  'disable-secrets-provider',
] as const;
/** Those before which nothing may hinder a stop and a start. */
const BEFORE_A_STOP: readonly StepType[] = ['enable-vnet-integration', 'stop-cluster'];

/** Makes the activities; contacts no service yet. */
export function createActivities({ azure, evidence, trust, pace, client, ...settings }: ActivityDeps): Activities {
  const { clusterDecidesAfterInMs, mountFailsAfterInMs = MOUNT_LIMITS.mountsWithinMs } = settings;
  const mountLimits = { ...MOUNT_LIMITS, mountsWithinMs: mountFailsAfterInMs };
  // One more for what is asked beside the Secrets.
  const connections = createClusterConnections(azure.clusters, pace.inFlight + 1);
  const censuses = createSharedCensuses();
  const looks = createSharedLooks();
  const changes = createChangeDesk(settings.change ?? NO_CHANGE_SYSTEM);
  const receipts = new Receipts(evidence);
  const recordChecks = { ...trust, receipts: receipts.verifier };
  const trusting = { statements: trust.statements, audit: evidence.audit };
  const webhooks = createWebhooks(client, settings.webhooks ?? NO_WEBHOOKS);
  const runner = new ActivityRunner(client, createApprovedPlans(client, trust), connections, evidence, (cluster) =>
    censuses.forget(cluster),
  );
  const convergenceLimits = {
    ...CONVERGENCE_LIMITS,
    drainInMs: settings.apiServerDrainInMs ?? CONVERGENCE_LIMITS.drainInMs,
  };
  const awaitLimits = { ...AWAIT_LIMITS, restsInMs: clusterDecidesAfterInMs ?? AWAIT_LIMITS.restsInMs };
  const use: UseCluster = (cluster, signal, work) => connections.use(cluster, signal, work);
  const look = (signal: AbortSignal): Look => ({ azure, use, evidence, signal });
  const lookForPlan = (signal: AbortSignal): PlanLook => ({ ...look(signal), shared: looks });
  return {
    checkRules: runner.plain({ doing: 'Checking the rules', ...INSIDE }, async ({ request }, { signal }) =>
      changes.refuseUnknown(await checkRules(lookForPlan(signal), request), request, signal),
    ),
    checkChange: runner.plain({ doing: 'Asking the change system' }, (question, { signal }) =>
      changes.check(question, signal),
    ),
    takeCensus: runner.plain(
      { doing: 'Taking the census of Secrets', ...INSIDE },
      async ({ cluster, perSecond, earlier, state }, running) => {
        const take = (telling: Running): Promise<Census> =>
          connections.use(cluster, telling.signal, (connection) =>
            takeCensus(connection, { ...pace, perSecond }, telling, { earlier }),
          );
        if (state === undefined) return await take(running);
        const server = await connections.serverOf(cluster, running.signal);
        const count = async (): Promise<number> =>
          (await connections.use(cluster, running.signal, (one) => countSecrets(one, running))).count;
        return await censuses.of({ cluster, state, server, count }, running, take);
      },
    ),
    makePlan: runner.plain({ doing: 'Making the plan', ...INSIDE }, (input, { signal }) =>
      makePlan(lookForPlan(signal), input),
    ),

    createKeyVersion: runner.writesForStep(
      ['create-key-version'],
      { doing: 'Making a new key version', vaultRefusal: 'CreateKeyRefused' },
      ({ nonce, since }, { step: { like, expiry }, operationId, signal }) =>
        createKeyVersion(azure.keys, { operationId, nonce, since, basedOn: like, expiry }, signal),
    ),
    ...provingActivities({ azure, evidence, runner, receipts, pace, limits: convergenceLimits }),
    ...retiringActivities({ runner, receipts, look }),

    submitClusterChange: runner.writesForStep(
      CLUSTER_CHANGES,
      { doing: 'Changing the cluster' },
      ({ made }, { cluster, step, operationId, signal, inside }) =>
        submitClusterChange(azure, { cluster, ...changeOf(step, made) }, signal, async () => {
          if (BEFORE_A_STOP.includes(step.type)) await inside((one) => requireNoHindrances(one, signal));
          if (step.type !== 'set-kms') return;
          const noted = { keyId: keyOf(step.to, made), operationId };
          await inside((connection) => requireSwitchNoted(connection, noted, signal));
        }),
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

    awaitApiServers: runner.readsForStep(
      ['await-api-servers'],
      { doing: 'Waiting for the API servers', ...INSIDE },
      (_, { cluster, ...running }) => awaitApiServers({ azure, use, evidence }, cluster, running),
    ),
    inspectCsi: runner.plain({ doing: 'Looking at the cluster', ...INSIDE }, ({ cluster }, { signal }) =>
      inspectCsi(look(signal), cluster),
    ),
    inspectCluster: runner.plain({ doing: 'Looking at the cluster', ...INSIDE }, ({ cluster }, { signal }) =>
      inspectCluster(look(signal), cluster),
    ),
    inspectLedger: runner.plain({ doing: 'Reading the ledger', ...INSIDE }, ({ cluster }, { signal }) =>
      inspectLedger(look(signal), cluster),
    ),
    findKeyUsers: runner.plain({ doing: 'Looking which clusters need the key' }, async ({ keyId }, { signal }) =>
      usersOf(await readKeyUsage(azure, use, signal, KEY_USERS_WITHIN_MS), keyId),
    ),
    examineWorker: runner.plain({ doing: 'Looking at what the worker needs' }, (_: void, { signal }) =>
      examineWorker(azure, evidence.key, signal),
    ),
    admitOperation: runner.plain({ doing: 'Looking whether the operation may begin' }, async (input) => {
      await requireSignedRequest(trusting, askingOperation(), input);
      await refuseUsedOperationId(askingOperation(), evidence);
    }),
    verifyDecision: (input) => requireSignedDecision(trusting, askingOperation(), input),
    sealEvidence: runner.plain({ doing: 'Sealing the evidence' }, ({ record }, { signal }) => {
      requireSealable(recordChecks, askingOperation(), record);
      return sealEvidence(record, evidence, undefined, signal);
    }),
    sweepOperations: runner.plain({ doing: 'Sealing operations that were ended from outside' }, (_, { signal }) =>
      sweepOperations({ client, evidence, trust: recordChecks, taskQueue: Context.current().info.taskQueue }, signal),
    ),
    readClusterHolder: runner.plain({ doing: 'Reading who holds the lock' }, ({ cluster }) =>
      readClusterHolder(client, cluster),
    ),

    announceEvents: runner.plain({ doing: 'Telling the webhooks' }, ({ cluster }) => webhooks.announce(cluster)),
    deliverNextEvent: runner.plain({ doing: 'Delivering an event' }, (input, { signal }) =>
      webhooks.deliverNext(input, signal),
    ),

    assignNodeIdentity: runner.writesForStep(
      ['assign-node-identity'],
      { doing: 'Assigning the identity to the nodes', armRefusal: 'ConnectionRefused' },
      (_, { step, cluster, ...running }) => assignNodeIdentity(azure, { ...step, cluster }, running),
    ),
    createFederatedCredential: runner.writesForStep(
      ['create-federated-credential'],
      { doing: 'Making the federated credential', armRefusal: 'ConnectionRefused' },
      (_, { step, cluster, signal }) => createFederatedCredential(azure, { ...step, cluster }, signal),
    ),
    grantVaultRead: runner.writesForStep(
      ['grant-vault-read'],
      { doing: 'Letting the identity read the vault', armRefusal: 'ReadGrantRefused' },
      (_, { step, cluster, signal }) => grantVaultRead(azure, { ...step, cluster }, signal),
    ),
    awaitVaultRead: runner.readsForStep(
      ['grant-vault-read'],
      { doing: 'Waiting for the right to read the vault', armRefusal: 'ReadGrantRefused' },
      ({ principalIds }, { step, ...running }) => awaitVaultRead(azure, { ...step, principalIds }, running),
    ),
    createServiceConnection: runner.writesForStep(
      ['create-service-connection'],
      { doing: 'Connecting the cluster with the vault', armRefusal: 'ConnectionRefused' },
      (_, { step, cluster, ...running }) => createServiceConnection(azure, { ...step, cluster }, running),
    ),
    changeConnectionPart: runner.writesForStep(
      CONNECTION_PARTS,
      { doing: 'Changing a part of the connection', ...INSIDE },
      (_, work) => changeConnectionPart(azure, work),
    ),
    proveMount: runner.writesForStep(
      ['prove-mount'],
      { doing: 'Mounting the class in a pod', ...INSIDE },
      async ({ made }, work) => receipts.sign(work, made, await proveMount(azure, work, mountLimits)),
    ),
    proveRotation: runner.writesForStep(
      ['prove-rotation'],
      { doing: 'Proving that mounted files follow the vault', ...INSIDE },
      async ({ made, attempt }, work) => {
        const limits = { ...ROTATION_LIMITS, ...mountLimits };
        return await receipts.sign(work, made, await proveRotation(azure, { ...work, attempt }, limits));
      },
    ),
    removeRotation: runner.clearsForStep(
      ['prove-rotation'],
      { doing: 'Removing what rotation was proven with', ...INSIDE },
      ({ attempt }, work) => removeRotation(azure, { ...work, attempt }),
    ),
  };
}
