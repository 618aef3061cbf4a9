/**
 * Diagnostic settings of a vault, in ARM (Microsoft.Insights), and the workspaces that they send to.
 *
 * Does: reads all settings of a vault, and makes one.
 * Never does: overwrite one: ARM has no entity tag for them, so the caller reads right before. Query logs.
 */
import { z } from 'zod';
import { AUDIT_EVENT, type DiagnosticSetting } from '../domain/vault-diagnostics';
import type { ArmClient } from './arm';
import type { CallOptions } from './call-options';
import { isNotForUs } from './errors';

const API_VERSION = '2021-05-01-preview';
const WORKSPACES_API_VERSION = '2023-09-01';
/** Groups of categories that have AuditEvent. Source: Azure Monitor documents, "Diagnostic settings", category groups. */
const GROUPS = ['audit', 'alllogs'];

const Setting = z.looseObject({
  name: z.string(),
  properties: z.looseObject({
    workspaceId: z.string().nullish(),
    logs: z
      .array(
        z.looseObject({ category: z.string().nullish(), categoryGroup: z.string().nullish(), enabled: z.boolean() }),
      )
      .nullish(),
  }),
});
const Settings = z.looseObject({ value: z.array(Setting) });

/** What Keyturn asks of diagnostic settings. Everything throws `ArmError` or `TokenError`. */
export interface DiagnosticSettings {
  /** All of a vault. */
  list(vaultId: string, options?: CallOptions): Promise<DiagnosticSetting[]>;
  /** Makes one that sends AuditEvent to a workspace. @throws ArmError `Conflict` when another setting has the sink */
  create(
    setting: { readonly vaultId: string; readonly name: string; readonly workspaceId: string },
    options?: CallOptions,
  ): Promise<void>;
  /** Whether there is a workspace that Keyturn may read. */
  hasWorkspace(workspaceId: string, options?: CallOptions): Promise<boolean>;
}

/** @param arm sends the requests */
export function createDiagnosticSettings(arm: ArmClient): DiagnosticSettings {
  const base = (vaultId: string): string => `${vaultId}/providers/Microsoft.Insights/diagnosticSettings`;
  return {
    async list(vaultId, { abortSignal } = {}) {
      const url = `${base(vaultId)}?api-version=${API_VERSION}`;
      const { body } = await arm.request({ method: 'GET', url, abortSignal });
      return Settings.parse(body).value.map(observed);
    },

    async create({ vaultId, name, workspaceId }, { abortSignal } = {}) {
      await arm.request({
        method: 'PUT',
        url: `${base(vaultId)}/${encodeURIComponent(name)}?api-version=${API_VERSION}`,
        body: { properties: { workspaceId, logs: [{ category: AUDIT_EVENT, enabled: true }] } },
        abortSignal,
      });
    },

    async hasWorkspace(workspaceId, { abortSignal } = {}) {
      try {
        const url = `${workspaceId}?api-version=${WORKSPACES_API_VERSION}`;
        await arm.request({ method: 'GET', url, abortSignal });
        return true;
      } catch (error) {
        if (!isNotForUs(error)) throw error;
        return false;
      }
    },
  };
}

function observed({ name, properties: { workspaceId, logs } }: z.infer<typeof Setting>): DiagnosticSetting {
  const auditEvent = (logs ?? []).some(
    ({ category, categoryGroup, enabled }) =>
      enabled && (category === AUDIT_EVENT || GROUPS.includes(categoryGroup?.toLowerCase() ?? '')),
  );
  return { name, ...(workspaceId ? { workspaceId } : {}), auditEvent };
}
