/** What is planned for the audit log of a vault: one setting, none twice, none overwritten. */
import { describe, expect, it } from '@jest/globals';
import { planFaults } from '../../domain/plan/check-plan';
import { plan } from '../../domain/planner';
import { auditQuery, type DiagnosticSetting, type VaultDiagnostics } from '../../domain/vault-diagnostics';
import { azureFor, observation, planned, requestOf, VAULT_ID, WORKSPACE } from './fixtures';

const KIND = 'enable-vault-diagnostics';
const elsewhere = WORKSPACE.replace(/logs$/, 'other-logs');
const seen = (...settings: DiagnosticSetting[]): VaultDiagnostics => ({
  known: true,
  vaultId: VAULT_ID,
  settings,
  workspaceFound: true,
});
const made = (vaultDiagnostics: VaultDiagnostics | undefined, parameters: object = {}) =>
  plan(
    requestOf(KIND, { workspaceId: WORKSPACE, ...parameters }),
    observation({ ...azureFor(KIND), vaultDiagnostics }, null),
    { approvalsRequired: 1 },
  );

describe('the audit log of a vault', () => {
  it('is sent by a new setting where none does it', () => {
    expect(planned(KIND).steps[1]).toMatchObject({ settingName: 'keyturn-audit', vaultId: VAULT_ID });
    const policyOnly = { name: 'policy', workspaceId: WORKSPACE, auditEvent: false };
    const archive = { name: 'archive', auditEvent: true };
    expect(made(seen(policyOnly, archive)).plan?.steps.map(({ id }) => id)).toEqual([
      'approve',
      'set-vault-diagnostics',
      'confirm-vault-diagnostics',
    ]);
  });

  it('is only read back where a setting sends it already, whatever its name, and however the id is spelled', () => {
    const sending = { name: 'of-the-platform-team', workspaceId: WORKSPACE.toUpperCase(), auditEvent: true };
    const { plan: already } = made(seen({ name: 'keyturn-audit', workspaceId: elsewhere, auditEvent: true }, sending));
    expect(already?.steps.map(({ id }) => id)).toEqual(['approve', 'confirm-vault-diagnostics']);
    expect(already?.summary).toMatch(/Nothing is to be changed: the diagnostic setting of-the-platform-team/);
  });

  it.each([
    ['another workspace', { workspaceId: elsewhere, auditEvent: true }, /sends AuditEvent to other-logs/],
    ['no workspace', { auditEvent: true }, /and to no workspace/],
    ['something else', { workspaceId: WORKSPACE, auditEvent: false }, /sends no AuditEvent to logs/],
  ])('overwrites no setting of the name that sends to %s', (_what, setting, words) => {
    const { faults } = made(seen({ name: 'Keyturn-Audit', ...setting }));
    expect(faults).toEqual([
      {
        code: 'DiagnosticSettingDiffers',
        pointer: '/parameters/settingName',
        detail: expect.stringMatching(words),
      },
    ]);
    expect(made(seen({ name: 'Keyturn-Audit', ...setting }), { settingName: 'another' }).faults).toEqual([]);
  });

  it('needs a vault that Keyturn sees, and a workspace', () => {
    const why = 'Keyturn sees no vault kv1.';
    expect(made({ known: false, why }).faults).toMatchObject([
      { code: 'VaultNotFound', pointer: '/cluster', detail: `${why} Nothing was changed.` },
    ]);
    expect(made(undefined).faults).toMatchObject([{ code: 'VaultNotFound' }]);
    expect(made({ ...seen(), workspaceFound: false } as VaultDiagnostics).faults).toMatchObject([
      { code: 'WorkspaceNotFound', pointer: '/parameters/workspaceId' },
    ]);
  });

  it('takes a workspace by its ARM id, and nothing else', () => {
    for (const workspaceId of ['logs', VAULT_ID, `${WORKSPACE}/tables/x`]) {
      expect(() => requestOf(KIND, { workspaceId })).toThrow(/Expected \/subscriptions/);
    }
    expect(() => requestOf(KIND, { workspaceId: WORKSPACE, settingName: 'a/b' })).toThrow();
  });

  it('is read back after it is set: a plan that does not is none', () => {
    const { steps, from } = planned(KIND);
    expect(planFaults(steps.slice(0, -1), { state: from, proven: true }).join()).toMatch(/not read back/);
    const other = steps.map((step) =>
      'workspaceId' in step && step.id.startsWith('confirm') ? { ...step, workspaceId: elsewhere } : step,
    );
    expect(planFaults(other, { state: from, proven: true }).join()).toMatch(/not read back/);
  });

  it('has a query that shows the calls', () => {
    expect(auditQuery(VAULT_ID)).toContain(`ResourceId =~ "${VAULT_ID}"`);
  });
});
