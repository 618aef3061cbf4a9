/** The kubelet's server of a sandbox node, without a cluster: who may connect, and what becomes of a command with its connection. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { ApiCredentials } from '../../sandbox/cluster/api-client';
import { startContainer, type RunningContainer } from '../../sandbox/cluster/node/container';
import { startKubeletServer, type KubeletServer } from '../../sandbox/cluster/node/kubelet-server';
import { RealPaths } from '../../sandbox/cluster/node/real-paths';
import { createAuthority } from '../../sandbox/pki';
import { eventually, temporaryDirectory } from './cluster-support';

/** What the kubelet of a cluster serves with, and a client that the cluster's authority vouches for. */
async function clusterCredentials(): Promise<{ kubelet: ApiCredentials; client: ApiCredentials }> {
  const authority = await createAuthority('kubernetes-ca');
  const issue = (usage: 'server' | 'client') =>
    authority.issue({ commonName: 'test', ipAddresses: ['127.0.0.1'], usage });
  const caPem = authority.certPem;
  return { kubelet: { caPem, ...(await issue('server')) }, client: { caPem, ...(await issue('client')) } };
}

describe("a kubelet's server", () => {
  let server: KubeletServer;
  let container: RunningContainer;
  let current: Awaited<ReturnType<typeof clusterCredentials>>;

  beforeAll(async () => {
    current = await clusterCredentials();
    const directory = await temporaryDirectory();
    const files = {
      workingDirectory: directory,
      log: `${directory}/log`,
      terminationMessage: `${directory}/termination-log`,
    };
    const declared = { name: 'app', image: '', command: ['sleep', '1000'], args: [], env: [], volumeMounts: [] };
    const rest = { terminationMessagePath: '/dev/termination-log', terminationMessagePolicy: 'File' };
    const env = { PATH: process.env['PATH'] ?? '' };
    container = await startContainer({ ...declared, ...rest }, files, env, new RealPaths(new Map()));
    server = await startKubeletServer({
      credentials: () => current.kubelet,
      find: (namespace, pod, name) => (`${namespace}/${pod}/${name}` === 'default/web/app' ? container : undefined),
    });
  });
  afterAll(async () => {
    await server?.close();
    await container?.child.stop({ graceInMs: 0 });
  });

  const connect = (command: readonly string[], { caPem, ...pair }: Partial<ApiCredentials>): WebSocket => {
    const query = [...command.map((word) => `command=${encodeURIComponent(word)}`), 'output=1', 'error=1'].join('&');
    return new WebSocket(`wss://127.0.0.1:${server.port}/exec/default/web/app?${query}`, 'v5.channel.k8s.io', {
      ca: caPem,
      cert: pair.certPem,
      key: pair.keyPem,
    });
  };
  /** What the command says on standard output. */
  const said = async (command: readonly string[], client: Partial<ApiCredentials>): Promise<string> => {
    const socket = connect(command, client);
    let text = '';
    socket.on('message', (data: Buffer) => {
      if (data[0] === 1) text += data.subarray(1).toString();
    });
    await once(socket, 'close');
    return text;
  };

  it('lets in clients of the cluster, whose certificates may change, and nobody else', async () => {
    const before = current;
    expect(await said(['echo', 'one'], before.client)).toBe('one\n');
    await expect(said(['echo', 'none'], { caPem: before.client.caPem })).rejects.toThrow();
    current = await clusterCredentials();
    expect(await said(['echo', 'two'], current.client)).toBe('two\n');
    const old = { ...before.client, caPem: current.client.caPem };
    await expect(said(['echo', 'old'], old)).rejects.toThrow();
  });

  it('ends a command, and what that has started, when its connection ends', async () => {
    const socket = connect(['sh', '-c', 'sleep 1000 & echo $! $$; wait'], current.client);
    const [data] = (await once(socket, 'message')) as [Buffer];
    const pids = data.subarray(1).toString().trim().split(' ').map(Number);
    expect(pids).toHaveLength(2);
    socket.terminate();
    const alive = (pid: number): boolean => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    await eventually(async () => !pids.some(alive));
  });
});
