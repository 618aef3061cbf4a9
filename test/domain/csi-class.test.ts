/** A SecretProviderClass says what was asked for, and one that a person wrote is understood as the provider understands it. */
import { csiCloudName } from '../../domain/csi/cloud-name';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CsiObject, sharedFiles } from '../../domain/csi/objects';
import {
  classDifferences,
  classParameters,
  readClass,
  type ClassContent,
} from '../../domain/csi/secret-provider-class';

const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
const object: fc.Arbitrary<CsiObject> = fc
  .record({
    // `123`, `true`, `null`: names that YAML would take for something else.
    objectName: fc.oneof(
      fc.constantFrom('123', 'true', 'null', '0x1f', '1e3', 'no'),
      fc.stringMatching(/^[0-9a-zA-Z-]{1,127}$/),
    ),
    objectType: fc.constantFrom('secret' as const, 'key' as const, 'cert' as const),
    objectAlias: optional(fc.string({ minLength: 1, maxLength: 200 })),
    objectVersion: optional(fc.stringMatching(/^[0-9a-f]{32}$/)),
    objectVersionHistory: optional(fc.integer({ min: 0, max: 100 })),
    objectFormat: optional(fc.constantFrom('pem' as const, 'pfx' as const)),
    objectEncoding: optional(fc.constantFrom('utf-8' as const, 'hex' as const, 'base64' as const)),
    filePermission: optional(fc.stringMatching(/^0?[0-7]{3}$/)),
  })
  .map((one) => Object.fromEntries(Object.entries(one).filter(([, value]) => value !== undefined)) as CsiObject)
  .filter((one) => CsiObject.safeParse(one).success);
const content: fc.Arbitrary<ClassContent> = fc.record({
  vaultName: fc.stringMatching(/^[a-z][a-z0-9-]{2,23}$/),
  tenantId: fc.uuid(),
  cloudName: fc.constantFrom('AzurePublicCloud', 'AzureChinaCloud', 'AzureUSGovernmentCloud'),
  identity: fc.oneof(
    fc.record({ mode: fc.constant('workload-identity' as const), clientId: fc.uuid() }),
    fc.record({ mode: fc.constant('managed-identity' as const), clientId: fc.uuid() }),
    fc.constant({ mode: 'managed-identity' as const }),
  ),
  objects: fc.array(object, { minLength: 1, maxLength: 5 }),
});

/** As in the AKS documents, in Chinese too: `tenantId`, which is deprecated, and empty members. */
const DOCUMENTED = {
  usePodIdentity: 'false',
  useVMManagedIdentity: 'true',
  userAssignedIdentityID: 'client-1',
  keyvaultName: 'kv-app',
  cloudName: '',
  objects: `array:
  - |
    objectName: secret1
    objectType: secret              # object types: secret, key, or cert
    objectVersion: ""               # [OPTIONAL] object versions, default to latest if empty
  - |
    objectName: key1
    objectType: key
    objectVersion: ""
`,
  tenantId: 'tenant-1',
};
const read = (change: Record<string, string | undefined> = {}): ReturnType<typeof readClass> =>
  readClass({
    provider: 'azure',
    parameters: Object.fromEntries(
      Object.entries({ ...DOCUMENTED, ...change }).filter(([, value]) => value !== undefined),
    ),
  });

