/** The commands, run as a newcomer runs them. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { COMPILED } from '../../launch/node-process';

const run = promisify(execFile);
/** What the person who runs it has; the test run's own sandbox is not part of that. */
const env: NodeJS.ProcessEnv = {
  PATH: process.env.PATH,
  HOME: process.env.HOME,
  XDG_CACHE_HOME: process.env.XDG_CACHE_HOME,
};

interface DemoOutcome {
  readonly evidence: string;
}

/** Ids of the processes whose command line or environment names a folder. */
function processesOf(folder: string): string[] {
  const read = (pid: string, what: string): string => {
    try {
      return readFileSync(`/proc/${pid}/${what}`, 'latin1');
    } catch {
      return ''; // It has just ended.
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => [read(pid, 'cmdline'), read(pid, 'environ')].some((text) => text.includes(folder)));
}

describe('npm run demo', () => {
  const cwd = mkdtempSync(path.join(tmpdir(), 'keyturn-newcomer-'));
  afterAll(() => rmSync(cwd, { recursive: true }));
  const demo = async (journey: string): Promise<{ stdout: string; outcome: unknown }> => {
    const args = ['--journey', journey, '--yes', '--json', '--secrets', '60'];
    const { stdout } = await run(process.execPath, [path.join(COMPILED, 'cli/demo.js'), ...args], {
      cwd,
      env: { ...env, TMPDIR: cwd },
    });
    return { stdout, outcome: JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') };
  };
  /** The gates, in the order in which the second person approved them. */
  const approvals = (stdout: string): (string | undefined)[] =>
    [...stdout.matchAll(/^ +\S.* approves (approve\S*)\.$/gm)].map(([, gate]) => gate);

  it('rotates a key, proves it, ends with one JSON object, and leaves no process behind', async () => {
    const { stdout } = await run(
      process.execPath,
      [path.join(COMPILED, 'cli/demo.js'), '--yes', '--json', '--secrets', '60'],
      { cwd, env: { ...env, TMPDIR: cwd } },
    );
    const lines = stdout.trimEnd().split('\n');
    const outcome = JSON.parse(lines.at(-1) ?? '') as DemoOutcome;
    expect(outcome).toEqual({
      kind: 'rotate-key',
      status: 'Succeeded',
      operationId: expect.stringMatching(/^op-/),
      secrets: 60,
      rewritten: 60,
      unproven: 0,
      etcd: { newKey: 60, oldKey: 0, plaintext: 0 },
      armWrites: 1,
      seconds: expect.any(Number),
      evidence: expect.stringContaining(path.join('.keyturn', 'evidence')),
    });
    expect(stdout).toContain('403 RequesterCannotApprove');
    expect(processesOf(cwd)).toEqual([]);

    const verify = (file: string): Promise<{ stdout: string }> =>
      run(process.execPath, [path.join(COMPILED, 'cli/verify-evidence.js'), file], { cwd, env });
    expect((await verify(outcome.evidence)).stdout).toContain('VALID: signed by sha256:');
    const changed = path.join(cwd, 'changed.json');
    writeFileSync(changed, readFileSync(outcome.evidence, 'utf8').replace('"Succeeded"', '"Succeedec"'));
    await expect(verify(changed)).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('NOT VALID') });
  });

  it('--journey upgrade has three gates approved, and ends with KMS v2 in raw etcd', async () => {
    const { stdout, outcome } = await demo('upgrade');
    expect(outcome).toMatchObject({
      kind: 'upgrade-to-kms-v2',
      status: 'Succeeded',
      secrets: 60,
      unproven: 0,
      etcd: { newKey: 60, oldKey: 0, plaintext: 0 },
    });
    expect(approvals(stdout)).toEqual(['approve', 'approve-plaintext', 'approve-upgrade']);
    expect(stdout).toMatch(/Raw etcd before +60 under KMS v1, 0 under KMS v2, 0 in plaintext/);
    expect(stdout).toMatch(/Raw etcd after +0 under KMS v1, 60 under KMS v2, 0 in plaintext/);
    expect(stdout).toMatch(/The old key +the vault has it/);
    expect(processesOf(cwd)).toEqual([]);
  });

  it('--journey replace-key has the retirement approved in the middle, and the vault has the old key no more', async () => {
    const { stdout, outcome } = await demo('replace-key');
    expect(outcome).toMatchObject({
      kind: 'replace-key',
      status: 'Succeeded',
      secrets: 60,
      unproven: 0,
      etcd: { newKey: 60, oldKey: 0, plaintext: 0 },
      armWrites: 2,
    });
    expect(approvals(stdout)).toEqual(['approve', 'approve-deletion']);
    // The second gate opens after both rotations are proven, and before the key is disabled.
    const proven = stdout.lastIndexOf('✓ Prove from a fresh list');
    const [gate, disabled] = ['approves approve-deletion', '✓ Disable '].map((text) => stdout.indexOf(text));
    expect(proven).toBeGreaterThan(0);
    expect(gate).toBeGreaterThan(proven);
    expect(disabled).toBeGreaterThan(gate ?? 0);
    expect(stdout).toMatch(/The old key +the vault shows it as deleted/);
    expect(processesOf(cwd)).toEqual([]);
  });

  it('with a journey that there is not names those that there are, and starts nothing', async () => {
    const demo = run(process.execPath, [path.join(COMPILED, 'cli/demo.js'), '--journey', 'rotat', '--yes'], {
      cwd,
      env,
    });
    await expect(demo).rejects.toMatchObject({ code: 2, stdout: '' });
    const { stderr } = await demo.catch((error: { stderr: string }) => error);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    for (const name of ['rotate', 'upgrade', 'replace-key']) expect(stderr).toContain(name);
  });

  it('without --yes and without anybody to ask says so and starts nothing', async () => {
    const demo = run(process.execPath, [path.join(COMPILED, 'cli/demo.js')], { cwd, env });
    await expect(demo).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('--yes') });
  });
});

