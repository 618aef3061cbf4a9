/**
 * One real kube-apiserver.
 *
 * Needs: a running etcd, running KMS plugins, the files of the cluster's layout, the binary of tools/.
 * Does: starts the server with one fixed EncryptionConfiguration and waits for its own /readyz, which includes the health
 *       of every KMS provider that it was given.
 * Never does: reload or restart. Another configuration is another server.
 */
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../tools/ports';
import { createApiClient, type ApiCredentials } from './api-client';
import { apiServerFlags, authenticationConfiguration } from './api-server-flags';
import type { EncryptionConfiguration } from './encryption-config';
import type { ClusterLayout } from './layout';
import { sharedHostName, type HostNames } from './own-host-name';
import { startServer } from './server-process';

/** It takes 3 to 4 s on an idle machine; a busy one needs much more. */
const READY_TIMEOUT_IN_MS = 120_000;
/**
 * No progress for so long means never. A KMS provider that failed is asked again after 10 s. A Secret that cannot be
 * decrypted keeps the server's own informer from syncing for ever: it lists all Secrets, and one bad one fails the list.
 */
const READY_STALL_IN_MS = 15_000;
/** Each look is a handshake of TLS, which a server that is starting pays for with its own start. */
const READY_INTERVAL_IN_MS = 150;
/**
 * Go collects garbage when the heap has grown by so many per cent, 100 unless told otherwise: a third of the CPU time of a start. A
 * server takes about 330 MB then, and 260 MB without it.
 */
const GARBAGE_PERCENT = '400';
/** Long enough for open requests; an API server without any ends within a second. */
const STOP_GRACE_IN_MS = 10_000;

/** How to start an API server. */
export interface ApiServerOptions {
  /** Path of the binary. */
  readonly binary: string;
  /** `1.34` */
  readonly kubernetesMinor: string;
  /** Unique among all servers that the cluster ever starts: names its log and its configuration. */
  readonly serial: number;
  readonly layout: ClusterLayout;
  readonly etcdUrl: string;
  readonly encryption: EncryptionConfiguration;
  /** The URL that tokens name as their issuer; the one inside the cluster when absent. */
  readonly issuer?: string;
  readonly admin: ApiCredentials;
  /** The host name that it is to have, and how; the machine's own when absent. */
  readonly host?: { readonly name: string; readonly names: HostNames };
  /** Why a KMS provider may be unhealthy; for the message when the server does not get ready. */
  readonly hints?: () => readonly string[];
  readonly signal?: AbortSignal;
  /** It is enough that it answers, well or not: as a kubelet starts it. Ready when absent. */
  readonly unready?: boolean;
}

/** A running, ready API server. */
export interface ApiServer {
  /** The host name that it sees. */
  readonly name: string;
  /** https on 127.0.0.1. */
  readonly port: number;
  readonly pid: number;
  /** Settles when the process has ended, for whatever reason; never rejects. */
  readonly exited: Promise<unknown>;
  /** Lets open requests finish, then ends. May be called twice. */
  stop(): Promise<void>;
}

/**
 * Starts an API server on a free port; resolves when /readyz says ok.
 * @throws NotReadyError with the answer of /readyz, the errors of the KMS plugins, and the end of the log. Nothing is left running.
 */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { kubernetesMinor, layout, serial, etcdUrl, issuer, host = { name: '', names: sharedHostName() } } = options;
  const { command, args } = host.names.wrap(host.name, { command: options.binary, args: [] });
  const logFile = join(layout.logs, `kube-apiserver-${serial}.log`);
  if (host.names.problem !== undefined) await appendFile(logFile, `${host.names.problem}\n`);
  const encryptionConfig = join(layout.encryption, `encryption-${serial}.json`);
  await writeFile(encryptionConfig, JSON.stringify(options.encryption, undefined, 2));
  await writeFile(layout.authentication, JSON.stringify(authenticationConfiguration(kubernetesMinor)));

  const { child, attempt } = await startServer(
    {
      name: `kube-apiserver ${kubernetesMinor}`,
      binary: command,
      logFile,
      timeoutInMs: READY_TIMEOUT_IN_MS,
      stallInMs: READY_STALL_IN_MS,
      intervalInMs: READY_INTERVAL_IN_MS,
      env: { GOGC: GARBAGE_PERCENT },
      hints: options.hints,
      signal: options.signal,
    },
    async () => {
      const port = await freePort();
      return {
        port,
        args: [...args, ...apiServerFlags({ kubernetesMinor, port, etcdUrl, layout, encryptionConfig, issuer })],
        probe: () => askReady(port, options.admin, options.unready),
      };
    },
  );
  return {
    name: host.names.seenBy(host.name),
    port: attempt.port,
    pid: child.pid,
    exited: child.exited,
    stop: () => child.stop({ graceInMs: STOP_GRACE_IN_MS }),
  };
}

/** @returns undefined when ready, else the checks that fail, as the server lists them */
async function askReady(port: number, admin: ApiCredentials, unready = false): Promise<string | undefined> {
  const client = createApiClient(`https://127.0.0.1:${port}`, admin);
  try {
    const { status, body } = await client.call('GET', '/readyz?verbose');
    if (status === 200 || (unready && status === 500)) return undefined;
    const failing = body.split('\n').filter((line) => line.startsWith('[-]'));
    return `/readyz answered ${status}${failing.length === 0 ? '' : `: ${failing.join(', ')}`}`;
  } finally {
    await client.close();
  }
}
