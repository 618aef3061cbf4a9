/**
 * What the add-on azureKeyvaultSecretsProvider puts into a cluster: definitions, CSIDriver, daemon sets and their pods.
 *
 * Needs: the cluster's API server.
 * Does: makes them, or brings them to another configuration; takes them away again.
 * Never does: run the driver (node.ts does what driver and provider do), or remove the definitions: with them, all
 *             SecretProviderClasses of the cluster would go.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SecretsProviderConfig } from './contract';
import { csiDriver, CUSTOM_RESOURCE_DEFINITIONS, DRIVER_NAME, GROUP } from './crds';
import { ApiError, createKubeClient, type KubeClient } from './kube-client';
import type { JsonObject } from './json';

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const DRIVERS = '/apis/storage.k8s.io/v1/csidrivers';
const DAEMON_SETS = '/apis/apps/v1/namespaces/kube-system/daemonsets';
const PODS = '/api/v1/namespaces/kube-system/pods';
const PAUSE_IN_MS = 50;
const ATTEMPTS = 200;
const DEFAULT_POLL_INTERVAL_IN_MS = 120_000;

/** Both daemon sets, with the containers that they have on AKS. */
const DAEMONS = [
  {
    name: 'aks-secrets-store-csi-driver',
    app: 'secrets-store-csi-driver',
    suffix: 'x7k2p',
    containers: ['node-driver-registrar', 'secrets-store', 'liveness-probe'],
  },
  {
    name: 'aks-secrets-store-provider-azure',
    app: 'secrets-store-provider-azure',
    suffix: 'q4n8d',
    containers: ['provider-azure-installer'],
  },
] as const;

/** Makes what the add-on makes, or changes it to the configuration. @throws ApiError with what the API server said */
export async function installSecretsProvider(
  cluster: { readonly adminKubeconfig: string },
  config: SecretsProviderConfig,
): Promise<void> {
  const client = createKubeClient(cluster);
  try {
    for (const definition of CUSTOM_RESOURCE_DEFINITIONS) await ensure(client, DEFINITIONS, definition);
    await untilServed(client);
    // A CSIDriver cannot change all of its fields: the add-on manager makes it anew.
    await client.delete(`${DRIVERS}/${DRIVER_NAME}`);
    await client.create(DRIVERS, csiDriver(config.rotation));
    for (const daemon of DAEMONS) await ensureDaemon(client, daemon, config);
  } finally {
    await client.close();
  }
}

/** Takes away what the add-on made, but for the definitions. @throws ApiError with what the API server said */
export async function removeSecretsProvider(cluster: { readonly adminKubeconfig: string }): Promise<void> {
  const client = createKubeClient(cluster);
  try {
    for (const { name, suffix } of DAEMONS) {
      await client.delete(`${DAEMON_SETS}/${name}`);
      await client.delete(`${PODS}/${name}-${suffix}`, { gracePeriodSeconds: 0 });
    }
    await client.delete(`${DRIVERS}/${DRIVER_NAME}`);
  } finally {
    await client.close();
  }
}

async function ensureDaemon(
  client: KubeClient,
  { name, app, suffix, containers }: (typeof DAEMONS)[number],
  config: SecretsProviderConfig,
): Promise<void> {
  const labels = {
    app,
    'app.kubernetes.io/managed-by': 'Helm',
    'kubernetes.azure.com/managedby': 'aks',
    'kubernetes.io/cluster-service': 'true',
    'addonmanager.kubernetes.io/mode': 'Reconcile',
  };
  const template = {
    metadata: { labels: { app, 'kubernetes.azure.com/managedby': 'aks' } },
    spec: {
      containers: containers.map((container) => ({
        name: container,
        image: `mcr.microsoft.com/oss/v2/kubernetes-csi/${container === 'secrets-store' ? 'secrets-store/driver:v1.6.0' : container}`,
        ...(container === 'secrets-store' ? { args: driverArgs(config) } : {}),
      })),
    },
  };
  const daemonSet = {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name, namespace: 'kube-system', labels },
    spec: { selector: { matchLabels: { app } }, template },
  };
  const made = await ensure(client, DAEMON_SETS, daemonSet);
  const { generation } = made['metadata'] as { generation?: number };
  await client.patch(`${DAEMON_SETS}/${name}/status`, {
    status: {
      currentNumberScheduled: 1,
      desiredNumberScheduled: 1,
      updatedNumberScheduled: 1,
      numberAvailable: 1,
      numberReady: 1,
      numberMisscheduled: 0,
      observedGeneration: generation,
    },
  });
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { ...template.metadata, name: `${name}-${suffix}` } };
  if ((await client.find(`${PODS}/${pod.metadata.name}`)) === undefined) {
    await client.create(PODS, { ...pod, spec: template.spec });
  }
  await client.patch(`${PODS}/${pod.metadata.name}/status`, {
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: containers.map((container) => ({
        name: container,
        ready: true,
        started: true,
        restartCount: 0,
        image: container,
        imageID: container,
        state: { running: {} },
      })),
    },
  });
}

/** The driver's command line, as its chart writes it. */
function driverArgs({ rotation, pollIntervalInMs = DEFAULT_POLL_INTERVAL_IN_MS }: SecretsProviderConfig): string[] {
  return [
    '--endpoint=$(CSI_ENDPOINT)',
    '--nodeid=$(KUBE_NODE_NAME)',
    '--provider-volume=/var/run/secrets-store-csi-providers',
    ...(rotation ? ['--enable-secret-rotation=true', `--rotation-poll-interval=${pollIntervalInMs / 1000}s`] : []),
  ];
}

/** Creates an object, or replaces it when it is there. */
async function ensure(
  client: KubeClient,
  collection: string,
  object: {
    readonly metadata: { readonly name: string; readonly [member: string]: unknown };
    readonly [member: string]: unknown;
  },
): Promise<JsonObject> {
  const path = `${collection}/${object.metadata.name}`;
  const existing = await client.find(path);
  if (existing === undefined) return client.create(collection, object);
  const { resourceVersion } = existing['metadata'] as { resourceVersion: string };
  return client.replace(path, { ...object, metadata: { ...object.metadata, resourceVersion } });
}

/** An API server serves a definition a moment after it has accepted it. */
async function untilServed(client: KubeClient): Promise<void> {
  for (const { metadata } of CUSTOM_RESOURCE_DEFINITIONS) {
    const [plural = ''] = metadata.name.split('.');
    for (let attempt = 1; ; attempt++) {
      if ((await client.find(`/apis/${GROUP}/v1/${plural}?limit=1`)) !== undefined) break;
      if (attempt === ATTEMPTS) throw new ApiError(404, `The API server does not serve ${metadata.name}.`);
      await sleep(PAUSE_IN_MS);
    }
  }
}
