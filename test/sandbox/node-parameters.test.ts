/** What the provider says about the parameters of a SecretProviderClass. Pure. */
import { describe, expect, it } from '@jest/globals';
import { decoded } from '../../sandbox/cluster/node/content';
import { readParameters } from '../../sandbox/cluster/node/parameters';
import { goDurationInMs } from '../../sandbox/node-sides';

const TOKENS = { 'api://AzureADTokenExchange': 'a token' };
const OBJECTS = 'array:\n  - |\n    objectName: secret1\n    objectType: secret\n';
const VM = {
  useVMManagedIdentity: 'true',
  userAssignedIdentityID: 'client-1',
  keyvaultName: 'kv1',
  tenantId: 'tenant-1',
  objects: OBJECTS,
};
const object = (lines: string): Record<string, string> => ({ ...VM, objects: `array:\n  - |\n    ${lines}` });

describe('the poll interval of the add-on', () => {
  it.each([
    ['2m', 120_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1_500],
    ['500ms', 500],
  ])('%s is %d ms', (duration, expected) => {
    expect(goDurationInMs(duration)).toBe(expected);
  });
});

describe('the parameters of a SecretProviderClass', () => {
  it('name a vault of the cloud, and default to the public one', () => {
    expect(readParameters(VM, TOKENS)).toMatchObject({
      vaultUrl: 'https://kv1.vault.azure.net',
      tenantId: 'tenant-1',
      identity: { kind: 'vm', clientId: 'client-1' },
      objects: [{ objectName: 'secret1', objectType: 'secret', objectVersion: '', objectVersionHistory: 0 }],
    });
    const china = readParameters({ ...VM, cloudName: 'azurechinacloud' }, TOKENS);
    expect(china?.vaultUrl).toBe('https://kv1.vault.azure.cn');
    expect(readParameters({ ...VM, objects: 'array: []' }, TOKENS)).toBeUndefined();
  });

  it('make workload identity of a client id, and need a token for it', () => {
    const workload = { ...VM, useVMManagedIdentity: 'false', clientID: 'client-2' };
    expect(readParameters(workload, TOKENS)?.identity).toEqual({
      kind: 'workload',
      clientId: 'client-2',
      assertion: 'a token',
    });
    expect(() => readParameters(workload, {})).toThrow(
      'failed to build auth config for mode None: failed to parse workload identity tokens, error: service account tokens not found',
    );
  });

  it.each([
    [{ usePodIdentity: 'yes' }, /^failed to parse usePodIdentity flag, error: strconv.ParseBool: parsing "yes"/],
    [{ usePodIdentity: 'true', keyvaultName: '' }, /^only one identity mode can be enabled at a time: usePodIdentity,/],
    [{ keyvaultName: ' ' }, /^keyvaultName is not provided$/],
    [{ tenantId: '' }, /^tenantId is not provided$/],
    [
      { cloudName: 'AzureCloud' },
      /^cloudName AzureCloud is not valid, error: autorest\/azure: There is no cloud .*"AZURECLOUD"$/,
    ],
    [
      { useVMManagedIdentity: '' },
      /^failed to build auth config for mode None: failed to get credentials, nodePublish/,
    ],
    [{ objects: '' }, /^objects is not set$/],
    [{ objects: 'array: [' }, /^failed to yaml unmarshal objects, error: yaml: /],
    [{ keyvaultName: 'kv' }, /^failed to get vault: Invalid vault name: "kv", must be between 3 and 24 chars$/],
  ])('%j are refused in the words of the provider', (change, message) => {
    expect(() => readParameters({ ...VM, ...change }, TOKENS)).toThrow(message);
  });

  it.each([
    ['{objectName: a, objectType: cert, objectFormat: pfx}', 'PFX format only supported for objectType: secret'],
    ['{objectName: a, objectType: key, objectEncoding: hex}', 'objectEncoding only supported for objectType: secret'],
    [
      '{objectName: a, objectType: secret, objectEncoding: x}',
      'invalid objectEncoding: x, should be hex, base64 or utf-8',
    ],
    ['{objectName: a, objectType: secret, objectFormat: x}', 'invalid objectFormat: x, should be PEM or PFX'],
    ['{objectName: a, objectType: secret, objectAlias: ../a}', "file name must not contain '..'"],
  ])('an object %s is refused with its name', (lines, message) => {
    expect(() => readParameters(object(lines), TOKENS)).toThrow(
      new RegExp(`^failed to get objectType:\\w+, objectName:a, objectVersion:: ${message.replaceAll('.', '\\.')}$`),
    );
  });

  it('decode what is encoded, and say where it is not', () => {
    expect(decoded('aGk=', 'base64').toString()).toBe('hi');
    expect(decoded('6869', 'HEX').toString()).toBe('hi');
    expect(() => decoded('a!bc', 'base64')).toThrow('illegal base64 data at input byte 1');
    expect(() => decoded('6g', 'hex')).toThrow("encoding/hex: invalid byte: U+0067 'g'");
  });
});
