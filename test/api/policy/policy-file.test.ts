import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { PolicyFile } from '../../../api/policy/policy-file';
import { SettingsError } from '../../../settings/environment';

const GOOD = 'version: 1\nrules: []\n';
const OTHER = 'version: 1\nrules: []\napprovals: { required: 3 }\n';
let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'policy-'));
  path = join(directory, 'policy.yaml');
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('the policy file of a running API', () => {
  it('must be usable at the start', () => {
    expect(() => new PolicyFile(path)).toThrow(/policy\.yaml cannot be read \(ENOENT\)/);
    writeFileSync(path, 'version: 1\nrules: none\n');
    expect(() => new PolicyFile(path)).toThrow(SettingsError);
    expect(() => new PolicyFile(path)).toThrow(/policy\.yaml:2:8: rules: /);
  });

  it('that breaks leaves the old policy in force, and one line of the log as an error', () => {
    writeFileSync(path, GOOD);
    const log: string[] = [];
    const file = new PolicyFile(path);
    file.watch(pino({ level: 'info' }, { write: (line: string) => void log.push(line) }), 60_000);
    writeFileSync(path, OTHER);
    expect(file.reload()).toBe(true);
    writeFileSync(path, 'version: 1\nrules: none\n');
    expect(file.reload()).toBe(false);
    expect(file.reload()).toBe(false);
    rmSync(path);
    expect(file.reload()).toBe(false);
    expect(file.current().approvals.required).toBe(3);
    writeFileSync(path, GOOD);
    expect(file.reload()).toBe(true);
    expect(file.current().approvals.required).toBeUndefined();
    file.close();
    const lines = log.map((line) => JSON.parse(line) as { level: number; faults?: string[] });
    expect(lines.map(({ level }) => level)).toEqual([40, 50, 50, 40]);
    expect(lines[1]?.faults).toEqual([expect.stringContaining('policy.yaml:2:8: rules: ')]);
  });

  it('is read again when it changes', async () => {
    writeFileSync(path, GOOD);
    const file = new PolicyFile(path);
    const changed = new Promise<void>((resolve) => file.watch(pino({ level: 'info' }, { write: () => resolve() }), 20));
    writeFileSync(path, OTHER);
    // The watch does not keep a process alive; the test has to.
    const alive = setInterval(() => undefined, 1000);
    await changed;
    clearInterval(alive);
    file.close();
    expect(file.current().approvals.required).toBe(3);
  });
});
