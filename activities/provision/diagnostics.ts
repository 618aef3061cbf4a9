/**
 * Diagnostic settings of the vault of a cluster's key: looked at before a plan, made once, read back.
 *
 * Never does: overwrite a setting, or make a second one that does what another does already.
 */
import type { AzureAccess } from '../../azure/access';
import { ArmError, isNotForUs } from '../../azure/errors';
import type { ObservedCluster } from '../../domain/observed';
import type { StepOf } from '../../domain/plan/steps';
import { parseClusterId, parseKeyId, resourceName } from '../../domain/resource-ids';
import { describeSetting, sendingAuditTo, settingNamed, type VaultDiagnostics } from '../../domain/vault-diagnostics';
import { needsPerson, sentenceOf } from '../failures';

type Azure = Pick<AzureAccess, 'vaults' | 'diagnostics'>;
type SetStep = Pick<StepOf<'set-vault-diagnostics'>, 'vaultId' | 'workspaceId' | 'settingName'>;

/** @returns undefined when KMS is off, or its key names no vault. @throws ArmError, TokenError when Azure cannot say now */
export async function observeDiagnostics(
  azure: Azure,
  { resourceId, identities, kms }: ObservedCluster,
  workspaceId: string,
  options: { readonly abortSignal?: AbortSignal },
): Promise<VaultDiagnostics | undefined> {
  const key = parseKeyId(kms.keyId ?? '');
  const cluster = parseClusterId(resourceId);
  if (!kms.enabled || 'fault' in key || !cluster) return undefined;
  const principalId = identities[0]?.principalId ?? '';
  const { subscriptionId } = cluster;
  const vault = kms.vaultId
    ? await azure.vaults.read(kms.vaultId, principalId, options)
    : await azure.vaults.find({ key, subscriptionId, principalId }, options);
  if (!vault.known) return vault;
  const { vaultId } = vault.value;
  try {
    const [settings, workspaceFound] = await Promise.all([
      azure.diagnostics.list(vaultId, options),
      azure.diagnostics.hasWorkspace(workspaceId, options),
    ]);
    return { known: true, vaultId, settings, workspaceFound };
  } catch (error) {
    if (!isNotForUs(error)) throw error;
    const why = `Keyturn may not read the diagnostic settings of the vault ${resourceName(vaultId)} (Microsoft.Insights/diagnosticSettings/read).`;
    return { known: false, why };
  }
}

/**
 * Makes the setting, or finds one that does it.
 * @returns the name of the setting that sends AuditEvent to the workspace
 * @throws ApplicationFailure, non-retryable: `DiagnosticSettingDiffers`, `DiagnosticSinkTaken`; ArmError, TokenError
 */
export async function setVaultDiagnostics(
  { diagnostics }: Azure,
  { vaultId, workspaceId, settingName }: SetStep,
  abortSignal: AbortSignal,
): Promise<{ settingName: string; created: boolean }> {
  const options = { abortSignal };
  const settings = await diagnostics.list(vaultId, options);
  const sending = sendingAuditTo(settings, workspaceId);
  if (sending) return { settingName: sending.name, created: false };
  const named = settingNamed(settings, settingName);
  if (named) {
    throw needsPerson(
      'DiagnosticSettingDiffers',
      `The vault ${resourceName(vaultId)} has got a diagnostic setting ${named.name} since the plan was made, and it ${describeSetting(named)}. Keyturn overwrites none: nothing was changed, and keys are as they were. Delete or change that setting, then retry; or cancel, and ask again with another \`settingName\`.`,
    );
  }
  try {
    await diagnostics.create({ vaultId, name: settingName, workspaceId }, options);
  } catch (error) {
    if (!(error instanceof ArmError) || error.status !== 409 || error.retryable) throw error;
    throw needsPerson(
      'DiagnosticSinkTaken',
      `Azure did not make the diagnostic setting ${settingName} of the vault ${resourceName(vaultId)}: ${sentenceOf(error)} Keys and cluster are as they were. A workspace can be the sink of one setting for each category: switch AuditEvent on in the setting that Azure names, or delete that setting, then retry; or cancel.`,
      error,
    );
  }
  return { settingName, created: true };
}

/**
 * Reads the setting back.
 * @throws ApplicationFailure `VaultNotAsApproved`, non-retryable, when no setting sends AuditEvent to the workspace; ArmError, TokenError
 */
export async function confirmVaultDiagnostics(
  { diagnostics }: Azure,
  { vaultId, workspaceId }: Pick<StepOf<'confirm-vault-diagnostics'>, 'vaultId' | 'workspaceId'>,
  abortSignal: AbortSignal,
): Promise<{ settingName: string }> {
  const sending = sendingAuditTo(await diagnostics.list(vaultId, { abortSignal }), workspaceId);
  if (sending) return { settingName: sending.name };
  throw needsPerson(
    'VaultNotAsApproved',
    `No diagnostic setting of the vault ${resourceName(vaultId)} sends AuditEvent to the workspace ${resourceName(workspaceId)} now: another client deleted or changed it. Keys and cluster are as they were. Cancel, and ask again; or make the setting, then retry.`,
  );
}
