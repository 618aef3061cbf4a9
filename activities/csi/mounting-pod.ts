/**
 * A pod of Keyturn's own that mounts a class: made once, looked at until it ends, removed.
 *
 * Needs: nodes that run the driver.
 * Does: says what the pod waits for, in the words of driver and provider, and gives up a mount that goes on failing.
 * Never does: touch a pod that the operation did not make.
 */
import { z } from 'zod';
import { CONNECTION_LABEL } from '../../domain/csi/facts';
import { needsPerson } from '../failures';
import type { KubeConnection } from '../kubernetes/connection';
import { KubeError } from '../kubernetes/errors';
import type { Looked } from '../running';
import { notAsApproved } from './approved-class';
import { progressOf, SeenPod, type PodProgress } from './mount-pod';
import type { PodNames } from './mount-report';
import { mountWords, networkCause, type VaultHost } from './mount-words';
import { AS_KEYTURN, unlessMissing } from './objects';

/** How long a pod may take. */
export interface MountLimits {
  /** Until its program runs, when nothing says that the mount fails: nodes may have to be added. */
  readonly startsWithinMs: number;
  /** From the first failure of the mount: kubelets retry, and grants and federated credentials work only after a while. */
  readonly mountsWithinMs: number;
  readonly everyMs: number;
}

/** What is looked at, and how. */
export interface PodLooks {
  readonly names: PodNames;
  readonly at: VaultHost;
  readonly operationId: string;
  readonly signal: AbortSignal;
  readonly limits: MountLimits;
  /** The whole pod: asked for each time that there is none. */
  readonly body: () => Promise<object>;
  /** What its program does, and what is waited for meanwhile. */
  readonly atProgram: (pod: SeenPod) => Promise<string>;
}

/** A pod whose container has ended. */
export type EndedPod = Extract<PodProgress, { at: 'end' }> & {
  readonly annotations: Readonly<Record<string, string>>;
};

/** The pod is removed also when the work was canceled; then its signal is of no use. */
const REMOVED_WITHIN_MS = 20_000;

/** Looks at the pod, and makes it where there is none. @returns the look, for `lookUntil` */
export function podLooks(
  connection: KubeConnection,
  { names, at, operationId, signal, limits, body, atProgram }: PodLooks,
): () => Promise<Looked<EndedPod>> {
  const since = performance.now();
  let failingSince: number | undefined;
  return async () => {
    const pod =
      (await findPod(connection, names, signal)) ??
      (await createPod(connection, { body: await body(), names, signal }));
    if (pod === undefined) return { waitsFor: `the pod ${names.pod}` };
    if (!isMine(pod, operationId)) throw notAsApproved(`There is a pod ${names.pod} that Keyturn did not make.`);
    if (pod.metadata.deletionTimestamp !== undefined)
      return { waitsFor: `the pod ${names.pod} of an earlier try to go` };
    const progress = progressOf(pod);
    if (progress.at === 'end') return { answer: { ...progress, annotations: pod.metadata.annotations ?? {} } };
    if (progress.at === 'program') return { waitsFor: await atProgram(pod) };
    const warning = await lastWarning(connection, names, pod, signal);
    const waitsFor = `${WAITS[progress.at](names)}${progress.detail === '' ? '' : ` ${progress.detail}`}${warning ? `; last warning: ${warning.words}` : ''}`;
    const now = performance.now();
    failingSince = warning?.isMount === true ? (failingSince ?? now) : undefined;
    if (warning && failingSince !== undefined && now - failingSince >= limits.mountsWithinMs) {
      throw needsPerson(
        'MountFailed',
        `The pod ${names.pod} cannot mount the SecretProviderClass ${names.class}. Driver and provider say: ${warning.words}.${networkCause(warning.words, at)} Pods that use the class cannot start either; keys are as they were. A grant or a federated credential takes up to ten minutes to work. Remove the cause, then retry.`,
      );
    }
    if (failingSince === undefined && now - since >= limits.startsWithinMs) {
      throw needsPerson(
        'MountFailed',
        `The pod ${names.pod} did not start in time, so whether the SecretProviderClass ${names.class} works is not known; keys are as they were. It was waiting for ${waitsFor}. The nodes need room for one small pod, and must be able to pull its image. Remove the cause, then retry.`,
      );
    }
    return { waitsFor };
  };
}

