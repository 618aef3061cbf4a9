import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { refuseUsedOperationId, sealEvidence } from '../../activities/evidence';
import { folderStore } from '../../evidence/folder-store';
import { openSigningKey, publicKeyFile, type SigningKey } from '../../evidence/key';
import { verifyEvidence } from '../../evidence/verify';
import { refusedRecord as record } from '../support/evidence-record';

describe('evidence', () => {
  let directory: string;
  let key: SigningKey;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'kt-evidence-'));
    key = await openSigningKey(join(directory, 'keys', 'evidence.pem'), { create: true });
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));
  const seal = () => sealEvidence(record(), { store: folderStore(join(directory, 'out')), key });

  it('verifies as it was sealed, with and without the published key', async () => {
    const { file, digest, signingKeyId } = await seal();
    const bytes = await readFile(file);
    expect(file).toBe(join(directory, 'out', 'op-1a2b3c.json'));
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(verifyEvidence(bytes)).toMatchObject({
      ok: true,
      keyId: signingKeyId,
      record: { operation: { id: 'op-1a2b3c' } },
    });
    expect(verifyEvidence(bytes, { publicKeyPem: key.publicKeyPem })).toMatchObject({ ok: true });
    expect(await readdir(join(directory, 'out'))).toEqual(['op-1a2b3c.json']);
  });

  it('fails for every single changed byte, whatever it is changed to', async () => {
    const bytes = await readFile((await seal()).file);
    const survivors: string[] = [];
    for (let index = 0; index < bytes.length; index++) {
      const original = bytes[index] ?? 0;
      // A bit of a letter's case, the lowest bit, another kind of byte, and white space.
      for (const changed of [original ^ 0x20, original ^ 1, original ^ 0x80, 0x20]) {
        if (changed === original) continue;
        bytes[index] = changed;
        if (verifyEvidence(bytes).ok) survivors.push(`${index}: ${original} to ${changed}`);
      }
      bytes[index] = original;
    }
    expect(survivors).toEqual([]);
  });

  it('fails for bytes that are added, removed or formatted anew', async () => {
    const text = await readFile((await seal()).file, 'utf8');
    const variants = [
      `${text}\n`,
      text.slice(0, -1),
      ` ${text}`,
      `\uFEFF${text}`,
      JSON.stringify(JSON.parse(text)),
      text.replace('"record": {', '"record": {\n    "more": 1,'),
      text.replace('"status": "Failed"', '"status": "Succeeded",\n      "status": "Failed"'),
      text.replace('"signature": {', '"signature": {\n    "more": 1,'),
      '',
      'null',
    ];
    for (const variant of variants) expect(verifyEvidence(Buffer.from(variant))).toMatchObject({ ok: false });
  });

  it('is refused when it is signed anew with another key and the published key is known', async () => {
    const other = await openSigningKey(join(directory, 'other.pem'), { create: true });
    const forged = await sealEvidence(record(), { store: folderStore(directory), key: other });
    const bytes = await readFile(forged.file);
    expect(verifyEvidence(bytes)).toMatchObject({ ok: true, keyId: other.keyId });
    expect(verifyEvidence(bytes, { publicKeyPem: key.publicKeyPem })).toMatchObject({
      ok: false,
      why: expect.stringContaining('not with the key that was given'),
    });
  });

  it('is written once: the same record again is the file as it was, another record is refused', async () => {
    const store = { store: folderStore(join(directory, 'out')), key };
    const first = await seal();
    const bytes = await readFile(first.file);
    const again = await sealEvidence(record(), store, () => '2030-01-01T00:00:00.000Z');
    expect(again).toEqual(first);

    const other = { ...record(), outputs: {} };
    const refused = { type: 'EvidenceExists', nonRetryable: true };
    await expect(sealEvidence(other, store)).rejects.toMatchObject(refused);
    await expect(refuseUsedOperationId('op-1a2b3c', store)).rejects.toMatchObject(refused);
    await expect(refuseUsedOperationId('op-unused', store)).resolves.toBeUndefined();
    expect(await readFile(first.file)).toEqual(bytes);
    expect(await readdir(join(directory, 'out'))).toEqual(['op-1a2b3c.json']);
  });

  it('has one winner when several seal at the same moment, and every one is told of the same file', async () => {
    const sealed = await Promise.all(Array.from({ length: 8 }, seal));
    expect(new Set(sealed.map(({ digest }) => digest)).size).toBe(1);
    expect(await readdir(join(directory, 'out'))).toEqual(['op-1a2b3c.json']);
  });

  it('is not replaced when the file that is there is no evidence', async () => {
    const store = { store: folderStore(directory), key };
    await writeFile(join(directory, 'op-1a2b3c.json'), 'something else');
    await expect(sealEvidence(record(), store)).rejects.toMatchObject({ type: 'EvidenceExists' });
    expect(await readFile(join(directory, 'op-1a2b3c.json'), 'utf8')).toBe('something else');
  });

  it('takes no operation id for a path', async () => {
    await expect(sealEvidence(record('../op'), { store: folderStore(directory), key })).rejects.toThrow(
      'cannot be the name',
    );
    await expect(refuseUsedOperationId('../op', { store: folderStore(directory) })).rejects.toThrow(
      'cannot be the name',
    );
  });

  it('makes the key once, readable by its owner only, even when several start together', async () => {
    const file = join(directory, 'together', 'evidence.pem');
    const keys = await Promise.all(Array.from({ length: 8 }, () => openSigningKey(file, { create: true })));
    expect(new Set(keys.map(({ keyId }) => keyId)).size).toBe(1);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readFile(publicKeyFile(file), 'utf8')).toBe(keys[0]?.publicKeyPem);
    expect((await readdir(join(directory, 'together'))).sort()).toEqual(['evidence.pem', 'evidence.pub.pem']);
  });

  it('does not replace a key file that it cannot use', async () => {
    const file = join(directory, 'broken.pem');
    await writeFile(file, 'not a key', { mode: 0o600 });
    await expect(openSigningKey(file, { create: true })).rejects.toThrow('does not hold a private key');
    expect(await readFile(file, 'utf8')).toBe('not a key');
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await writeFile(file, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await expect(openSigningKey(file, { create: true })).rejects.toThrow('rsa');
  });

  it('signs with no key that is missing, that others may read, or whose public half is another one', async () => {
    const file = join(directory, 'strict.pem');
    await expect(openSigningKey(file, { create: false })).rejects.toThrow('KEYTURN_EVIDENCE_KEY_CREATE=true');
    const made = await openSigningKey(file, { create: true });
    expect(await openSigningKey(file, { create: false })).toMatchObject({ keyId: made.keyId });
    await chmod(file, 0o640);
    await expect(openSigningKey(file, { create: true })).rejects.toThrow('mode 640');
    await chmod(file, 0o600);
    await writeFile(publicKeyFile(file), key.publicKeyPem);
    await expect(openSigningKey(file, { create: true })).rejects.toThrow('not the public half');
  });
});
