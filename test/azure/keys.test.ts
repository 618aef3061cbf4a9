import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { RestError, type HttpClient } from '@azure/core-rest-pipeline';
import { createKey } from '../../activities/provision/key';
import { createKeyVersion, type NewVersion } from '../../activities/vault';
import { observeAzure } from '../../activities/observe-azure';
import { createAzureAccess } from '../../azure/access';
import { createHttpClient } from '../../azure/http-client';
import { NONCE_TAG, OPERATION_TAG } from '../../azure/keys';
import { ruleFaults } from '../../domain/planner';
import type { OperationRequest } from '../../domain/request';
import { GROUP } from '../sandbox/azure-support';
import { AzureRig, keyOf, PUBLIC_CLOUD, VAULT } from './support';

const never = new AbortController().signal;

describe('keys in a vault', () => {
  let rig: AzureRig;
  beforeAll(async () => {
    rig = await AzureRig.start();
  });
  afterAll(() => rig.stop());

  const creates = (): number =>
    rig.azure.sandbox.journal
      .entries()
      // A new client asks once without a token, to learn whom to ask for one.
      .filter(({ method, path, status }) => method === 'POST' && path.endsWith('/create') && status !== 401).length;
  const newVersion = (operationId: string): NewVersion => ({
    operationId,
    expiry: null,
    basedOn: rig.key,
    nonce: randomUUID(),
    since: new Date().toISOString(),
  });
  const request = (parameters: OperationRequest['parameters'], cluster = rig.cluster): OperationRequest => ({
    kind: 'rotate-key',
    cluster,
    parameters,
    change: { number: 'CHG1' },
    whenBusy: 'refuse',
  });

  it('are looked up with what the rules need', async () => {
    const expiresOn = new Date('2031-02-03T04:05:06Z');
    const made = await rig.azure.keys(VAULT).createRsaKey('other', { enabled: false, expiresOn, keyOps: ['encrypt'] });
    expect(await rig.access.keys.lookUp(String(made.id))).toEqual({
      found: true,
      key: {
        keyId: made.id,
        createdOn: expect.any(String),
        keyType: 'RSA',
        keySizeInBits: 2048,
        operations: ['encrypt'],
        enabled: false,
        notBefore: undefined,
        expiresOn: '2031-02-03T04:05:06.000Z',
      },
    });
  });

  it('that are not there are answers: no version, no vault, no right', async () => {
    const { keys } = rig.access;
    const missing = `${rig.key.slice(0, -32)}${'0'.repeat(32)}`;
    expect(await keys.lookUp(missing)).toMatchObject({
      found: false,
      keyId: missing,
      why: expect.stringContaining('has no key'),
    });
    const stranger = rig.azure.sandbox.registerApplication('stranger');
    process.env.AZURE_CLIENT_ID = stranger.clientId;
    process.env.AZURE_CLIENT_SECRET = stranger.clientSecret;
    const { keys: strangersKeys } = createAzureAccess(rig.access.cloud);
    process.env.AZURE_CLIENT_ID = rig.azure.sandbox.clientId;
    process.env.AZURE_CLIENT_SECRET = rig.azure.sandbox.clientSecret;
    expect(await strangersKeys.lookUp(rig.key)).toMatchObject({
      found: false,
      why: expect.stringContaining('ForbiddenByRbac'),
    });
    expect(await keys.lookUp('https://kv9.vault.azure.cn/keys/k/95a76f34842c4fcf9e2cc929e38359c0')).toMatchObject({
      found: false,
      why: expect.stringContaining('AzureChinaCloud'),
    });
  });

  it('get one version for one operation, like the current one, however often it is asked for', async () => {
    const before = creates();
    const input = newVersion('op-abc');
    const first = await createKeyVersion(rig.access.keys, input, never);
    const second = await createKeyVersion(rig.access.keys, input, never);
    expect(first).toMatchObject({ created: true });
    expect(second).toEqual({ keyId: first.keyId, created: false });
    expect(creates()).toBe(before + 1);

    const { name, version } = keyOf(first.keyId);
    const made = await rig.azure.keys(VAULT).getKey(name, { version });
    const model = await rig.azure.keys(VAULT).getKey(name, { version: keyOf(rig.key).version });
    expect(made.properties.tags).toEqual({ [OPERATION_TAG]: 'op-abc', [NONCE_TAG]: input.nonce });
    expect(made.key?.n?.length).toBe(3072 / 8);
    expect([made.keyType, made.keyOperations]).toEqual([model.keyType, model.keyOperations]);

    const other = await createKeyVersion(rig.access.keys, newVersion('op-def'), never);
    expect(other.keyId).not.toBe(first.keyId);
  });

  it('of an earlier operation with the same id are not taken for those of this one', async () => {
    const earlier = await createKeyVersion(rig.access.keys, newVersion('op-again'), never);
    const later = await createKeyVersion(rig.access.keys, newVersion('op-again'), never);
    expect(later).toMatchObject({ created: true });
    expect(later.keyId).not.toBe(earlier.keyId);
  });

  it('that carry the tags and are older than the step, or not like the model, are a matter for a person', async () => {
    const planted = async (input: NewVersion, options: object): Promise<void> => {
      const tags = { [OPERATION_TAG]: input.operationId, [NONCE_TAG]: input.nonce };
      await rig.azure.keys(VAULT).createRsaKey('etcd', { keySize: 3072, tags, ...options });
    };
    const before = creates();
    const late = { ...newVersion('op-late'), since: new Date(Date.now() + 3_600_000).toISOString() };
    await planted(late, {});
    const smaller = newVersion('op-small');
    await planted(smaller, { keySize: 2048 });
    const weaker = newVersion('op-weak');
    await planted(weaker, { keyOps: ['encrypt', 'decrypt'] });
    const off = newVersion('op-off');
    await planted(off, { enabled: false });
    for (const [input, why] of [
      [late, 'this step began at'],
      [smaller, 'size: 2048 instead of 3072'],
      [weaker, 'permitted operations: decrypt, encrypt instead of'],
      [off, 'enabled: false instead of true'],
    ] as const) {
      await expect(createKeyVersion(rig.access.keys, input, never)).rejects.toMatchObject({
        type: 'KeyNotAsApproved',
        nonRetryable: true,
        message: expect.stringContaining(why),
      });
    }
    expect(creates()).toBe(before + 4);
  });

  it('come back as the vault spells them, whatever the spelling that was asked for', async () => {
    const { name } = keyOf(rig.key);
    const shouted = rig.key.replace(`/keys/${name}/`, `/keys/${name.toUpperCase()}/`);
    expect(await rig.access.keys.lookUp(shouted)).toMatchObject({ found: true, key: { keyId: rig.key } });
    const facts = await observeAzure(rig.access, request({ keyId: shouted }));
    expect(ruleFaults(request({ keyId: shouted }), facts).map(({ code }) => code)).toEqual(['KeyAlreadyCurrent']);
  });

  it('are agreed on when two tries make a version at the same moment', async () => {
    const input = newVersion('op-twice');
    const tries = await Promise.all([1, 2, 3].map(() => createKeyVersion(rig.access.keys, input, never)));
    const later = await createKeyVersion(rig.access.keys, input, never);
    expect(tries.map(({ keyId }) => keyId)).toContain(later.keyId);
    expect(later.created).toBe(false);
  });

  it('are observed together with the cluster: the current one always, the requested one in the same vault', async () => {
    const requested = await rig.newKey();
    expect(await observeAzure(rig.access, request({ keyId: requested }))).toMatchObject({
      cluster: { found: true, cluster: { kms: { keyId: rig.key } } },
      currentKey: { found: true, key: { keyId: rig.key } },
      requestedKey: { found: true, key: { keyId: requested } },
    });
    expect(await observeAzure(rig.access, request({}))).not.toHaveProperty('requestedKey');
    expect(await observeAzure(rig.access, request({}, `${rig.cluster}x`))).toMatchObject({ cluster: { found: false } });
  });

  it('are seen and made through ARM, once, where the name of the vault does not resolve', async () => {
    const http = createHttpClient();
    const unresolved: HttpClient = {
      sendRequest: (one) =>
        new URL(one.url).hostname.endsWith('.vault.azure.net')
          ? Promise.reject(new RestError('getaddrinfo ENOTFOUND', { code: 'ENOTFOUND' }))
          : http.sendRequest(one),
    };
    const access = createAzureAccess(PUBLIC_CLOUD, unresolved);
    const { subscriptionId } = rig.azure.sandbox;
    expect(await access.keys.lookUp(rig.key)).toMatchObject({ found: false, missing: 'vault' });
    expect(await access.keys.lookUpAnywhere(rig.key, { subscriptionId })).toMatchObject({
      found: true,
      key: { keyId: rig.key, keySizeInBits: 3072, seenThrough: 'arm' },
    });
    const step = {
      vaultId: `/subscriptions/${subscriptionId}/resourceGroups/${GROUP}/providers/Microsoft.KeyVault/vaults/${VAULT}`,
      permissionModel: 'rbac' as const,
      keyName: 'through-arm',
      keyType: 'RSA' as const,
      sizeInBits: 2048,
      expiry: { at: '2031-02-03T04:05:06Z' },
      exists: null,
    };
    const mark = { operationId: 'op-arm', nonce: randomUUID() };
    const first = await createKey(access, step, mark, never);
    expect(first).toMatchObject({ created: true, through: 'arm' });
    expect(await createKey(access, step, mark, never)).toEqual(first);
    const others = createKey(access, step, { ...mark, nonce: randomUUID() }, never);
    await expect(others).rejects.toMatchObject({ type: 'KeyNotAsApproved', nonRetryable: true });
    // The same try, where the vault answers, finds it by the same tags.
    expect(await createKey(rig.access, step, mark, never)).toEqual({ keyId: first.keyId, created: true });
    expect(await rig.access.keys.lookUp(first.keyId)).toMatchObject({
      key: { operations: ['encrypt', 'decrypt'], expiresOn: '2031-02-03T04:05:06.000Z' },
    });
  });

  it('of another vault are not asked for', async () => {
    const keyId = 'https://kv-stranger.vault.azure.net/keys/k/95a76f34842c4fcf9e2cc929e38359c0';
    const { requestedKey } = await observeAzure(rig.access, request({ keyId }));
    expect(requestedKey).toEqual({ found: false, keyId, why: 'not looked up: another vault' });
  });
});
