/**
 * What another client of the cluster sees while Keyturn rewrites: a process of its own, with an account of its own, that
 * reads one ConfigMap at a steady pace.
 *
 * The account is an ordinary ServiceAccount. Keyturn's is the cluster's admin, whom the API server exempts from its
 * priority and fairness queues, so nothing but Keyturn itself protects this one.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { startNodeProcess } from '../launch/node-process';
import type { Child } from '../tools/child-process';
import { connectCluster, readAccess } from './cluster-access';
import { REWRITE, type ActivitySpan } from './history';
import { percentilesOf, type OtherClientLatency } from './outcome';
import type { Rig } from './rig';

const NAMESPACE = 'default';
const NAME = 'bench-other-client';
const TOKEN_LIFE_IN_SECONDS = 12 * 60 * 60;
const IDLE_IN_MS = 15_000;

/** One request of the otherClient. */
export interface OtherClientSample {
  /** When it was sent, in milliseconds since the epoch. */
  readonly at: number;
  /** Until the answer had arrived; null when there was none, or another than 200. */
  readonly ms: number | null;
}

/** A otherClient at work. */
export interface OtherClient {
  /** Resolves when there are enough samples of an idle cluster. */
  idle(): Promise<void>;
  /** Ends it. @param spans when Keyturn did what @throws Error when requests failed, or there were too few */
  stop(spans: readonly ActivitySpan[]): Promise<OtherClientLatency>;
}

/** Makes the account and starts the process. */
export async function startOtherClient(rig: Rig): Promise<OtherClient> {
  const kubeconfig = path.join(rig.directory, 'other-client.kubeconfig');
  const samples = path.join(rig.directory, 'other-client.samples');
  const access = readAccess(rig.cluster.kubeconfig);
  const token = await makeAccount(rig.cluster.kubeconfig);
  writeFileSync(kubeconfig, kubeconfigOf(access, token), { mode: 0o600 });
  const { child } = await startNodeProcess({
    name: 'otherClient',
    script: 'bench/other-client.js',
    args: [kubeconfig, `/api/v1/namespaces/${NAMESPACE}/configmaps/${NAME}`, samples],
    env: process.env,
    logFile: path.join(rig.directory, 'other-client.log'),
  });
  const startedAt = Date.now();
  return {
    idle: () => stillRunning(child, sleep(startedAt + IDLE_IN_MS - Date.now())),
    async stop(spans) {
      await child.stop();
      return latencyOf(
        readSamples(readFileSync(samples, 'utf8')),
        { from: startedAt, to: startedAt + IDLE_IN_MS },
        spans,
      );
    },
  };
}

/**
 * Latency in the idle interval and during the rewrite itself; the proof, which asks less of the API server, would dilute it.
 * @throws Error when a request failed in these times, or none was made
 */
export function latencyOf(
  samples: readonly OtherClientSample[],
  idle: { readonly from: number; readonly to: number },
  spans: readonly ActivitySpan[],
): OtherClientLatency {
  const within = (from: number, to: number): number[] =>
    samples
      .filter(({ at }) => at >= from && at <= to)
      .map(({ ms }) => {
        if (ms === null) throw new Error('A request of the other client failed while it was measured.');
        return ms;
      });
  const rewrites = spans.filter(({ activity }) => activity === REWRITE);
  return {
    idle: percentilesOf(within(idle.from, idle.to)),
    during: percentilesOf(rewrites.flatMap(({ startedAt, endedAt }) => within(startedAt, endedAt))),
  };
}

const Sample = z.object({ at: z.number(), ms: z.number().nullable() });

function readSamples(text: string): OtherClientSample[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Sample.parse(JSON.parse(line)));
}

/** @returns its token */
async function makeAccount(adminKubeconfig: string): Promise<string> {
  const client = connectCluster(adminKubeconfig);
  const metadata = { name: NAME };
  const rbac = 'rbac.authorization.k8s.io';
  const make = (path: string, body: unknown): Promise<unknown> => client.request({ method: 'POST', path, body });
  try {
    await make(`/api/v1/namespaces/${NAMESPACE}/configmaps`, { metadata, data: { greeting: 'hello' } });
    await make(`/api/v1/namespaces/${NAMESPACE}/serviceaccounts`, { metadata });
    await make(`/apis/${rbac}/v1/namespaces/${NAMESPACE}/roles`, {
      metadata,
      rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'] }],
    });
    await make(`/apis/${rbac}/v1/namespaces/${NAMESPACE}/rolebindings`, {
      metadata,
      roleRef: { apiGroup: rbac, kind: 'Role', name: NAME },
      subjects: [{ kind: 'ServiceAccount', name: NAME, namespace: NAMESPACE }],
    });
    const answer = await make(`/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${NAME}/token`, {
      spec: { expirationSeconds: TOKEN_LIFE_IN_SECONDS },
    });
    return z.object({ status: z.object({ token: z.string() }) }).parse(answer).status.token;
  } finally {
    await client.close();
  }
}

/** JSON is YAML. */
function kubeconfigOf({ server, ca }: Pick<ReturnType<typeof readAccess>, 'server' | 'ca'>, token: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: NAME, cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } }],
    users: [{ name: NAME, user: { token } }],
    contexts: [{ name: NAME, context: { cluster: NAME, user: NAME } }],
    'current-context': NAME,
  });
}

async function stillRunning(child: Child, wait: Promise<void>): Promise<void> {
  const ended = child.exited.then(() => {
    throw new Error(`The other client ended by itself: ${child.tail()}`);
  });
  // It ends some day, when nobody waits for it any more.
  ended.catch(() => undefined);
  await Promise.race([wait, ended]);
}
