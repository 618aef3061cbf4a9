/** Events on pods: one for each reason and message, counted when it comes again, as kubelets and controllers write them. */
import { createHash } from 'node:crypto';
import type { KubeClient } from './kube-client';
import type { Pod } from './pod';

/** What happened to a pod. */
export interface PodEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  /** `kubelet`, `default-scheduler`, `csi-secrets-store-controller` */
  readonly component: string;
}

/** Writes events. */
export class EventRecorder {
  readonly #client: KubeClient;
  readonly #nodeName: string;
  readonly #counts = new Map<string, number>();

  constructor(client: KubeClient, nodeName: string) {
    this.#client = client;
    this.#nodeName = nodeName;
  }

  /** @throws ApiError, for example when the namespace is being deleted */
  async record({ metadata }: Pod, { type, reason, message, component }: PodEvent): Promise<void> {
    const { namespace, name: podName, uid } = metadata;
    const key = createHash('sha256').update([uid, reason, message].join('\n')).digest('hex').slice(0, 16);
    const name = `${podName}.${key}`;
    const path = `/api/v1/namespaces/${namespace}/events`;
    const now = new Date().toISOString();
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    if (count > 1) {
      await this.#client.patch(`${path}/${name}`, { count, lastTimestamp: now });
      return;
    }
    await this.#client.create(path, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name: podName, uid },
      type,
      reason,
      message,
      count,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component, ...(component === 'kubelet' ? { host: this.#nodeName } : {}) },
    });
  }
}
