/**
 * Service accounts and SecretProviderClasses of connections.
 *
 * Does: reads before it writes, and writes with the state that it read as precondition: another client that was there in between
 *       makes the write fail, and Temporal retries.
 * Never does: change what says something else, or delete what Keyturn did not make or what a pod uses.
 */
import type { AzureAccess } from '../../azure/access';
import {
  classDifferences,
  classParameters,
  readClass,
  type ClassContent,
} from '../../domain/csi/secret-provider-class';
import { listed } from '../../domain/listed';
import type { StepOf } from '../../domain/plan/steps';
import { sameText } from '../../domain/resource-ids';
import { tryAgain } from '../failures';
import type { KubeConnection } from '../kubernetes/connection';
import { KubeError } from '../kubernetes/errors';
import type { StepWork } from '../run-activity';
import { principalOf } from './identity';
import { requireNoConnection } from './service-connection';
import { notAsApproved } from './approved-class';
import { connectionAnnotations, connectionLabels, isOurs, notedConnection } from './label';
import {
  accountPath,
  AS_KEYTURN,
  classPath,
  CLIENT_ID,
  findPart,
  listPods,
  TENANT_ID,
  type Part,
  type UsingPod,
} from './objects';

/** The types of steps that change something in the cluster. */
export type KubernetesPart =
  'create-service-account' | 'create-secret-provider-class' | 'delete-secret-provider-class' | 'delete-service-account';

/** An API server serves a new kind a few seconds after the add-on was turned on. */
const NEW_KIND_IN_MS = 5_000;

/** What writes to the cluster need. */
interface Writing {
  readonly connection: KubeConnection;
  readonly operationId: string;
  readonly signal: AbortSignal;
}

/** Carries out one step. @throws ApplicationFailure `ConnectionNotAsApproved`, `IdentityNotAsApproved`; KubeError, ArmError, TokenError */
export async function changeKubernetesPart(
  azure: Parameters<typeof principalOf>[0] & Pick<AzureAccess, 'clusters' | 'serviceConnections'>,
  { step, cluster, operationId, signal, inside }: StepWork<KubernetesPart>,
): Promise<{ changed: boolean }> {
  const clientIdOf = async (one: StepOf<'create-service-account' | 'create-secret-provider-class'>): Promise<string> =>
    (await principalOf(azure, cluster, one.identity, { abortSignal: signal })).clientId ?? '';
  const within = (work: (writing: Writing) => Promise<boolean>): Promise<boolean> =>
    inside((connection) => work({ connection, operationId, signal }));
  switch (step.type) {
    case 'create-service-account': {
      const clientId = await clientIdOf(step);
      return { changed: await within((writing) => createServiceAccount(writing, step, clientId)) };
    }
    case 'create-secret-provider-class': {
      const clientId = await clientIdOf(step);
      const requireNone = async (): Promise<void> => {
        if (step.connection) await requireNoConnection(azure, { cluster, ...step.connection }, signal);
      };
      return { changed: await within((writing) => createClass(writing, step, { clientId, requireNone })) };
    }
    case 'delete-secret-provider-class': {
      const path = classPath(step.namespace, step.name);
      const uses = ({ classes }: UsingPod): boolean => classes.includes(step.name);
      return { changed: await within((writing) => remove(writing, step, { path, kind: 'SecretProviderClass', uses })) };
    }
    case 'delete-service-account': {
      const path = accountPath(step.namespace, step.name);
      const uses = ({ serviceAccount }: UsingPod): boolean => serviceAccount === step.name;
      return { changed: await within((writing) => remove(writing, step, { path, kind: 'service account', uses })) };
    }
  }
}

async function createServiceAccount(
  { connection, operationId, signal }: Writing,
  { namespace, name, tenantId }: StepOf<'create-service-account'>,
  clientId: string,
): Promise<boolean> {
  const path = accountPath(namespace, name);
  const annotations = { [CLIENT_ID]: clientId, [TENANT_ID]: tenantId };
  const found = await findPart(connection, path, signal);
  if (!found) {
    const metadata = { namespace, name, labels: connectionLabels(operationId), annotations };
    const body = { apiVersion: 'v1', kind: 'ServiceAccount', metadata };
    await connection.request({ method: 'POST', path: `${accountPath(namespace)}${AS_KEYTURN}`, body, signal });
    return true;
  }
  const has = found.metadata.annotations ?? {};
  if (has[CLIENT_ID] === undefined) {
    const { uid, resourceVersion } = found.metadata;
    await connection.request({
      method: 'PATCH',
      path: `${path}${AS_KEYTURN}`,
      contentType: 'application/merge-patch+json',
      body: { metadata: { uid, resourceVersion, annotations } },
      signal,
    });
    return true;
  }
  const tenant = has[TENANT_ID] ?? tenantId;
  if (sameText(has[CLIENT_ID], clientId) && sameText(tenant, tenantId)) return false;
  throw notAsApproved(
    `The service account ${namespace}/${name} names the client id ${has[CLIENT_ID]} of the tenant ${tenant}, and the plan names ${clientId} of ${tenantId}.`,
  );
}

