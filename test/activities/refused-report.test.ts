/** The report of refused Secrets: whole or not there, and that of the last pass. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reportingRefused } from '../../activities/refused-report';
import { folderStore } from '../../evidence/folder-store';
import { latestReport } from '../../domain/refused-report';
import { refusedSecret } from '../../domain/refusal';

const refused = (name: string) => refusedSecret({ namespace: 'n', name }, 'TooLarge', 'It is too large.');

describe('the report of refused Secrets', () => {
  let directory: string;
  beforeEach(async () => void (directory = await mkdtemp(join(tmpdir(), 'kt-refused-'))));
  afterEach(() => rm(directory, { recursive: true, force: true }));
  const pass = (names: readonly string[], end: () => void = () => undefined): Promise<void> =>
    reportingRefused(
      { store: folderStore(directory), operationId: 'op-1', step: 'rotate.rewrite' },
      async (onRefused) => {
        for (const name of names) onRefused(refused(name));
        await Promise.resolve();
        end();
      },
    );
  const latest = async (): Promise<string> =>
    latestReport(await folderStore(directory).list(''), 'op-1', 'rotate.rewrite') ?? 'none';
  const lines = async (): Promise<unknown[]> =>
    (await readFile(join(directory, await latest()), 'utf8'))
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as unknown);

  it('has all of the last pass that ended, and nothing when that refused none', async () => {
    await pass([]);
    expect(await readdir(directory)).toEqual([]);
    const many = Array.from({ length: 2_000 }, (_, index) => `s${index}`);
    await pass(many);
    expect(await lines()).toEqual(many.map(refused));
    await pass(['one']);
    expect(await lines()).toEqual([refused('one')]);
    await pass([]);
    expect(await lines()).toEqual([]);
  });

  it('of an earlier pass stays when a pass fails, and no draft is left', async () => {
    await pass(['one']);
    const failing = pass(['other'], () => {
      throw new Error('away');
    });
    await expect(failing).rejects.toThrow('away');
    expect(await lines()).toEqual([refused('one')]);
    expect(await readdir(directory)).toHaveLength(1);
  });

  it('is never written where an id would lead out of the directory', async () => {
    const out = { store: folderStore(directory), operationId: 'op-1', step: '../x' };
    await expect(reportingRefused(out, () => Promise.resolve())).rejects.toThrow(/cannot be part of a file's name/);
  });
});
