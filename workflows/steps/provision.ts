/** Performers of the steps that bring vaults to where a cluster needs them. Each looks before it writes. */
import type { StepOf } from '../../domain/plan/steps';
import { auditQuery, nameOf } from '../../domain/vault-diagnostics';
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
    text: `Azure shows that the setting ${settingName} sends AuditEvent to the workspace ${nameOf(step.workspaceId)}. API servers call the vault when they start and at every health check of the KMS plugin; their rows appear some minutes later. See them: ${auditQuery(step.vaultId)}`,
  };
}
