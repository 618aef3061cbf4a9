/** What must hold before the calls of a vault are logged: the vault is seen, the workspace is there, and no setting is overwritten. */
import type { Rule } from '../kinds/kind';
import { describeSetting, sendingAuditTo, settingNamed } from '../vault-diagnostics';
import { resourceName } from '../resource-ids';

/** The parameters that the rules look at. */
export interface DiagnosticsParameters {
  readonly workspaceId: string;
  readonly settingName: string;
}

/** The vault of the current key must be one whose settings Keyturn can read. */
export const vaultSeenRule: Rule<unknown> = {
  codes: ['VaultNotFound'],
  check({ kms }, { vaultDiagnostics }) {
    if (!kms.enabled || vaultDiagnostics?.known === true) return [];
    const why =
      vaultDiagnostics?.why ?? `Azure reports "${kms.keyId ?? ''}" as the key of the cluster, which names no vault.`;
    return [{ code: 'VaultNotFound', pointer: '/cluster', detail: `${why} Nothing was changed.` }];
  },
};

/** The workspace must be there. */
export const workspaceFoundRule: Rule<DiagnosticsParameters> = {
  codes: ['WorkspaceNotFound'],
  check(_, { vaultDiagnostics }, { workspaceId }) {
    if (vaultDiagnostics?.known !== true || vaultDiagnostics.workspaceFound) return [];
    const detail = `Azure shows no Log Analytics workspace ${workspaceId}: it does not exist, or Keyturn has no right to read it (Microsoft.OperationalInsights/workspaces/read).`;
    return [{ code: 'WorkspaceNotFound', pointer: '/parameters/workspaceId', detail }];
  },
};

/** A setting that does something else keeps its name: it is never overwritten. */
export const settingNotOverwrittenRule: Rule<DiagnosticsParameters> = {
  codes: ['DiagnosticSettingDiffers'],
  check(_, { vaultDiagnostics }, { workspaceId, settingName }) {
    if (vaultDiagnostics?.known !== true) return [];
    const { settings, vaultId } = vaultDiagnostics;
    const named = settingNamed(settings, settingName);
    if (named === undefined || sendingAuditTo(settings, workspaceId)) return [];
    const detail = `The vault ${resourceName(vaultId)} has a diagnostic setting ${named.name} already, and it ${describeSetting(named)}. Keyturn overwrites none. Name another \`settingName\`, or delete that one (az monitor diagnostic-settings delete --name ${named.name} --resource ${vaultId}).`;
    return [{ code: 'DiagnosticSettingDiffers', pointer: '/parameters/settingName', detail }];
  },
};