const WAITS: Readonly<Record<'scheduling' | 'mount' | 'image', (names: PodNames) => string>> = {
  scheduling: ({ pod }) => `a node for the pod ${pod}`,
  mount: (names) => `the mount of ${names.class} in the pod ${names.pod}`,
  image: ({ pod }) => `the container of the pod ${pod}`,
};

function podPath({ pod }: PodNames): { readonly collection: string; readonly one: string } {
  const [namespace = '', name = ''] = pod.split('/');
  const collection = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`;
  return { collection, one: `${collection}/${name}` };
}

function isMine({ metadata }: SeenPod, operationId: string): boolean {
  return metadata.labels?.[CONNECTION_LABEL] === operationId;
}

async function findPod(connection: KubeConnection, names: PodNames, signal: AbortSignal): Promise<SeenPod | undefined> {
  const path = podPath(names).one;
  const answer = await unlessMissing(() => connection.request({ method: 'GET', path, signal }));
  return answer === undefined ? undefined : SeenPod.parse(answer);
}

/** @returns undefined when another try made it in between */
async function createPod(
  connection: KubeConnection,
  { body, names, signal }: { readonly body: object; readonly names: PodNames; readonly signal: AbortSignal },
): Promise<SeenPod | undefined> {
  const path = `${podPath(names).collection}${AS_KEYTURN}`;
  try {
    return SeenPod.parse(await connection.request({ method: 'POST', path, body, signal }));
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    if (error.status === 409) return undefined;
    if (error.transient) throw error;
    throw needsPerson(
      'MountFailed',
      `The cluster refused the pod ${names.pod} that is to mount the SecretProviderClass ${names.class}: ${error.message} Whether the class works is not known; keys are as they were. Let pods with the label ${CONNECTION_LABEL} into the namespace, then retry.`,
      error,
    );
  }
}

const Events = z.object({
  items: z
    .array(
      z.object({
        type: z.string().nullish(),
        reason: z.string().nullish(),
        message: z.string().nullish(),
        lastTimestamp: z.string().nullish(),
        eventTime: z.string().nullish(),
        metadata: z.object({ creationTimestamp: z.string().nullish() }),
      }),
    )
    .nullish(),
});

/** The newest warning about the pod; a failure of the mount before any other. */
async function lastWarning(
  connection: KubeConnection,
  { pod }: PodNames,
  { metadata }: SeenPod,
  signal: AbortSignal,
): Promise<{ readonly words: string; readonly isMount: boolean } | undefined> {
  const [namespace = ''] = pod.split('/');
  const query = new URLSearchParams({ fieldSelector: `involvedObject.uid=${metadata.uid}` });
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/events?${query.toString()}`;
  const { items } = Events.parse(await connection.request({ method: 'GET', path, signal }));
  const warnings = (items ?? [])
    .filter(({ type }) => type === 'Warning')
    .map(({ reason, message, ...at }) => ({
      isMount: reason === 'FailedMount',
      words: mountWords(message ?? ''),
      at: Date.parse(at.lastTimestamp ?? at.eventTime ?? at.metadata.creationTimestamp ?? '') || 0,
    }))
    .sort((one, other) => Number(other.isMount) - Number(one.isMount) || other.at - one.at);
  return warnings[0];
}

/** Removes the pod that the operation made; one that is gone is fine. @throws KubeError */
export async function removePod(connection: KubeConnection, names: PodNames, operationId: string): Promise<void> {
  const signal = AbortSignal.timeout(REMOVED_WITHIN_MS);
  const pod = await findPod(connection, names, signal);
  if (pod === undefined || !isMine(pod, operationId)) return;
  const { uid } = pod.metadata;
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 1, preconditions: { uid } };
  const path = podPath(names).one;
  await unlessMissing(() => connection.request({ method: 'DELETE', path, body, signal }));
}
