/** The Temporal dev server of `npm start`: a program of others, in the same shell as the credentials for Azure. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, it } from '@jest/globals';
import { startTemporal } from '../../launch/temporal';

const SECRET = 'hunter2-hunter2';
const NAMES = ['AZURE_CLIENT_SECRET', 'POSTGRES_PASSWORD'];
afterEach(() => NAMES.forEach((name) => delete process.env[name]));

it('gets no secret of the environment that it is started in', async () => {
  for (const name of NAMES) process.env[name] = SECRET;
  const folder = mkdtempSync(path.join(tmpdir(), 'keyturn-temporal-'));
  const server = await startTemporal({ logFile: path.join(folder, 'temporal.log') });
  try {
    const seen = execFileSync('ps', ['eww', '-o', 'command=', '-p', String(server.child.pid)], { encoding: 'utf8' });
    expect(seen).toContain('server start-dev');
    expect(seen).toContain('PATH=');
    // Not `toContain`: a failure would print the environment.
    expect(seen.includes(SECRET)).toBe(false);
  } finally {
    await server.child.stop();
    rmSync(folder, { recursive: true });
  }
});
