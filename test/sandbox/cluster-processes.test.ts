/** What is left of a cluster when the process that made it is killed: nothing. */
import { expect, test } from '@jest/globals';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryDirectory } from './cluster-support';

const ROOT = resolve(__dirname, '../..');

/** Runs in a plain Node: compiles TypeScript as it is required, makes a cluster, and holds on to it. */
const HOLDER = `
const { readFileSync } = require('node:fs');
const { transformSync } = require('@swc/core');
require.extensions['.ts'] = (module, filename) => {
  const options = { filename, jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } };
  module._compile(transformSync(readFileSync(filename, 'utf8'), options).code, filename);
};
const { createCluster } = require('./sandbox/cluster/cluster');
const { createMemoryVault } = require('./test/sandbox/cluster-support');
const crypto = createMemoryVault();
const encryption = { write: 'kms', slots: [crypto.addKey()] };
const directory = process.env.TEST_DIRECTORY;
createCluster({ name: 'orphan', kubernetesMinor: '1.34', encryption, crypto, directory, apiServers: Number(process.env.TEST_API_SERVERS) }).then(() => console.log('ready'), console.error);
setInterval(() => undefined, 1000);
`;

test.each([
  ['etcd and kube-apiserver end', 1],
  ['etcd and both kube-apiservers with host names of their own end', 2],
])(
  '%s when the process that made the cluster is killed',
  async (_, apiServers) => {
    const directory = await temporaryDirectory();
    const holder = spawn(process.execPath, ['-e', HOLDER], {
      cwd: ROOT,
      env: { ...process.env, TEST_DIRECTORY: directory, TEST_API_SERVERS: String(apiServers) },
    });
    let complaints = '';
    holder.stderr.setEncoding('utf8').on('data', (chunk: string) => (complaints += chunk));
    const exited = once(holder, 'exit');
    try {
      await Promise.race([once(holder.stdout, 'data'), exited]);
      expect(complaints).toBe('');
      const ports = serversOf(directory).map((line) => /--secure-port=(\d+)/.exec(line)?.[1] ?? 'etcd');
      expect(new Set(ports).size).toBe(1 + apiServers);
      expect(ports).toContain('etcd');
    } finally {
      holder.kill('SIGKILL');
      await exited;
    }
    for (let tries = 0; tries < 100 && serversOf(directory).length > 0; tries++) await sleep(50);
    expect(serversOf(directory)).toEqual([]);
    await rm(directory, { recursive: true });
  },
  120_000,
);

/** Command lines of servers that name this directory, and of the guards that watch over them. */
function serversOf(directory: string): string[] {
  const all = execFileSync('ps', ['-axww', '-o', 'args='], { encoding: 'utf8' }).split('\n');
  return all.filter((line) => line.includes(`${directory}/`));
}
