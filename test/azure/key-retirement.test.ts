/** Versions that are disabled, keys that are soft-deleted: one write each, and each can be taken back. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { VaultError } from '../../azure/errors';
import { AzureRig, keyOf, VAULT } from './support';

describe('keys that no cluster needs', () => {
  let rig: AzureRig;
  beforeAll(async () => {
    rig = await AzureRig.start();
  });
  afterAll(() => rig.stop());

  const make = async (name: string, options: object = {}): Promise<string> =>
    String((await rig.azure.keys(VAULT).createRsaKey(name, options)).id);
  const bundle = async (kid: string): Promise<Record<string, unknown>> => {
    const { name, version } = keyOf(kid);
    return (await rig.azure.vault('GET', VAULT, `/keys/${name}/${version}`)).body;
  };
  const withoutUpdated = (body: Record<string, unknown>): unknown => {
    const attributes = { ...(body['attributes'] as object), updated: 0 };
    return { ...body, attributes };
  };
  const writes = (method: string, part: string): number =>
    rig.azure.sandbox.journal
      .entries()
      .filter(({ method: m, path, status }) => m === method && path.includes(part) && status !== 401).length;

  it('are disabled and enabled, one version at a time, and nothing else of them changes', async () => {
    const name = 'one-of-three';
    const expiresOn = new Date('2031-02-03T04:05:06Z');
    const [first, second, third] = [
      await make(name),
      await make(name, { expiresOn, tags: { owner: 'team' }, keyOps: ['encrypt', 'decrypt'] }),
      await make(name),
    ] as const;
    const before = await Promise.all([first, second, third].map(bundle));
    expect(await rig.access.keys.setEnabled(second, false)).toEqual({ enabled: false, updatedOn: expect.any(Date) });
    expect(await rig.access.keys.setEnabled(second, false)).toEqual({ enabled: false, updatedOn: expect.any(Date) });
    const off = await bundle(second);
    expect(off).toMatchObject({ attributes: { enabled: false }, tags: { owner: 'team' } });
    expect(await Promise.all([first, third].map(bundle))).toEqual([before[0], before[2]]);

    // The vault dates versions in whole seconds: which of one second comes first is not said.
    const listed = await rig.access.keys.listVersions(third);
    expect(listed.sort((a, b) => (a.keyId < b.keyId ? -1 : 1))).toEqual(
      [first, second, third].sort().map((keyId) =>
        expect.objectContaining({
          keyId,
          enabled: keyId !== second,
          createdOn: expect.any(Date),
          expiresOn: keyId === second ? expiresOn : undefined,
          recoveryLevel: 'Recoverable',
        }),
      ),
    );
    expect(await rig.access.keys.setEnabled(second, true)).toEqual({ enabled: true, updatedOn: expect.any(Date) });
    expect(withoutUpdated(await bundle(second))).toEqual(withoutUpdated(before[1] ?? {}));
  });

  it('are deleted with all their versions, however often that is asked for, and can be recovered', async () => {
    const { keys } = rig.access;
    const kid = await make('to-delete');
    await make('to-delete');
    expect(await keys.deletedKey(kid)).toBeUndefined();
    const deleted = await keys.deleteKey(kid);
    expect(deleted).toEqual({
      recoveryId: `https://${VAULT}.vault.azure.net/deletedkeys/to-delete`,
      deletedOn: expect.any(Date),
      scheduledPurgeOn: expect.any(Date),
      recoveryLevel: 'Recoverable',
    });
    expect(Number(deleted.scheduledPurgeOn) - Number(deleted.deletedOn)).toBe(90 * 86_400_000);
    expect(await keys.deleteKey(kid)).toEqual(deleted);
    expect(await keys.deletedKey(kid)).toEqual(deleted);
    expect(await keys.lookUp(kid)).toMatchObject({ found: false });

    await (await rig.azure.keys(VAULT).beginRecoverDeletedKey('to-delete', { intervalInMs: 5 })).pollUntilDone();
    expect(await keys.listVersions(kid)).toHaveLength(2);
    expect(await keys.deletedKey(kid)).toBeUndefined();
  });

  it('are deleted once when the answer is lost', async () => {
    const kid = await make('lost');
    rig.azure.sandbox.faults.set('lost-response', { method: 'DELETE', path: '/keys/lost' });
    await expect(rig.access.keys.deleteKey(kid)).rejects.toMatchObject({ name: 'VaultError', retryable: true });
    const again = await rig.access.keys.deleteKey(kid);
    expect(again).toMatchObject({ recoveryId: expect.stringContaining('/deletedkeys/lost') });
    expect(writes('DELETE', '/deletedkeys/')).toBe(0);
  });

  it('are awaited until the vault shows them as deleted, unless the caller aborts', async () => {
    const kid = await make('slow');
    rig.azure.sandbox.faults.set('slow-deletion', { looks: 3 });
    const deleted = await rig.access.keys.deleteKey(kid, { pollInMs: 1 });
    expect(deleted).toMatchObject({ recoveryId: expect.stringContaining('/deletedkeys/slow') });

    const other = await make('slower');
    rig.azure.sandbox.faults.set('slow-deletion', { looks: 1_000_000 });
    const reason = new Error('changed my mind');
    const abort = new AbortController();
    const waiting = rig.access.keys.deleteKey(other, { pollInMs: 60_000, abortSignal: abort.signal });
    while ((await rig.access.keys.lookUp(other)).found) await new Promise(setImmediate);
    abort.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    // The next try finds a key that is being deleted, and goes on waiting.
    rig.azure.sandbox.faults.clear('slow-deletion');
    await expect(rig.access.keys.deleteKey(other, { pollInMs: 0 })).rejects.toMatchObject({
      code: 'DeletionNotShown',
      retryable: true,
    });
  });

  it('are not made without an expiry where a policy demands one, and the refusal says so', async () => {
    const mark = { operationId: 'op-policy', nonce: randomUUID() };
    rig.azure.sandbox.faults.set('require-expiry', { path: VAULT });
    await expect(rig.access.keys.createLike(rig.key, mark)).rejects.toMatchObject({
      status: 403,
      retryable: false,
      message: expect.stringContaining('should have an expiration date'),
    });
    const made = await rig.access.keys.createLike(rig.key, mark, { expiresOn: new Date('2032-01-02T03:04:05Z') });
    expect(await rig.access.keys.lookUp(made)).toMatchObject({ found: true });
    rig.azure.sandbox.faults.clear('require-expiry');
  });

  it('that never were are not called deleted', async () => {
    const kid = `https://${VAULT}.vault.azure.net/keys/never-was/${'0'.repeat(32)}`;
    const { keys } = rig.access;
    await expect(keys.deleteKey(kid, { pollInMs: 1 })).rejects.toMatchObject({
      status: 404,
      code: 'KeyNotFound',
      retryable: false,
    });
    await expect(keys.setEnabled(kid, false)).rejects.toBeInstanceOf(VaultError);
    await expect(keys.listVersions(kid)).rejects.toMatchObject({ status: 404 });
  });

  it('are neither disabled nor deleted without a version, nor after an abort', async () => {
    const { keys } = rig.access;
    const versionless = rig.key.slice(0, -33);
    await expect(keys.setEnabled(versionless, false)).rejects.toThrow('has no version');
    await expect(keys.deleteKey(versionless)).rejects.toThrow('has no version');
    const reason = new Error('changed my mind');
    await expect(keys.deleteKey(rig.key, { abortSignal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(await keys.lookUp(rig.key)).toMatchObject({ found: true, key: { enabled: true } });
  });

  it('have successors that expire when they are told to, and never when they are not', async () => {
    const mark = () => ({ operationId: 'op-expiry', nonce: randomUUID() });
    const expiresOn = new Date('2032-01-02T03:04:05Z');
    const limited = await rig.access.keys.createLike(rig.key, mark(), { expiresOn });
    const free = await rig.access.keys.createLike(rig.key, mark());
    const lookUp = async (kid: string): Promise<unknown> => {
      const found = await rig.access.keys.lookUp(kid);
      return found.found && found.key.expiresOn;
    };
    expect([await lookUp(limited), await lookUp(free)]).toEqual([expiresOn.toISOString(), undefined]);
  });
});
