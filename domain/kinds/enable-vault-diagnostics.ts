/**
 * `enable-vault-diagnostics`: have the vault of the cluster's key log each of its calls, so that people see who encrypts and decrypts.
 *
 * Follows the end of "Update key vault mode" of the AKS documents: after KMS is configured, diagnostic settings of the vault let you
 * check the encryption logs.
 * Needs: KMS on, with a vault that Keyturn sees in ARM, and a Log Analytics workspace. Does: one setting, unless there is one already.
 * Never does: overwrite a setting, make a second one for the same workspace, or read logs.
 */
import { z } from 'zod';
import { clusterRule, kmsOnRule, settingNotOverwrittenRule, vaultSeenRule, workspaceFoundRule } from '../rules';
import { resourceName } from '../resource-ids';
import { sendingAuditTo } from '../vault-diagnostics';
import { kind } from './kind';
import { startGate } from './steps';

const WORKSPACE_ID =
  /^\/subscriptions\/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\/resourceGroups\/[-\w.()]{1,90}\/providers\/Microsoft\.OperationalInsights\/workspaces\/[a-z0-9][-a-z0-9]{2,61}[a-z0-9]$/i;

export const enableVaultDiagnostics = kind({
  name: 'enable-vault-diagnostics',
  does: "Has the vault of a cluster's key log each of its calls in a Log Analytics workspace, and reads the setting back.",
  never: 'overwrites a diagnostic setting, makes a second one for the same workspace, or reads logs.',
  section: 'Update key vault mode',
  parameters: z.strictObject({
    workspaceId: z
      .string()
      .max(400)
      .regex(WORKSPACE_ID, {
        error:
          'Expected /subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.OperationalInsights/workspaces/{name}.',
      })
      .meta({ description: 'ARM resource id of the Log Analytics workspace that gets the logs.' }),
    settingName: z
      .string()
      .regex(/^[a-z0-9](?:[-_.a-z0-9]{0,98}[a-z0-9])?$/i)
      .default('keyturn-audit')
      .meta({ description: 'Name of the diagnostic setting, where one has to be made. Default: `keyturn-audit`.' }),
  }),
  keyFrom: 'current-vault',
  needs: ['vault-diagnostics'],
  rules: [
    clusterRule('PlatformManagedEncryption'),
    kmsOnRule,
    vaultSeenRule,
    workspaceFoundRule,
    settingNotOverwrittenRule,
  ],

  plan(facts) {
    const { azure, cluster, from, parameters } = facts;
    const { vaultDiagnostics } = azure;
    if (vaultDiagnostics?.known !== true) throw new Error('enable-vault-diagnostics was planned against its rules.');
    const { vaultId, settings } = vaultDiagnostics;
    const { workspaceId, settingName } = parameters;
    const [vault, workspace] = [resourceName(vaultId), resourceName(workspaceId)];
    const sending = sendingAuditTo(settings, workspaceId);
    const of = `the vault ${vault}, which has the key of ${resourceName(cluster.resourceId)}`;
    return {
      summary: sending
        ? `Nothing is to be changed: the diagnostic setting ${sending.name} sends AuditEvent of ${of}, to the workspace ${workspace} already. Read it back.`
        : `Have ${of}, log each of its calls in the workspace ${workspace}, by the diagnostic setting ${settingName}.`,
      to: from,
      steps: [
        startGate(facts, 'Logs of a vault name who uses its keys and when; a person decides who gets to read that.'),
        ...(sending
          ? []
          : [
              {
                id: 'set-vault-diagnostics',
                type: 'set-vault-diagnostics',
                vaultId,
                workspaceId,
                settingName,
                title: `Make the diagnostic setting ${settingName}: AuditEvent of the vault ${vault} to the workspace ${workspace}`,
                reason:
                  'AuditEvent has a row for each call of the vault: KeyEncrypt and KeyDecrypt, with caller, key version and result.',
              } as const,
            ]),
        {
          id: 'confirm-vault-diagnostics',
          type: 'confirm-vault-diagnostics',
          vaultId,
          workspaceId,
          title: `Read back that AuditEvent of the vault ${vault} is sent to the workspace ${workspace}`,
          reason:
            'Azure shows the setting, not the logs: rows appear in the workspace some minutes after a call. Keyturn does not query the workspace; the result of this step has the query.',
        },
      ],
      warnings: [],
    };
  },
});