describe('a SecretProviderClass', () => {
  it('that Keyturn writes says what was asked for', () => {
    fc.assert(
      fc.property(content, (wanted) => {
        const parameters = classParameters(wanted);
        expect(Object.values(parameters).every((value) => typeof value === 'string')).toBe(true);
        const found = readClass({ provider: 'azure', parameters });
        expect(found).toEqual({ ok: true, content: wanted });
        expect(found.ok && classDifferences(found.content, wanted)).toEqual([]);
      }),
    );
  });

  it('of the AKS documents is understood: the public cloud, the newest versions', () => {
    const expected: ClassContent = {
      vaultName: 'kv-app',
      tenantId: 'tenant-1',
      cloudName: 'AzurePublicCloud',
      identity: { mode: 'managed-identity', clientId: 'client-1' },
      objects: [
        { objectName: 'secret1', objectType: 'secret' },
        { objectName: 'key1', objectType: 'key' },
      ],
    };
    expect(read()).toEqual({ ok: true, content: expected });
    expect(read({ tenantId: undefined, tenantID: 'tenant-2' })).toMatchObject({ content: { tenantId: 'tenant-2' } });
    const byAccount = { useVMManagedIdentity: undefined, userAssignedIdentityID: undefined, clientID: 'client-2' };
    expect(read(byAccount)).toMatchObject({
      content: { identity: { mode: 'workload-identity', clientId: 'client-2' } },
    });
  });

  it.each([
    [{ keyvaultName: undefined }, /keyvaultName is not provided/],
    [{ tenantId: undefined }, /tenantID is not provided/],
    [{ objects: '' }, /objects is not set/],
    [{ objects: 'array: secret1' }, /not YAML with a list/],
    [{ objects: 'array: []' }, /no item/],
    [{ objects: 'array:\n  - objectName: secret1\n' }, /not YAML with a list/],
    [{ objects: 'array:\n  - |\n    objectName: a\n    objectType: password\n' }, /Item 1 .*objectType/],
    [{ usePodIdentity: 'true' }, /only one identity mode/],
    [{ usePodIdentity: 'true', useVMManagedIdentity: 'false' }, /pod-managed identity is gone/],
    [{ useVMManagedIdentity: 'false' }, /clientID is not provided/],
  ])('that the provider would refuse says why: %j', (change, why) => {
    const found = read(change);
    expect(found.ok ? '' : found.problems.join()).toMatch(why);
  });

  it('of another provider is none', () => {
    const found = readClass({ provider: 'vault', parameters: {} });
    expect(found).toEqual({ ok: false, problems: [expect.stringMatching(/`vault`/)] });
  });

  it('is compared by meaning: blanks, case and defaults do not matter', () => {
    const found = read();
    if (!found.ok) throw new Error(found.problems.join());
    const same: ClassContent = {
      ...found.content,
      vaultName: 'KV-APP',
      objects: found.content.objects.map((one) => ({
        ...one,
        objectFormat: 'pem',
        filePermission: '0644',
        objectVersionHistory: 1,
      })),
    };
    expect(classDifferences(same, found.content)).toEqual([]);
    const [first, ...rest] = found.content.objects;
    const others: [Partial<ClassContent>, RegExp][] = [
      [{ vaultName: 'kv-other' }, /vault is kv-other/],
      [{ tenantId: 'tenant-9' }, /tenant/],
      [{ cloudName: 'AzureChinaCloud' }, /cloud/],
      [{ identity: { mode: 'workload-identity', clientId: 'client-1' } }, /access mode/],
      [{ identity: { mode: 'managed-identity' } }, /client id is empty/],
      [{ objects: rest }, /objects are others/],
      [{ objects: [{ objectName: 'secret1', objectType: 'key' }, ...rest] }, /objects are others/],
    ];
    expect(first).toBeDefined();
    for (const [change, why] of others) {
      expect(classDifferences({ ...found.content, ...change }, found.content).join()).toMatch(why);
    }
  });

  it('names clouds as go-autorest does, and files that two objects share are seen', () => {
    expect(
      (['AzureCloud', 'AzureChinaCloud', 'AzureUSGovernment'] as const).map((name) => csiCloudName({ name })),
    ).toEqual(['AzurePublicCloud', 'AzureChinaCloud', 'AzureUSGovernmentCloud']);
    const shared = sharedFiles([
      { objectName: 'a', objectType: 'secret' },
      { objectName: 'b', objectType: 'key', objectAlias: 'a' },
    ]);
    expect(shared).toEqual(['a']);
  });
});
