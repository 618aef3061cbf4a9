/** Performers of the steps that bring vaults to where a cluster needs them. Each looks before it writes. */
import type { StepOf } from '../../domain/plan/steps';
import { resourceName, shortKeyId } from '../../domain/resource-ids';
import { auditQuery } from '../../domain/vault-diagnostics';
import { quick } from '../activities';
import { underLock } from '../held-cluster';
import type { StepOutcome } from '../operation-run';
import type { Execution } from './execution';

/** Makes a diagnostic setting, or finds one that does it. */
export async function setVaultDiagnostics(
  step: StepOf<'set-vault-diagnostics'>,
  { run }: Execution,
): Promise<StepOutcome> {
  const { settingName, created } = await underLock(run).quick(step.title).setVaultDiagnostics(run.reference(step.id));
  return {
    output: { type: 'set-vault-diagnostics', settingName, created },
    text: created
      ? `Made the diagnostic setting ${settingName}.`
      : `The diagnostic setting ${settingName} does it already.`,
  };
}

/** Reads the setting back. */
export async function confirmVaultDiagnostics(
  step: StepOf<'confirm-vault-diagnostics'>,
  { run }: Execution,
): Promise<StepOutcome> {
  const { settingName } = await quick(step.title).confirmVaultDiagnostics(run.reference(step.id));
  return {
    output: { type: 'confirm-vault-diagnostics', settingName },
    text: `Azure shows that the setting ${settingName} sends AuditEvent to the workspace ${resourceName(step.workspaceId)}. API servers call the vault when they start and at every health check of the KMS plugin; their rows appear some minutes later. See them: ${auditQuery(step.vaultId)}`,
  };
}

/** Makes the vault, or checks the one that is there. */
export async function createVault(step: StepOf<'create-vault'>, { run }: Execution): Promise<StepOutcome> {
  const made = await underLock(run)
    .lasting(step.title)
    .createVault({ ...run.reference(step.id), nonce: `${run.nonce}/${step.id}` });
  return {
    output: { type: 'create-vault', ...made },
    text: made.created
      ? `The vault ${resourceName(made.vaultId)} was made.`
      : `The vault ${resourceName(made.vaultId)} is fit as it is.`,
  };
}

/** Makes the key, or checks the version that is there. */
export async function createKey(step: StepOf<'create-key'>, { run }: Execution): Promise<StepOutcome> {
  const made = await underLock(run)
    .quick(step.title)
    .createKey({ ...run.reference(step.id), nonce: `${run.nonce}/${step.id}` });
  return {
    output: { type: 'create-key', ...made },
    text: `${made.created ? 'Created' : 'Uses'} ${shortKeyId(made.keyId)}${made.through === 'arm' ? ', seen through ARM, as the vault does not answer from where Keyturn runs' : ''}. Its id: ${made.keyId}`,
  };
}
