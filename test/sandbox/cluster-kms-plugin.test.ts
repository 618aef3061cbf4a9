import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, credentials, status, type ServiceError } from '@grpc/grpc-js';
import { createKmsPlugins } from '../../sandbox/cluster/kms-plugins';
import type { KmsPluginSpec } from '../../sandbox/cluster/kms-providers';
import { startKmsPlugin, type KmsPlugin } from '../../sandbox/cluster/kms-plugin';
import { hashKeyId } from '../../sandbox/cluster/key-id';
import { kmsV1Service } from '../../sandbox/cluster/kms-v1-schema';
import { kmsV2Service } from '../../sandbox/cluster/kms-v2-schema';
import { createMemoryVault, temporaryDirectory, type MemoryVault } from './cluster-support';

let directory: string;
let vault: MemoryVault;
let kid: string;
let plugin: KmsPlugin;
let client: Client;

beforeEach(async () => {
  directory = await temporaryDirectory();
  vault = createMemoryVault();
  kid = vault.addKey();
  const socketPath = join(directory, 'kms.sock');
  plugin = await startKmsPlugin({ version: 'v2', kids: [kid], crypto: vault, socketPath });
  client = new Client(`unix:${socketPath}`, credentials.createInsecure());
});

afterEach(async () => {
  client.close();
  await plugin.stop();
  await rm(directory, { recursive: true, force: true });
});

function call(
  method: 'Status' | 'Version' | 'Encrypt' | 'Decrypt',
  request: object,
  service = kmsV2Service(),
): Promise<Record<string, unknown>> {
  const definition = service[method];
  if (definition === undefined) throw new Error(`no method ${method}`);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      definition.path,
      definition.requestSerialize,
      definition.responseDeserialize,
      request,
      (error: ServiceError | null, response?: object) => (error === null ? resolve({ ...response }) : reject(error)),
    );
  });
}

describe('a KMS v2 plugin', () => {
  test('reports the hash of its kid after a real encrypt and decrypt in the vault', async () => {
    expect(await call('Status', {})).toEqual({ version: 'v2beta1', healthz: 'ok', key_id: hashKeyId(kid) });
    expect(vault.calls(kid)).toBe(2);
  });

  test('gives back what it encrypted', async () => {
    const plaintext = Buffer.from('a data-encryption seed');
    const { ciphertext, key_id, annotations } = await call('Encrypt', { plaintext, uid: '1' });
    expect(key_id).toBe(hashKeyId(kid));
    expect(annotations).toEqual({});
    expect(await call('Decrypt', { ciphertext, key_id, uid: '2' })).toEqual({ plaintext });
  });

  test('refuses to decrypt for another key id without asking the vault', async () => {
    const { ciphertext } = await call('Encrypt', { plaintext: Buffer.from('x'), uid: '1' });
    const other = hashKeyId(vault.addKey());
    await expect(call('Decrypt', { ciphertext, key_id: other, uid: '2' })).rejects.toThrow(`not ${other}`);
    expect(vault.calls(kid)).toBe(1);
  });

  test('passes on what the vault says, and remembers it until a call succeeds', async () => {
    vault.refuse(kid, 'Forbidden: expired');
    await expect(call('Status', {})).rejects.toMatchObject({ code: status.UNKNOWN, details: 'Forbidden: expired' });
    expect(plugin.failure()).toBe('Forbidden: expired');
    vault.refuse(kid, undefined);
    await call('Status', {});
    expect(plugin.failure()).toBeUndefined();
  });

  test('refuses a socket path that would not fit everywhere', async () => {
    const socketPath = join(directory, 'x'.repeat(100));
    await expect(startKmsPlugin({ version: 'v2', kids: [kid], crypto: vault, socketPath })).rejects.toThrow(
      'shorter path',
    );
  });
});

