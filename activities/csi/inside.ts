/**
 * What a cluster itself shows of connections between its pods and vaults.
 *
 * Does: reads. Pods come page by page, and only their names, service accounts and volumes are kept.
 * Never does: read a Secret, or a value of a vault.
 */
import { z } from 'zod';
import type { CsiInside, SeenClass, SeenServiceAccount } from '../../domain/csi/facts';
import { readClass } from '../../domain/csi/secret-provider-class';
import type { KubeConnection } from '../kubernetes/connection';
import { isOurs, notedConnection } from './label';
import {
  accountPath,
  ALL_CLASSES,
  CLIENT_ID,
  DRIVER,
  findPart,
  listObjects,
  listPods,
  Part,
  TENANT_ID,
  unlessMissing,
} from './objects';

/** What is looked for. */
export interface InsideQuery {
  readonly namespace: string;
  readonly serviceAccount?: string;
  /** Whether the service accounts of namespaces with classes are looked for. */
  readonly accounts?: boolean;
}

const Namespace = z.object({ metadata: z.object({ deletionTimestamp: z.string().optional() }) });
const labels = z.record(z.string(), z.string()).nullish();
const DaemonSet = z.object({
  metadata: z.object({ namespace: z.string(), name: z.string(), labels }),
  spec: z.object({
    template: z.object({
      spec: z.object({ containers: z.array(z.object({ name: z.string(), image: z.string().default('') })) }),
    }),
  }),
  status: z
    .object({ desiredNumberScheduled: z.number().default(0), numberReady: z.number().default(0) })
    .default({ desiredNumberScheduled: 0, numberReady: 0 }),
});
type DaemonSet = z.infer<typeof DaemonSet>;
const Driver = z.object({ metadata: z.object({ labels, annotations: labels }) });

/** Looks at everything. @throws KubeError */
export async function readCsiInside(
  connection: KubeConnection,
  { namespace, serviceAccount, accounts = false }: InsideQuery,
  signal: AbortSignal,
): Promise<CsiInside> {
  const [namespaceFound, seen, account, daemonSets, driver] = await Promise.all([
    hasNamespace(connection, namespace, signal),
    readClasses(connection, signal),
    serviceAccount === undefined ? undefined : readServiceAccount(connection, namespace, serviceAccount, signal),
    readDaemonSets(connection, signal),
    readDriver(connection, signal),
  ]);
  const others = daemonSets.filter((one) => !isAddOn(one)).map(nameOf);
  const classes = seen ?? [];
  const names = daemonSets.filter(isAddOn).map(nameOf);
  const missing = [
    ...(seen === undefined ? [`The cluster does not know the kind SecretProviderClass (${DEFINITION}).`] : []),
    ...(driver === undefined ? [`The cluster has no CSIDriver ${DRIVER}.`] : []),
    ...ADD_ON_DAEMONS.filter((wanted) => !names.some((name) => name.startsWith(wanted))).map(
      (wanted) => `The cluster has no daemon set ${wanted}.`,
    ),
  ];
  return {
    namespaceFound,
    classes,
    ...(account === undefined ? {} : { serviceAccount: account }),
    otherInstallations: others.length === 0 ? (driver?.others ?? []) : others,
    notReady: daemonSets.filter(isAddOn).flatMap(unreadiness),
    ...(missing.length === 0 ? {} : { missing }),
    ...(accounts ? { accounts: await readAccounts(connection, classes, signal) } : {}),
  };
}

const DEFINITION = 'CustomResourceDefinition secretproviderclasses.secrets-store.csi.x-k8s.io';
/** For Windows nodes there are more, with longer names. */
const ADD_ON_DAEMONS = ['kube-system/aks-secrets-store-csi-driver', 'kube-system/aks-secrets-store-provider-azure'];

/** Names only, of the namespaces whose classes need one. */
async function readAccounts(
  connection: KubeConnection,
  classes: readonly SeenClass[],
  signal: AbortSignal,
): Promise<string[]> {
  const needing = classes.filter(({ content }) => content?.identity.mode === 'workload-identity');
  const found: string[] = [];
  for (const namespace of new Set(needing.map((one) => one.namespace))) {
    for await (const object of listObjects(connection, accountPath(namespace), signal)) {
      found.push(`${namespace}/${Part.parse(object).metadata.name}`);
    }
  }
  return found;
}

async function hasNamespace(connection: KubeConnection, name: string, signal: AbortSignal): Promise<boolean> {
  const path = `/api/v1/namespaces/${encodeURIComponent(name)}`;
  const found = await unlessMissing(() => connection.request({ method: 'GET', path, signal }));
  return found !== undefined && Namespace.parse(found).metadata.deletionTimestamp === undefined;
}

