/**
 * Runs an approved plan, step by step. The plan is the program: there is no other order than its own.
 *
 * Needs: the cluster's lock. Does: hands each step to its performer. Never does: skip, repeat or add a step.
 */
import { assertNever } from '../domain/assert-never';
import type { PlanStep, StepOf, StepType } from '../domain/plan/steps';
import { awaitChange } from './change-wait';
import type { OperationRun, StepAttempt, StepOptions, StepOutcome } from './operation-run';
import { createKeyVersion, setKms, takeBaseline, upgradeCluster } from './steps/change';
import {
  assignNodeIdentity,
  changeConnectionPart,
  changeFeatures,
  createFederatedCredential,
  createServiceConnection,
  grantVaultRead,
  proveMount,
  proveRotation,
} from './steps/csi';
import { ProofLog, type Execution } from './steps/execution';
import { converge, prove, recordProof, rewrite } from './steps/prove';
import { setVaultNetwork } from './steps/vault-network';
import { createCluster, createIdentity, grantEndpointApproval } from './steps/new-cluster';
import { confirmVaultDiagnostics, createKey, createVault, setVaultDiagnostics } from './steps/provision';
import { awaitKms, grantKeyAccess, reconcileCluster, repair } from './steps/repair';
import { awaitApiServers, enableVnetIntegration, startCluster, stopCluster } from './steps/vnet-integration';
import { checkKeyUnused, deleteKey, disableKeyVersion, soak } from './steps/retire';

/** What a cancellation does to a step of a type: it interrupts a step only when no write of that step has to be finished. */
const INTERRUPTIBLE: Readonly<Record<StepType, boolean>> = {
  gate: true,
  'create-key-version': false,
  'take-baseline': false,
  'set-kms': false,
  converge: true,
  rewrite: true,
  prove: true,
  'record-proof': false,
  'upgrade-control-plane': false,
  'upgrade-pool': false,
  'check-key-unused': true,
  'disable-key-version': false,
  soak: true,
  'delete-key': false,
  'set-vault-network': false,
  'grant-key-access': false,
  'set-vault-diagnostics': false,
  'confirm-vault-diagnostics': true,
  'create-vault': false,
  'create-key': false,
  'enable-key-version': false,
  'extend-key-expiry': false,
  'recover-deleted-key': false,
  'recover-vault': false,
  'restore-identity': false,
  'reconcile-cluster': false,
  'await-kms': true,
  'create-identity': false,
  'grant-endpoint-approval': false,
  'create-cluster': false,
  'enable-vnet-integration': false,
  'stop-cluster': false,
  'start-cluster': false,
  'await-api-servers': true,
  'enable-secrets-provider': false,
  'enable-workload-identity': false,
  'assign-node-identity': false,
  'create-federated-credential': false,
  'grant-vault-read': false,
  'create-service-connection': false,
  'create-service-account': false,
  'create-secret-provider-class': false,
  'prove-mount': true,
  'prove-rotation': true,
  'delete-secret-provider-class': false,
  'delete-service-account': false,
  'delete-federated-credential': false,
  'delete-service-connection': false,
  'disable-secrets-provider': false,
};

/**
 * Runs every step that is not done yet. Gates in the middle wait without the cluster's lock, as a person may take days.
 * @param pass waits for the approvals of a gate
 * @throws OperationEnds when the operation is denied or canceled, or a deadline passes
 */
export async function execute(run: OperationRun, pass: (gate: StepOf<'gate'>) => Promise<void>): Promise<void> {
  const proofs = new ProofLog();
  for (const step of run.plan.steps) {
    if (run.isDone(step.id)) continue;
    if (step.type === 'gate') {
      await run.pausePoint();
      await run.releaseLock();
      await pass(step);
      continue;
    }
    await awaitChange(run, step);
    await run.step(step.id, optionsOf(step), async (attempt) => {
      // Days may lie between two attempts.
      if (attempt.number > 1) await awaitChange(run, step);
      return await perform(step, { run, proofs }, attempt);
    });
  }
}

function optionsOf(step: PlanStep): StepOptions {
  return {
    interruptible: INTERRUPTIBLE[step.type],
    acceptable: 'acceptable' in step && step.acceptable,
    locked: step.type !== 'soak',
    evenIfCanceled: step.type === 'start-cluster',
  };
}

function perform(step: PlanStep, execution: Execution, attempt: StepAttempt): Promise<StepOutcome> {
  switch (step.type) {
    case 'create-key-version':
      return createKeyVersion(step, execution);
    case 'take-baseline':
      return takeBaseline(step, execution);
    case 'set-kms':
      return setKms(step, execution);
    case 'converge':
      return converge(step, execution);
    case 'rewrite':
      return rewrite(step, execution, attempt);
    case 'prove':
      return prove(step, execution, attempt);
    case 'record-proof':
      return recordProof(step, execution);
    case 'upgrade-control-plane':
    case 'upgrade-pool':
      return upgradeCluster(step, execution);
    case 'check-key-unused':
      return checkKeyUnused(step, execution);
    case 'disable-key-version':
      return disableKeyVersion(step, execution);
    case 'soak':
      return soak(step, execution);
    case 'delete-key':
      return deleteKey(step, execution);
    case 'set-vault-network':
      return setVaultNetwork(step, execution);
    case 'grant-key-access':
      return grantKeyAccess(step, execution);
    case 'set-vault-diagnostics':
      return setVaultDiagnostics(step, execution);
    case 'confirm-vault-diagnostics':
      return confirmVaultDiagnostics(step, execution);
    case 'create-vault':
      return createVault(step, execution);
    case 'create-key':
      return createKey(step, execution);
    case 'enable-key-version':
    case 'extend-key-expiry':
    case 'recover-deleted-key':
    case 'recover-vault':
    case 'restore-identity':
      return repair(step, execution);
    case 'reconcile-cluster':
      return reconcileCluster(step, execution);
    case 'await-kms':
      return awaitKms(step, execution);
    case 'create-identity':
      return createIdentity(step, execution);
    case 'grant-endpoint-approval':
      return grantEndpointApproval(step, execution);
    case 'create-cluster':
      return createCluster(step, execution);
    case 'enable-vnet-integration':
      return enableVnetIntegration(step, execution);
    case 'stop-cluster':
      return stopCluster(step, execution);
    case 'start-cluster':
      return startCluster(step, execution);
    case 'await-api-servers':
      return awaitApiServers(step, execution);
    case 'enable-secrets-provider':
    case 'enable-workload-identity':
    case 'disable-secrets-provider':
      return changeFeatures(step, execution);
    case 'assign-node-identity':
      return assignNodeIdentity(step, execution);
    case 'create-federated-credential':
      return createFederatedCredential(step, execution);
    case 'grant-vault-read':
      return grantVaultRead(step, execution);
    case 'create-service-connection':
      return createServiceConnection(step, execution);
    case 'create-service-account':
    case 'create-secret-provider-class':
    case 'delete-secret-provider-class':
    case 'delete-service-account':
    case 'delete-federated-credential':
    case 'delete-service-connection':
      return changeConnectionPart(step, execution);
    case 'prove-mount':
      return proveMount(step, execution);
    case 'prove-rotation':
      return proveRotation(step, execution, attempt);
    case 'gate':
      throw new Error(`The gate ${step.id} is passed by people, not performed.`);
    default:
      return assertNever(step);
  }
}
