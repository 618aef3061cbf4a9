/** `keyturn` as people and scripts use it: its own processes, from the plan to the checked evidence, and the login. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Role } from '../../domain/people';
import { sandboxEnvironment } from '../../launch/sandbox';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { control, makeCluster, testStack } from '../support/stack';

const PROGRAM = path.join(__dirname, '../../dist/cli/keyturn.js');
const home = mkdtempSync(path.join(tmpdir(), 'keyturn-cli-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a command to its end. @param token undefined takes the session of `keyturn login` */
async function keyturn(token: string | undefined, args: string[], onError?: (text: string) => void): Promise<Ran> {
  return await ran(token, [process.execPath, PROGRAM, ...args], onError);
}

/** The same at a terminal of its own, which `script` of util-linux makes: all that it shows is on standard output. */
async function keyturnAtTerminal(token: string, args: string[]): Promise<Ran> {
  const command = [process.execPath, PROGRAM, ...args].map((word) => `'${word}'`).join(' ');
  return await ran(token, ['script', '--quiet', '--return', '--command', command, '/dev/null']);
}

async function ran(
  token: string | undefined,
  [command = '', ...args]: string[],
  onError?: (text: string) => void,
): Promise<Ran> {
  const { sandbox, apiUrl } = testStack();
  const env = {
    ...process.env,
    ...sandboxEnvironment(sandbox),
    KEYTURN_URL: apiUrl,
    XDG_CONFIG_HOME: home,
    KEYTURN_TOKEN: token,
  };
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text.out += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text.err += chunk;
    onError?.(text.err);
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, ...text };
}

describe('keyturn', () => {
  let cluster: SandboxClusterFacts;
  beforeAll(async () => {
    cluster = await makeCluster('by-keyturn', { count: 3 });
  });

  it('goes the whole way: plan, run, watch, approve, evidence; each exit code is the documented one', async () => {
    const { requester, approver1 } = testStack().sandbox.people;
    const asked = ['rotate-key', '--cluster', cluster.resourceId, '--change', 'CHG-CLI'];
    const planned = await keyturn(requester.token, ['plan', ...asked]);
    expect(planned).toMatchObject({ code: 0, out: expect.stringContaining('Nothing was started.') });

    const run = await keyturn(requester.token, ['run', ...asked, '-o', 'json']);
    const { id } = JSON.parse(run.out) as { id: string };
    const waits = await keyturn(requester.token, ['watch', id, '--until', 'people', '-o', 'json']);
    expect(waits.code).toBe(6);
    const { plan } = JSON.parse(waits.out) as { plan: { digest: string } };
    expect((await keyturn(requester.token, ['list', '--waiting', '--change', 'CHG-CLI'])).code).toBe(0);

    const approval = ['approve', id, '--yes', '--digest', plan.digest, '--comment', 'Read'];
    const own = await keyturn(requester.token, approval);
    expect(own).toMatchObject({ code: 4, out: '' });
    expect((await keyturn(approver1.token, ['approve', id, '--yes'])).code).toBe(2);
    expect((await keyturn(approver1.token, ['approve', id, '--yes', '--digest', 'sha256:0'])).code).toBe(1);
    expect(await keyturn(approver1.token, approval)).toMatchObject({
      code: 0,
      out: expect.stringContaining('Approved.'),
    });

    const watched = await keyturn(requester.token, ['watch', id]);
    expect(watched).toMatchObject({ code: 0, out: expect.stringMatching(/Status +Succeeded/) });
    expect(watched.err).toMatch(/✓ \d+\/\d+ .*\n/);
    expect((await keyturn(requester.token, ['show', id])).out).toContain(`by ${approver1.name}`);
    expect((await keyturn(requester.token, ['show', 'op-00000000000000000000000000'])).code).toBe(3);

    const verified = await keyturn(requester.token, [
      'evidence',
      'verify',
      id,
      '--key',
      path.join(testStack().directory, 'evidence-key.pub.pem'),
      '--api-key',
      path.join(testStack().directory, 'api-key.pub.pem'),
    ]);
    expect(verified).toMatchObject({ code: 0, out: expect.stringContaining('VALID') });
    const ledger = await keyturn(requester.token, ['cluster', 'ledger', cluster.resourceId]);
    expect(ledger).toMatchObject({ code: 0, out: expect.stringContaining('proven') });
    const inspected = await keyturn(requester.token, ['cluster', 'inspect', cluster.resourceId]);
    expect(inspected).toMatchObject({ code: 0, out: expect.stringContaining('Nothing is wrong.') });
    const users = await keyturn(requester.token, ['key', 'users', cluster.keyId]);
    expect(users).toMatchObject({ code: 0, out: expect.stringContaining(`${cluster.resourceId}  by its ledger`) });
    const doctor = await keyturn(requester.token, ['doctor']);
    expect(doctor.out).toMatch(
      /✓ api: [^]*✓ token: [^]*✓ temporal: [^]*✓ worker: [^]*✓ search-attributes: [^]*✓ signing-key: [^]*azure: /,
    );
  });

  it('shows a bar at a terminal while Secrets are rewritten, and leaves the terminal as it was', async () => {
    const { requester, approver1 } = testStack().sandbox.people;
    const slow = { tags: { 'keyturn-rewrites-per-second': '5' } };
    const { resourceId } = await makeCluster('at-a-terminal', { count: 30 }, slow);
    const asked = ['run', 'rotate-key', '--cluster', resourceId, '--change', 'CHG-BAR', '-o', 'json'];
    const { id } = JSON.parse((await keyturn(requester.token, asked)).out) as { id: string };
    const waits = await keyturn(requester.token, ['watch', id, '--until', 'people', '-o', 'json']);
    const { plan } = JSON.parse(waits.out) as { plan: { digest: string } };
    const watching = keyturnAtTerminal(requester.token, ['watch', id]);
    await keyturn(approver1.token, ['approve', id, '--yes', '--digest', plan.digest, '--comment', 'Read']);

    const { code, out } = await watching;
    expect([code, out]).toEqual([0, expect.stringMatching(/Status +Succeeded/)]);
    expect(out).toMatch(/[█░]{30} \d+ of 30/);
    expect(out.lastIndexOf('\x1b[?25h')).toBeGreaterThan(out.lastIndexOf('\x1b[?25l'));
  });

  it('signs a person in by device code, keeps the token for its owner only, and renews it', async () => {
    const { tenantId } = testStack().sandbox;
    expect((await keyturn(undefined, ['list'])).code).toBe(4);
    let entered: Promise<void> | undefined;
    const login = [
      'login',
      '--tenant',
      tenantId,
      '--client-id',
      'cli',
      '--scope',
      'api://keyturn/access_as_user offline_access',
    ];
    const signedIn = await keyturn(undefined, login, (text) => {
      const userCode = /type the code (\w+)\n/.exec(text)?.[1];
      // Expired for the command line at once: each later command needs a new token.
      if (userCode !== undefined)
        entered ??= control().enterDeviceCode({ userCode, name: 'dora', roles: [Role.Reader], expiresInSeconds: 5 });
    });
    await entered;
    expect(signedIn).toMatchObject({ code: 0, out: expect.stringContaining('Signed in to') });
    const file = path.join(home, 'keyturn', 'sessions.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const before = readFileSync(file, 'utf8');
    expect((await keyturn(undefined, ['list', '--limit', '1'])).code).toBe(0);
    expect(readFileSync(file, 'utf8')).not.toBe(before);
    expect((await keyturn(undefined, ['logout'])).code).toBe(0);
    expect((await keyturn(undefined, ['list'])).code).toBe(4);
  });
});