describe('a KMS v1 plugin', () => {
  let previous: string;
  const callV1 = (method: 'Version' | 'Encrypt' | 'Decrypt', request: object) => call(method, request, kmsV1Service());
  const serve = async (...kids: string[]): Promise<void> => {
    client.close();
    await plugin.stop();
    const socketPath = join(directory, 'kms.sock');
    plugin = await startKmsPlugin({ version: 'v1', kids, crypto: vault, socketPath });
    client = new Client(`unix:${socketPath}`, credentials.createInsecure());
  };

  beforeEach(() => {
    previous = vault.addKey();
  });

  test('speaks v1beta1, the only version that an API server takes', async () => {
    await serve(kid);
    expect(await callV1('Version', { version: 'v1beta1' })).toMatchObject({ version: 'v1beta1' });
    expect(vault.calls(kid)).toBe(0);
  });

  test('marks what it encrypts with the hash of its first key', async () => {
    await serve(kid, previous);
    const plain = Buffer.from('a data-encryption key');
    const { cipher } = (await callV1('Encrypt', { version: 'v1beta1', plain })) as { cipher: Buffer };
    expect(cipher.subarray(0, 32).toString('hex')).toBe(hashKeyId(kid));
    expect(await callV1('Decrypt', { version: 'v1beta1', cipher })).toEqual({ plain });
    expect([vault.calls(kid), vault.calls(previous)]).toEqual([2, 0]);
  });

  test('decrypts with the key that the mark names, also when another one is first', async () => {
    await serve(previous);
    const plain = Buffer.from('from before the rotation');
    const { cipher } = await callV1('Encrypt', { plain });
    await serve(kid, previous);
    expect(await callV1('Decrypt', { cipher })).toEqual({ plain });
    await serve(kid);
    await expect(callV1('Decrypt', { cipher })).rejects.toThrow(`not ${hashKeyId(previous)}`);
    expect(vault.calls(kid)).toBe(0);
  });

  test('is the only one that may have two keys', async () => {
    const socketPath = join(directory, 'two.sock');
    await expect(startKmsPlugin({ version: 'v2', kids: [kid, previous], crypto: vault, socketPath })).rejects.toThrow(
      'A KMS v2 plugin serves one key, but 2 were given.',
    );
  });
});

describe('the plugins of a cluster', () => {
  const pluginOf = (key: string): KmsPluginSpec => ({ version: 'v2', kids: [key] });

  test('keep running when another one fails, which is stopped again', async () => {
    const plugins = createKmsPlugins(directory, vault);
    const next = vault.addKey();
    await plugins.start([pluginOf(kid)]);
    vault.refuse(next, 'Forbidden: no permission');
    await expect(plugins.start([pluginOf(next), pluginOf(kid)])).rejects.toThrow(
      `${next} (3 attempts): Forbidden: no permission`,
    );
    const socketOf = (key: string): string => plugins.endpointOf(pluginOf(key)).replace('unix://', '');
    expect([kid, next].map((key) => existsSync(socketOf(key)))).toEqual([true, false]);
    await plugins.retain([]);
    expect(existsSync(socketOf(kid))).toBe(false);
  });

  test('try again when the vault fails once', async () => {
    const plugins = createKmsPlugins(directory, vault);
    vault.refuse(kid, 'Throttled');
    const started = plugins.start([pluginOf(kid)]);
    setTimeout(() => vault.refuse(kid, undefined), 100);
    await started;
    expect(plugins.failures()).toEqual([]);
    await plugins.retain([]);
  });

  test('tell which of them last failed, and why', async () => {
    const plugins = createKmsPlugins(directory, vault);
    await plugins.start([pluginOf(kid)]);
    vault.refuse(kid, 'Forbidden: disabled');
    await expect(plugins.start([pluginOf(kid)])).rejects.toThrow('Forbidden: disabled');
    expect(plugins.failures()).toEqual([`KMS plugin of ${kid}: Forbidden: disabled`]);
    await plugins.retain([]);
  });
});
