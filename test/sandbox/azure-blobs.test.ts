/** The evidence store in Azure Blob Storage: the real SDK against the sandbox, in a container that lets nothing be changed. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ContainerClient } from '@azure/storage-blob';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { AuditLog, AuditUnavailable } from '../../evidence/audit-log';
import { blobStore } from '../../evidence/blob-store';
import type { RecordStore } from '../../evidence/store';
import { verifyAudit } from '../../evidence/verify-audit';
import { TestAzure } from './azure-support';

const URL = 'https://ktaudit.blob.core.windows.net/evidence';

describe('a container of Blob Storage as evidence store', () => {
  let azure: TestAzure;
  let container: ContainerClient;
  let store: RecordStore;
  beforeAll(async () => {
    azure = await TestAzure.start();
    container = new ContainerClient(URL, azure.credential);
    await container.create({ metadata: { sandboximmutable: 'true' } });
    store = blobStore(URL, azure.credential);
  });
  afterAll(() => azure.stop());

  it('writes once, whole, from bytes and from a stream, and finds what is of a cluster', async () => {
    const large = 'x'.repeat(2_500_000);
    expect(await store.writeOnce('op-1.json', Buffer.from('one'), { cluster: 'cluster-a' })).toBe(true);
    expect(await store.writeOnce('op-1.json', Buffer.from('other'), { cluster: 'cluster-a' })).toBe(false);
    expect(await store.writeOnce('op-2.json', Buffer.from('two'), { cluster: 'cluster-b' })).toBe(true);
    expect(await store.writeOnce('op-1.a.refused.jsonl', Readable.from([Buffer.from(large)]))).toBe(true);
    expect(await store.writeOnce('op-1.a.refused.jsonl', Readable.from([Buffer.from('y')]))).toBe(false);
    expect((await store.read('op-1.json'))?.toString()).toBe('one');
    const report = await store.open('op-1.a.refused.jsonl');
    expect(report?.size).toBe(large.length);
    expect((await text(report?.stream() ?? Readable.from([]))) === large).toBe(true);
    expect(await store.namesOf('cluster-a')).toEqual(['op-1.json']);
    expect(await store.list('op-1')).toEqual(['op-1.a.refused.jsonl', 'op-1.json']);
    expect([await store.has('op-2.json'), await store.has('op-3.json'), await store.read('op-3.json')]).toEqual([
      true,
      false,
      undefined,
    ]);
    expect(store.locationOf('op-1.json')).toBe(`${URL}/op-1.json`);
  });

  it('has the audit log of two processes, and evidence of its lines; nobody may delete or overwrite one', async () => {
    const logs = [new AuditLog(store, 'api'), new AuditLog(store, 'worker')];
    const by = { tenantId: 't', objectId: 'o', name: 'Anna', type: 'user' as const };
    const asked = (requestId: string) => ({ event: 'asked', requestId, action: 'approveOperation', by }) as const;
    await Promise.all(logs.flatMap((log) => ['a', 'b', 'c'].map((id) => log.append(asked(id)))));
    const head = await logs[0]?.append(asked('d'));
    expect(await verifyAudit(store)).toEqual({ files: 2, lines: 9, evidence: 0, faults: [] });
    const file = head?.file ?? '';
    await expect(container.getBlobClient(file).delete()).rejects.toMatchObject({ statusCode: 409 });
    await expect(container.getBlockBlobClient(file).upload('', 0)).rejects.toMatchObject({ statusCode: 409 });
    expect(await store.append(file, Buffer.from('x'), 1)).toBe(false);

    await container.getAppendBlobClient(file).appendBlock('forged\n', 7);
    await expect(logs[0]?.append(asked('e'))).rejects.toBeInstanceOf(AuditUnavailable);
    expect(await verifyAudit(store)).toMatchObject({ faults: [{ file, line: 6, why: 'It is not JSON.' }] });
  });

  it('says no where there is no container', async () => {
    const nowhere = blobStore('https://ktaudit.blob.core.windows.net/nothing', azure.credential);
    const line = { event: 'login-refused', requestId: 'r', code: 'TokenExpired', fault: 'time', unlisted: 0 } as const;
    await expect(new AuditLog(nowhere, 'api').append(line)).rejects.toBeInstanceOf(AuditUnavailable);
    await expect(nowhere.has('op-1.json')).rejects.toMatchObject({ statusCode: 404 });
  });
});
