import { resolve } from 'node:path';
import { describe, expect, it, jest } from '@jest/globals';
import { readApiSettings } from '../../api/settings';
import { RECONNECTING } from '../../settings/temporal';
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
      evidenceStore: resolve('.keyturn/evidence'),
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

  it('need the public URL where others reach the API', () => {
    const env = { AZURE_TENANT_ID: TENANT, KEYTURN_API_HOST: '0.0.0.0' };
    expect(faultsOf(env)).toEqual([expect.stringMatching(/^KEYTURN_API_PUBLIC_URL is not set.*0\.0\.0\.0/)]);
    const publicUrl = 'https://keyturn.example';
    expect(readApiSettings({ ...env, KEYTURN_API_PUBLIC_URL: publicUrl }).publicUrl).toBe(publicUrl);
    for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', '::1'])
      expect(readApiSettings({ AZURE_TENANT_ID: TENANT, KEYTURN_API_HOST: host }).host).toBe(host);
  });

  it('refuse the namespace that teams share, but on this machine or where it is allowed', () => {
    const env = { AZURE_TENANT_ID: TENANT, TEMPORAL_ADDRESS: 'temporal.example:7233' };
    expect(faultsOf(env)).toEqual([expect.stringMatching(/^TEMPORAL_NAMESPACE is "default"/)]);
    for (const more of [
      { TEMPORAL_ADDRESS: 'localhost:7233' },
      { TEMPORAL_ADDRESS: '127.0.0.1:7233' },
      { TEMPORAL_ADDRESS: '[::1]:7233' },
      { KEYTURN_ALLOW_DEFAULT_NAMESPACE: 'true' },
    ])
      expect(readApiSettings({ ...env, ...more }).temporal.namespace).toBe('default');
    expect(readApiSettings({ ...env, TEMPORAL_NAMESPACE: 'keyturn' }).temporal.namespace).toBe('keyturn');
  });

  it('refuse a tenant that is no id, and say it once', () => {
    expect(faultsOf({ KEYTURN_TENANT_ID: 'contoso.com' })).toEqual([
      'KEYTURN_TENANT_ID must be a tenant id: 8-4-4-4-12 hexadecimal digits, not "contoso.com".',
    ]);
  });
});

describe('the evidence store', () => {
  const store = (value: string) =>
    readApiSettings({ AZURE_TENANT_ID: TENANT, KEYTURN_EVIDENCE_STORE: value }).evidenceStore;

  it('is a folder, or a container of the cloud', () => {
    expect(store('somewhere')).toBe(resolve('somewhere'));
    expect(store('https://ktaudit.blob.core.windows.net/evidence/')).toBe(
      'https://ktaudit.blob.core.windows.net/evidence',
    );
  });

  it.each([
    'https://ktaudit.blob.core.chinacloudapi.cn/evidence',
    'http://ktaudit.blob.core.windows.net/evidence',
    'https://ktaudit.blob.core.windows.net/evidence?sig=x',
    'https://example.org/evidence',
  ])('is not %s', (value) => {
    expect(faultsOf({ AZURE_TENANT_ID: TENANT, KEYTURN_EVIDENCE_STORE: value })).toEqual([
      expect.stringMatching(/^KEYTURN_EVIDENCE_STORE must be a folder, or https:/),
    ]);
  });
});

describe('the settings of tokens', () => {
  const OWN = 'https://id.example/realms/keys/';

  it('are those of Entra by default', () => {
    expect(readApiSettings({ AZURE_TENANT_ID: TENANT }).auth).toEqual({
      issuer: `https://login.microsoftonline.com/${TENANT.toLowerCase()}/v2.0`,
      audience: 'api://keyturn',
      tenantId: TENANT.toLowerCase(),
      jwksUrl: `https://login.microsoftonline.com/${TENANT.toLowerCase()}/discovery/v2.0/keys`,
      keysKeptInMs: 14_400_000,
      algorithm: 'RS256',
      scope: 'access_as_user',
      maximumAgeInSeconds: 43_200,
      approvalClients: undefined,
      claims: { subject: 'oid', roles: 'roles', groups: undefined },
      groupsOf: { 'Kms.Reader': [], 'Kms.Operator': [], 'Kms.Approver': [], 'Kms.BreakGlass': [] },
    });
  });

  it('may name another issuer, exactly as it is written, whatever tenant Azure has', () => {
    const settings = readApiSettings({
      AZURE_TENANT_ID: TENANT,
      KEYTURN_AUTH_ISSUER: OWN,
      KEYTURN_AUTH_ROLES_CLAIM: 'realm_access.roles',
      KEYTURN_AUTH_APPROVER_GROUPS: 'key-owners, on-call ,',
      KEYTURN_APPROVAL_CLIENTS: 'Portal,cli',
    });
    expect(settings.tenantId).toBeUndefined();
    expect(settings.auth).toMatchObject({
      issuer: OWN,
      claims: { subject: 'sub', roles: 'realm_access.roles', groups: 'groups' },
      groupsOf: { 'Kms.Approver': ['key-owners', 'on-call'] },
      approvalClients: ['portal', 'cli'],
    });
    expect([settings.auth.tenantId, settings.auth.jwksUrl]).toEqual([undefined, undefined]);
  });

  it.each([
    ['KEYTURN_AUTH_ISSUER', 'http://id.example', /must be an https URL/],
    ['KEYTURN_AUTH_ISSUER', `https://id.example/${'x'.repeat(100)}`, /100 characters/],
    ['KEYTURN_AUTH_KEYS_URL', 'ftp://id.example', /must be an https URL/],
    ['KEYTURN_AUTH_ALGORITHM', 'HS256', /must be one of RS256/],
    ['KEYTURN_AUTH_ALGORITHM', 'none', /must be one of RS256/],
    ['KEYTURN_AUTH_MAX_AGE_SECONDS', '0', /from 60 to 86400/],
    ['KEYTURN_AUTH_KEYS_KEPT_SECONDS', '86401', /from 600 to 86400/],
    ['KEYTURN_TENANT_ID', TENANT, /KEYTURN_AUTH_ISSUER names another issuer/],
  ])('refuse %s=%s', (name, value, fault) => {
    expect(faultsOf({ KEYTURN_AUTH_ISSUER: OWN, [name]: value })).toEqual([
      expect.stringMatching(new RegExp(`^${name} .*${fault.source}`)),
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

it('a client finds Temporal again within seconds after a long outage: gRPC knows the option, and its default is two minutes', () => {
  expect(RECONNECTING.channelArgs['grpc.max_reconnect_backoff_ms']).toBeLessThanOrEqual(5_000);
  const { recognizedOptions } = jest.requireActual<{ recognizedOptions: object }>(
    '@grpc/grpc-js/build/src/channel-options',
  );
  expect(Object.keys(recognizedOptions)).toEqual(expect.arrayContaining(Object.keys(RECONNECTING.channelArgs)));
});
