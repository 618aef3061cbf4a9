/** Diagnostic settings of a vault: whether what it answers is logged, and where. Pure: what could not be read is an answer. */
import { z } from 'zod';
import { resourceName, sameText } from './resource-ids';

/** The log category of vaults that has a row for each call, encrypt and decrypt included. */
export const AUDIT_EVENT = 'AuditEvent';

/** One diagnostic setting of a vault. */
export const DiagnosticSetting = z.object({
  name: z.string(),
  /** ARM id of the Log Analytics workspace that it sends to. */
  workspaceId: z.string().optional(),
  /** Whether it sends AuditEvent, by name or in a group of categories. */
  auditEvent: z.boolean(),
});
/** One diagnostic setting of a vault. */
export type DiagnosticSetting = z.infer<typeof DiagnosticSetting>;

/** The vault of the current key and its settings, and whether the workspace is there; or why they could not be read, a whole sentence. */
export const VaultDiagnostics = z.union([
  z.object({
    known: z.literal(true),
    vaultId: z.string(),
    settings: z.array(DiagnosticSetting),
    workspaceFound: z.boolean(),
  }),
  z.object({ known: z.literal(false), why: z.string() }),
]);
/** The vault of the current key and its settings. */
export type VaultDiagnostics = z.infer<typeof VaultDiagnostics>;

/** The setting that sends AuditEvent to a workspace already, whatever its name. */
export function sendingAuditTo(
  settings: readonly DiagnosticSetting[],
  workspaceId: string,
): DiagnosticSetting | undefined {
  return settings.find((setting) => setting.auditEvent && sameText(setting.workspaceId, workspaceId));
}

/** The setting of a name. */
export function settingNamed(settings: readonly DiagnosticSetting[], name: string): DiagnosticSetting | undefined {
  return settings.find((setting) => sameText(setting.name, name));
}

/** What a setting does, to complete "it …". */
export function describeSetting({ workspaceId, auditEvent }: DiagnosticSetting): string {
  const what = auditEvent ? AUDIT_EVENT : `no ${AUDIT_EVENT}`;
  return workspaceId === undefined
    ? `sends ${what}, and to no workspace`
    : `sends ${what} to ${resourceName(workspaceId)}`;
}

/** The query that shows the calls, for people. */
export function auditQuery(vaultId: string): string {
  return `AzureDiagnostics | where ResourceId =~ "${vaultId}" and OperationName in ("KeyEncrypt", "KeyDecrypt")`;
}
