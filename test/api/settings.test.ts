import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { readApiSettings } from '../../api/settings';
import { SettingsError } from '../../settings/environment';

const TENANT = '72F988BF-86F1-41AF-91AB-2D7CD011DB47';

describe('the settings of the API', () => {
  it('have defaults for everything but the tenant', () => {
    expect(readApiSettings({ AZURE_TENANT_ID: TENANT })).toMatchObject({
      host: '127.0.0.1',
      port: 8080,
      temporal: { namespace: 'default' },
      taskQueue: 'keyturn',
      tenantId: TENANT.toLowerCase(),
      audience: 'api://keyturn',
      cloud: { name: 'AzureCloud' },
      approvalsRequired: 1,
      approvalTimeoutInMs: 259_200_000,
      evidenceDirectory: resolve('.keyturn/evidence'),
      logLevel: 'info',
    });
  });

  it('are read from the environment, the more special name first', () => {
    const settings = readApiSettings({
      AZURE_TENANT_ID: '00000000-0000-0000-0000-000000000000',
      KEYTURN_TENANT_ID: TENANT,
      KEYTURN_API_PORT: '0',
      KEYTURN_CLOUD: 'AzureUSGovernment',
      KEYTURN_TEMPORAL_UI_URL: 'https://temporal.example/ui/',
      TEMPORAL_ADDRESS: 'temporal.example:7233',
      TEMPORAL_NAMESPACE: 'keys',
      TEMPORAL_API_KEY: 'secret',
    });
    expect(settings).toMatchObject({
      port: 0,
      tenantId: TENANT.toLowerCase(),
      cloud: { name: 'AzureUSGovernment' },
      temporalUiUrl: 'https://temporal.example/ui',
      temporal: { namespace: 'keys', connection: { address: 'temporal.example:7233', apiKey: 'secret', tls: true } },
    });
  });

  it('that are set to nothing are not set', () => {
    expect(readApiSettings({ AZURE_TENANT_ID: TENANT, KEYTURN_API_PORT: '', KEYTURN_AUDIENCE: ' ' })).toMatchObject({
      port: 8080,
      audience: 'api://keyturn',
    });
  });

  it('are refused with every fault at once', () => {
    const faults = faultsOf({
      KEYTURN_API_PORT: '80a',
      KEYTURN_APPROVALS_REQUIRED: '6',
      KEYTURN_APPROVAL_TIMEOUT_SECONDS: '-1',
      KEYTURN_CLOUD: 'AzureGermanCloud',
      KEYTURN_TEMPORAL_UI_URL: 'temporal',
      TEMPORAL_CONFIG_FILE: '/nonexistent/temporal.toml',
      TEMPORAL_TLS_SERVER_CA_CERT_PATH: '/nonexistent/ca.pem',
    });
    expect(faults).toEqual([
      expect.stringMatching(/^KEYTURN_API_PORT must be a whole number from 0 to 65535, not "80a"\.$/),
      expect.stringMatching(/^KEYTURN_TENANT_ID is not set\. It is the id of the Entra tenant .*AZURE_TENANT_ID/),
      expect.stringMatching(/^KEYTURN_CLOUD must be one of AzureCloud, AzureChinaCloud, AzureUSGovernment, not/),
      expect.stringMatching(/^KEYTURN_APPROVALS_REQUIRED must be a whole number from 1 to 5, not "6"/),
      expect.stringMatching(/^KEYTURN_APPROVAL_TIMEOUT_SECONDS must be/),
      expect.stringMatching(/^KEYTURN_TEMPORAL_UI_URL must be an http or https URL/),
      expect.stringMatching(/^The TEMPORAL_\* variables/),
    ]);
  });

  it('refuse a tenant that is no id, and say it once', () => {
    expect(faultsOf({ KEYTURN_TENANT_ID: 'contoso.com' })).toEqual([
      'KEYTURN_TENANT_ID must be a tenant id: 8-4-4-4-12 hexadecimal digits, not "contoso.com".',
    ]);
  });
});

function faultsOf(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    readApiSettings(env);
  } catch (error) {
    if (error instanceof SettingsError) return error.faults;
    throw error;
  }
  throw new Error('The settings were accepted.');
}
