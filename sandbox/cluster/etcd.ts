/**
 * One real etcd for one sandbox cluster.
 *
 * Needs: a directory and the etcd binary of tools/.
 * Does: serves plain http on loopback, with the data in a directory of its own that a restore can put another one for.
 * Never does: listen on anything but 127.0.0.1, or wait for the disk: a sandbox may lose its data with the machine.
 */
import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'undici';
import { freePort } from '../../tools/ports';
import { startServer } from './server-process';

const READY_TIMEOUT_IN_MS = 30_000;
const READY_INTERVAL_IN_MS = 25;
const PROBE_TIMEOUT_IN_MS = 2_000;
const STOP_GRACE_IN_MS = 5_000;
/** The most that etcd recommends. Its default of 2 GiB is full after ten rewrites of 200 MB between two compactions. */
const QUOTA_IN_BYTES = 8 * 1024 ** 3;
const DATA = 'data';
const SNAPSHOTS = 'snapshots';

/** How to start etcd. */
export interface EtcdOptions {
  /** Path of the binary. */
  readonly binary: string;
  /** Holds `data/`, and `snapshots/` for backups to restore from. */
  readonly directory: string;
  readonly logFile: string;
  /** At this size etcd stores nothing more; 8 GiB when absent. */
  readonly quotaInBytes?: number;
  /** The port for clients; a free one when absent. */
  readonly port?: number;
  readonly signal?: AbortSignal;
}

/** A running etcd. */
export interface Etcd {
  /** Plain http, loopback; serves gRPC and its JSON gateway. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends it; the data stays. May be called twice. */
  stop(): Promise<void>;
}

/**
 * Starts etcd on free ports, with the data that is there; resolves when it is healthy.
 * @throws NotReadyError with the end of its log.
 */
export async function startEtcd(options: EtcdOptions): Promise<Etcd> {
  await mkdir(join(options.directory, SNAPSHOTS), { recursive: true });
  const { child, attempt } = await startServer(
    {
      name: 'etcd',
      binary: options.binary,
      logFile: options.logFile,
      timeoutInMs: READY_TIMEOUT_IN_MS,
      stallInMs: READY_TIMEOUT_IN_MS,
      intervalInMs: READY_INTERVAL_IN_MS,
      signal: options.signal,
    },
    async () => {
      const port = options.port ?? (await freePort());
      const url = `http://127.0.0.1:${port}`;
      const peerUrl = `http://127.0.0.1:${await freePort()}`;
      return { url, port, args: etcdFlags(options, url, peerUrl), probe: () => askHealth(url) };
    },
  );
  return {
    url: attempt.url,
    port: attempt.port,
    pid: child.pid,
    stop: () => child.stop({ graceInMs: STOP_GRACE_IN_MS }),
  };
}

/** Copies the data of an etcd that is stopped. @param directory as in {@link EtcdOptions} */
export async function saveSnapshot(directory: string, name: string): Promise<void> {
  const target = join(directory, SNAPSHOTS, name);
  await cp(join(directory, DATA), target, { recursive: true });
}

/**
 * Puts a snapshot in the place of the data of an etcd that is stopped. Until the copy is whole the data stays as it was.
 * @param directory as in {@link EtcdOptions}
 */
export async function loadSnapshot(directory: string, name: string): Promise<void> {
  const data = join(directory, DATA);
  const copy = `${data}.restoring`;
  await rm(copy, { recursive: true, force: true });
  await cp(join(directory, SNAPSHOTS, name), copy, { recursive: true });
  await rm(data, { recursive: true, force: true });
  await rename(copy, data);
}

function etcdFlags({ directory, quotaInBytes }: EtcdOptions, url: string, peerUrl: string): string[] {
  return [
    '--name=sandbox',
    `--data-dir=${join(directory, DATA)}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=sandbox=${peerUrl}`,
    '--unsafe-no-fsync',
    `--quota-backend-bytes=${quotaInBytes ?? QUOTA_IN_BYTES}`,
    '--log-level=warn',
  ];
}

async function askHealth(url: string): Promise<string | undefined> {
  // Not `fetch`: a proxy that the process was told to use is not meant for this.
  const client = new Client(url, { headersTimeout: PROBE_TIMEOUT_IN_MS, connectTimeout: PROBE_TIMEOUT_IN_MS });
  try {
    const { statusCode, body } = await client.request({ method: 'GET', path: '/health' });
    const text = await body.text();
    return statusCode === 200 ? undefined : `${url}/health answered ${statusCode} ${text}`;
  } finally {
    await client.destroy();
  }
}