async function createClass(
  { connection, operationId, signal }: Writing,
  step: StepOf<'create-secret-provider-class'>,
  { clientId, requireNone }: { readonly clientId: string; readonly requireNone: () => Promise<void> },
): Promise<boolean> {
  const { namespace, name, exists, connection: toNote } = step;
  const found = await findPart(connection, classPath(namespace, name), signal);
  const wanted = contentOf(step, clientId);
  if (found) {
    const read = readClass(found.spec);
    const differences = read.ok ? classDifferences(read.content, wanted) : read.problems;
    if (differences.length > 0) {
      throw notAsApproved(
        `The SecretProviderClass ${namespace}/${name} is not as the plan has it: ${differences.join(' ')}`,
      );
    }
    return (
      toNote !== undefined && (await noteConnection({ connection, operationId, signal }, found, toNote, requireNone))
    );
  }
  if (exists)
    throw notAsApproved(`The SecretProviderClass ${namespace}/${name} was there when the plan was made, and is gone.`);
  if (toNote) await requireNone();
  const annotations = toNote ? { annotations: connectionAnnotations(toNote) } : {};
  const body = {
    apiVersion: 'secrets-store.csi.x-k8s.io/v1',
    kind: 'SecretProviderClass',
    metadata: { namespace, name, labels: connectionLabels(operationId), ...annotations },
    spec: { provider: 'azure', parameters: classParameters(wanted) },
  };
  try {
    await connection.request({ method: 'POST', path: `${classPath(namespace)}${AS_KEYTURN}`, body, signal });
  } catch (error) {
    // Not an answer about the namespace: the API server knows no such path yet.
    if (!(error instanceof KubeError) || error.status !== 404 || error.refusal === 'NamespaceMissing') throw error;
    throw tryAgain(
      'ClusterUnavailable',
      `The cluster does not know the kind SecretProviderClass yet: the add-on azureKeyvaultSecretsProvider brings it. The worker retries.`,
      NEW_KIND_IN_MS,
      error,
    );
  }
  return true;
}

/** Notes in a class of Keyturn's which connection is about to be made. @returns false when it notes it already */
async function noteConnection(
  { connection, signal }: Writing,
  { metadata }: Part,
  toNote: NonNullable<StepOf<'create-secret-provider-class'>['connection']>,
  requireNone: () => Promise<void>,
): Promise<boolean> {
  const { namespace, name, uid, resourceVersion } = metadata;
  if (!isOurs(metadata)) {
    throw notAsApproved(`Another client made the SecretProviderClass ${namespace}/${name}.`);
  }
  const noted = notedConnection(metadata);
  // An earlier try noted it, and may have gone on.
  if (noted && sameText(noted.name, toNote.name) && sameText(noted.vaultId, toNote.vaultId)) return false;
  await requireNone();
  await connection.request({
    method: 'PATCH',
    path: `${classPath(namespace, name)}${AS_KEYTURN}`,
    contentType: 'application/merge-patch+json',
    body: { metadata: { uid, resourceVersion, annotations: connectionAnnotations(toNote) } },
    signal,
  });
  return true;
}

function contentOf(
  { vaultName, tenantId, cloudName, access, objects }: StepOf<'create-secret-provider-class'>,
  clientId: string,
): ClassContent {
  const identity =
    access === 'workload-identity'
      ? { mode: access, clientId }
      : { mode: access, ...(clientId === '' ? {} : { clientId }) };
  return { vaultName, tenantId, cloudName, identity, objects };
}

/** Deletes the object in the state in which it was seen to be unused. */
async function remove(
  { connection, signal }: Writing,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  { path, kind, uses }: { readonly path: string; readonly kind: string; readonly uses: (pod: UsingPod) => boolean },
): Promise<boolean> {
  const found = await findPart(connection, path, signal);
  if (!found || found.metadata.deletionTimestamp !== undefined) return false;
  if (!isOurs(found.metadata)) {
    throw notAsApproved(`Keyturn did not make the ${kind} ${namespace}/${name}: it has no label of a connection.`);
  }
  const using: string[] = [];
  for await (const pod of listPods(connection, signal, namespace)) {
    if (uses(pod)) using.push(`${pod.namespace}/${pod.name}`);
  }
  if (using.length > 0) {
    throw notAsApproved(`Pods use the ${kind} ${namespace}/${name} by now: ${listed(using)}.`);
  }
  return await deleted(connection, path, found, signal);
}

async function deleted(
  connection: KubeConnection,
  path: string,
  { metadata }: Part,
  signal: AbortSignal,
): Promise<boolean> {
  const { uid, resourceVersion } = metadata;
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion } };
  try {
    await connection.request({ method: 'DELETE', path, body, signal });
  } catch (error) {
    if (!(error instanceof KubeError) || error.status !== 404) throw error;
  }
  return true;
}
