/** A Temporal dev server of a test file's own, which goes away and comes back at the same address with what it had. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { startTemporal, type TemporalServer } from '../../launch/temporal';
import { freePort } from '../../tools/ports';
import { eventually } from '../sandbox/cluster-support';
import { atEndOfFile } from './ends';
import { testStack } from './stack';

/** How a server goes away: by a proper stop, by the death of its process, or it stays connected and answers no more. */
export type Absence = 'stopped' | 'killed' | 'frozen';

/** The server. */
export interface OwnTemporal {
  /** For the environment of an API and a worker that use it. */
  readonly env: NodeJS.ProcessEnv;
  /** Goes away. */
  goAway(how?: Absence): Promise<void>;
  /** Comes back; resolves when it answers. */
  comeBack(): Promise<void>;
  /** Is away while the work is done, and back afterwards, also when the work fails. */
  whileAway<T>(work: () => Promise<T>, how?: Absence): Promise<T>;
}

/** One thread of a process takes the signal, and the others go on until it is its turn: on a busy machine long enough to answer something. */
function isFrozen(pid: number): boolean {
  const threads = `/proc/${pid}/task`;
  try {
    return readdirSync(threads).every((thread) =>
      /^State:\s+T/m.test(readFileSync(path.join(threads, thread, 'status'), 'utf8')),
    );
  } catch {
    // A thread has ended meanwhile.
    return false;
  }
}

/** Starts it; it ends with the test file. @param name of its folder */
export async function startOwnTemporal(name: string): Promise<OwnTemporal> {
  const folder = path.join(testStack().directory, name);
  mkdirSync(folder, { recursive: true });
  const [port, uiPort] = [await freePort(), await freePort()];
  const start = (): Promise<TemporalServer> =>
    startTemporal({
      port,
      uiPort,
      databaseFile: path.join(folder, 'temporal.db'),
      logFile: path.join(folder, 'temporal.log'),
    });
  let server = await start();
  let frozen = false;
  atEndOfFile(async () => {
    server.child.kill('SIGCONT');
    await server.child.stop();
  });
  const own: OwnTemporal = {
    env: { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace },
    async goAway(how = 'stopped') {
      if (how === 'stopped') return await server.child.stop();
      server.child.kill(how === 'killed' ? 'SIGKILL' : 'SIGSTOP');
      frozen = how === 'frozen';
      await (frozen ? eventually(() => isFrozen(server.child.pid)) : server.child.exited);
    },
    async comeBack() {
      if (frozen) server.child.kill('SIGCONT');
      else server = await start();
      frozen = false;
    },
    async whileAway(work, how) {
      await own.goAway(how);
      try {
        return await work();
      } finally {
        await own.comeBack();
      }
    },
  };
  return own;
}