describe('npm start', () => {
  it('with settings that cannot be used names every fault at once, of API and worker, and starts nothing', async () => {
    const faulty = { ...env, KEYTURN_API_PORT: 'http', KEYTURN_REWRITE_IN_FLIGHT: '0', KEYTURN_CLOUD: 'Azure' };
    const start = run(process.execPath, [path.join(COMPILED, 'cli/start.js')], { env: faulty });
    const { stderr } = await start.then(
      () => Promise.reject(new Error('It started.')),
      (error: { stderr: string }) => error,
    );
    for (const name of ['KEYTURN_API_PORT', 'KEYTURN_REWRITE_IN_FLIGHT', 'KEYTURN_CLOUD', 'KEYTURN_TENANT_ID'])
      expect(stderr).toContain(name);
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});

describe('npm run sandbox', () => {
  it('writes what clients need, and after kill -9 leaves no process behind', async () => {
    const cwd = mkdtempSync(path.join(tmpdir(), 'keyturn-driver-'));
    const child = spawn(process.execPath, [path.join(COMPILED, 'cli/sandbox.js'), '--secrets', '5'], {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ready = new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`It ended with ${code}.`)));
      child.stdout
        .setEncoding('utf8')
        .on('data', (chunk: string) => chunk.includes('Ready, until Ctrl-C') && resolve());
    });
    await ready;
    const file = path.join(cwd, '.keyturn', 'sandbox.json');
    const sandbox = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    expect(sandbox).toMatchObject({
      azure: {
        proxy: expect.any(String),
        caFile: expect.any(String),
        tenantId: expect.any(String),
        subscriptionId: expect.any(String),
        clientId: expect.any(String),
        clientSecret: expect.any(String),
      },
      api: { url: expect.any(String) },
      temporal: { address: expect.any(String), namespace: 'default', uiUrl: expect.any(String) },
      clusters: [{ resourceId: expect.any(String), kubeconfig: expect.any(String), etcd: expect.any(String) }],
      people: {
        requester: expect.any(String),
        approver1: expect.any(String),
        approver2: expect.any(String),
        reader: expect.any(String),
      },
    });
    const { caFile } = sandbox.azure as { caFile: string };
    expect(existsSync(caFile)).toBe(true);
    expect((await fetch(`${(sandbox.api as { url: string }).url}/readyz`)).status).toBe(200);

    const data = path.dirname(path.dirname(caFile));
    expect(processesOf(data).length).toBeGreaterThan(3);
    child.removeAllListeners('exit');
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    // The guards see the end of a pipe and kill; the kernel takes a moment for each.
    const deadline = Date.now() + 20_000;
    while (processesOf(data).length > 0 && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 100));
    expect(processesOf(data)).toEqual([]);
    for (const folder of [cwd, data]) rmSync(folder, { recursive: true });
  });
});
