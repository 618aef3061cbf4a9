/**
 * What a cluster shows of API Server VNet Integration, and what in it would keep it from a stop and a start. Only reads.
 *
 * Never does: treat "may not be read" as "does not exist".
 */
import { z } from 'zod';
import { hindranceOf, Webhook } from '../../domain/stop-hindrances';
import { describeHindrances, FREE_THE_STOP, type VnetSight } from '../../domain/vnet-integration';
import { needsPerson } from '../failures';
import type { KubeConnection } from './connection';
import { KubeError } from './errors';

const CONFIGURATIONS = '/apis/admissionregistration.k8s.io/v1';
/** The resource, and what it is called in sentences. */
const KINDS = [
  ['mutatingwebhookconfigurations', 'MutatingWebhookConfiguration'],
  ['validatingwebhookconfigurations', 'ValidatingWebhookConfiguration'],
] as const;
const List = z.object({
  items: z
    .array(
      z.object({
        metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()).nullish() }),
        webhooks: z.array(Webhook).nullish(),
      }),
    )
    .nullish(),
});
/** AKS gives this label to what it manages: its own webhooks do not keep it from stopping a cluster. */
const [MANAGED_BY, AKS] = ['kubernetes.azure.com/managedby', 'aks'] as const;
const Namespaces = z.object({
  items: z
    .array(z.object({ metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()).nullish() }) }))
    .nullish(),
});
/** Without API Server VNet Integration, API servers reach nodes through its tunnel. */
const TUNNEL = '/apis/apps/v1/namespaces/kube-system/deployments/konnectivity-agent';

/** @throws KubeError of a transient kind; the signal's reason */
export async function readVnetSight(connection: KubeConnection, signal?: AbortSignal): Promise<VnetSight> {
  const [tunnel, stop] = [await hasTunnel(connection, signal), await readHindrances(connection, signal)];
  return { tunnel, ...stop };
}

/** @returns null when Keyturn may not look. @throws KubeError of a transient kind; the signal's reason */
export async function hasTunnel(connection: KubeConnection, signal?: AbortSignal): Promise<boolean | null> {
  try {
    await connection.request({ method: 'GET', path: TUNNEL, signal });
    return true;
  } catch (error) {
    if (!(error instanceof KubeError) || error.transient) throw error;
    return error.status === 404 ? false : null;
  }
}

/**
 * Looks once more right before something is asked for that cannot be undone: the plan may be days old.
 * @throws ApplicationFailure `WebhooksPreventStop`, non-retryable; KubeError of a transient kind
 */
export async function requireNoHindrances(connection: KubeConnection, signal?: AbortSignal): Promise<void> {
  const found = describeHindrances(await readHindrances(connection, signal));
  if (found === undefined) return;
  throw needsPerson(
    'WebhooksPreventStop',
    `The cluster could not be stopped and started: ${found}. Keyturn asked Azure for nothing in this step, and keys are as they were. ${FREE_THE_STOP} Then retry; or cancel.`,
  );
}

async function readHindrances(
  connection: KubeConnection,
  signal?: AbortSignal,
): Promise<Pick<VnetSight, 'hindrances' | 'unread'>> {
  const namespaces = Namespaces.safeParse(await read(connection, '/api/v1/namespaces', signal)).data?.items ?? [];
  const labels = new Map(namespaces.map(({ metadata }) => [metadata.name, metadata.labels ?? {}]));
  const [hindrances, unread]: [string[], string[]] = [[], []];
  for (const [resource, title] of KINDS) {
    const list = List.safeParse(await read(connection, `${CONFIGURATIONS}/${resource}`, signal));
    if (!list.success) unread.push(resource);
    for (const { metadata, webhooks } of list.data?.items ?? []) {
      if (metadata.labels?.[MANAGED_BY] === AKS) continue;
      for (const webhook of webhooks ?? []) {
        const why = hindranceOf(webhook, (namespace) => labels.get(namespace));
        if (why !== undefined) hindrances.push(`webhook ${webhook.name} (${title} ${metadata.name}) ${why}`);
      }
    }
  }
  return { hindrances: hindrances.sort(), unread: unread.sort() };
}

/** @returns undefined when it may not be read. @throws KubeError of a transient kind */
async function read(connection: KubeConnection, path: string, signal?: AbortSignal): Promise<unknown> {
  try {
    return await connection.request({ method: 'GET', path, signal });
  } catch (error) {
    if (!(error instanceof KubeError) || error.transient) throw error;
    return undefined;
  }
}
