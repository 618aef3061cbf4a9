/** The audit log of processes in one folder. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditEvent } from '../../domain/audit';
import { AuditLog, AuditUnavailable } from '../../evidence/audit-log';
import { folderStore } from '../../evidence/folder-store';
import { verifyAudit } from '../../evidence/verify-audit';

const by = { tenantId: 't', objectId: 'o', name: 'Anna', type: 'user' as const };
const asked = (requestId: string): AuditEvent => ({ event: 'asked', requestId, action: 'approveOperation', by });

describe('the audit log in a folder', () => {
  let directory: string;
  beforeEach(async () => void (directory = await mkdtemp(join(tmpdir(), 'kt-audit-'))));
  afterEach(() => rm(directory, { recursive: true, force: true }));
  const store = () => folderStore(directory);
  const files = async (): Promise<string[]> =>
    (await readdir(join(directory, 'audit'))).sort().map((name) => join(directory, 'audit', name));

  it('has every line of several processes that write at once, and later files saw earlier ones', async () => {
    const logs = [new AuditLog(store(), 'api'), new AuditLog(store(), 'api'), new AuditLog(store(), 'worker')];
    await Promise.all(logs.flatMap((log) => Array.from({ length: 50 }, (_, index) => log.append(asked(`r${index}`)))));
    await new AuditLog(store(), 'worker').append(asked('last'));
    expect(await verifyAudit(store())).toEqual({ files: 4, lines: 3 * 51 + 2, evidence: 0, faults: [] });
    const [, , , last = ''] = await files();
    const [opened = ''] = (await readFile(last, 'utf8')).split('\n');
    expect(JSON.parse(opened)).toMatchObject({ writer: 'worker', seen: [{ seq: 51 }, { seq: 51 }, { seq: 51 }] });
  });

  it('begins a file each day', async () => {
    let now = new Date('2026-01-01T23:59:59.000Z');
    const log = new AuditLog(store(), 'api', () => now);
    const first = await log.append(asked('r1'));
    now = new Date('2026-01-02T00:00:00.000Z');
    expect(await log.append(asked('r2'))).toMatchObject({ file: expect.stringMatching(/^audit\/2026-01-02/), seq: 2 });
    const [, second = ''] = await files();
    const [opened = ''] = (await readFile(second, 'utf8')).split('\n');
    expect(JSON.parse(opened)).toMatchObject({ seen: [first] });
  });

  it('says no when a line is not stored, and goes on in another file that saw what is left', async () => {
    const log = new AuditLog(store(), 'api');
    await log.append(asked('r1'));
    const [file = ''] = await files();
    await appendFile(file, 'other');
    await expect(log.append(asked('r2'))).rejects.toBeInstanceOf(AuditUnavailable);
    await log.append(asked('r3'));
    expect(await files()).toHaveLength(2);
    expect(await verifyAudit(store())).toMatchObject({
      faults: [{ line: 3, why: expect.stringContaining('cut off') }],
    });
  });

  it('says no to the one event that cannot be a line, and stores those that came with it', async () => {
    const log = new AuditLog(store(), 'api');
    const [first, wrong, third] = await Promise.allSettled([
      log.append(asked('r1')),
      log.append(asked('x'.repeat(65))),
      log.append(asked('r3')),
    ]);
    expect([first.status, wrong.status, third.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await verifyAudit(store())).toMatchObject({ lines: 3, faults: [] });
  });

  it('shows by the heads in evidence that the end of the newest file was cut off', async () => {
    const log = new AuditLog(store(), 'api');
    await log.append(asked('r1'));
    const head = await log.append(asked('r2'));
    await writeFile(join(directory, 'op-1.json'), JSON.stringify({ record: { audit: [head] } }));
    expect(await verifyAudit(store())).toMatchObject({ evidence: 1, faults: [] });
    const [file = ''] = await files();
    const text = await readFile(file, 'utf8');
    await truncate(file, Buffer.byteLength(text.split('\n').slice(0, 2).join('\n')) + 1);
    expect(await verifyAudit(store())).toMatchObject({
      faults: [{ file: head.file, line: 3, why: 'Lines are missing at the end; op-1.json saw 3.' }],
    });
  });
});