async function readServiceAccount(
  connection: KubeConnection,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<SeenServiceAccount | undefined> {
  const found = await findPart(connection, accountPath(namespace, name), signal);
  if (!found) return undefined;
  const { annotations } = found.metadata;
  const clientId = annotations?.[CLIENT_ID];
  const tenantId = annotations?.[TENANT_ID];
  return {
    namespace,
    name,
    ours: isOurs(found.metadata),
    ...(clientId === undefined ? {} : { clientId }),
    ...(tenantId === undefined ? {} : { tenantId }),
  };
}

/** Every class with the pods that mount it. @returns undefined where the cluster does not know the kind: it never had the driver */
export async function readClasses(connection: KubeConnection, signal: AbortSignal): Promise<SeenClass[] | undefined> {
  const found = await unlessMissing(async () => {
    const parts: Part[] = [];
    for await (const object of listObjects(connection, ALL_CLASSES, signal)) parts.push(Part.parse(object));
    return parts;
  });
  if (!found || found.length === 0) return found && [];
  const pods = new Map<string, string[]>();
  for await (const { namespace, name, classes } of listPods(connection, signal)) {
    for (const one of new Set(classes)) {
      const key = `${namespace}/${one}`;
      pods.set(key, [...(pods.get(key) ?? []), `${namespace}/${name}`]);
    }
  }
  return found.map(({ metadata, spec }) => {
    const read = readClass(spec);
    const { namespace, name } = metadata;
    const connection = notedConnection(metadata);
    return {
      namespace,
      name,
      ours: isOurs(metadata),
      ...(read.ok ? { content: { ...read.content, objects: [...read.content.objects] } } : {}),
      problems: read.ok ? [] : [...read.problems],
      pods: pods.get(`${namespace}/${name}`) ?? [],
      ...(connection === undefined ? {} : { connection }),
    };
  });
}

/** Those of the driver and of Azure's provider. Providers of other clouds may use the add-on's driver. */
async function readDaemonSets(connection: KubeConnection, signal: AbortSignal): Promise<DaemonSet[]> {
  const found: DaemonSet[] = [];
  for await (const object of listObjects(connection, '/apis/apps/v1/daemonsets', signal)) {
    const one = DaemonSet.parse(object);
    if (isDriverOrProvider(one)) found.push(one);
  }
  return found;
}

const APPS: readonly string[] = [
  'secrets-store-csi-driver',
  'secrets-store-provider-azure',
  'csi-secrets-store-provider-azure',
];

function isDriverOrProvider({ metadata, spec }: DaemonSet): boolean {
  const app = metadata.labels?.['app'] ?? metadata.labels?.['app.kubernetes.io/name'] ?? '';
  const images = spec.template.spec.containers.map(({ image }) => image);
  return (
    APPS.includes(app) ||
    images.some((image) => /csi-secrets-store\/driver|secrets-store\/driver|secrets-store\/provider-azure/.test(image))
  );
}

/** AKS names its own so; a chart of Helm cannot use kube-system's names beside them. */
function isAddOn({ metadata }: DaemonSet): boolean {
  return metadata.namespace === 'kube-system' && metadata.name.startsWith('aks-secrets-store-');
}

function nameOf({ metadata }: DaemonSet): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function unreadiness(one: DaemonSet): string[] {
  const { desiredNumberScheduled: wanted, numberReady: ready } = one.status;
  if (ready >= wanted) return [];
  return [`The daemon set ${nameOf(one)} is ready on ${ready} of ${wanted} nodes.`];
}

/**
 * The CSIDriver. `others`: a release of Helm outside kube-system left or brings it, although none of its daemon sets is there.
 * @returns undefined where there is none
 */
async function readDriver(
  connection: KubeConnection,
  signal: AbortSignal,
): Promise<{ readonly others: string[] } | undefined> {
  const path = `/apis/storage.k8s.io/v1/csidrivers/${DRIVER}`;
  const found = await unlessMissing(() => connection.request({ method: 'GET', path, signal }));
  if (found === undefined) return undefined;
  const { annotations } = Driver.parse(found).metadata;
  const release = annotations?.['meta.helm.sh/release-name'];
  const namespace = annotations?.['meta.helm.sh/release-namespace'];
  const byHelm = release !== undefined && namespace !== undefined && namespace !== 'kube-system';
  return { others: byHelm ? [`${namespace}/${release} (CSIDriver ${DRIVER})`] : [] };
}
