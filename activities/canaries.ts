/**
 * Canaries: small Secrets of Keyturn's own that show which key the API servers write with.
 *
 * Does: makes three in kube-system for one operation, finds them again, and deletes them. Before a switch it checks that they
 *       do not change: a change that an admission webhook makes on each update would look like a switch.
 * Never does: touch a Secret that it did not make.
 */
import { describeChanging } from '../domain/admission';
import type { Baseline, Canary } from '../domain/convergence';
import { needsPerson } from './failures';
import { readAdmission } from './kubernetes/admission';
import type { KubeConnection } from './kubernetes/connection';
import { KubeError } from './kubernetes/errors';
import {
  createSecret,
  deleteSecret,
  patchByUid,
  readSecret,
  type DetailedMetadata,
  type NewSecret,
} from './kubernetes/metadata';
import { countSecrets } from './kubernetes/secret-list';
import { hearProcesses } from './server-report';

/** The label that every canary carries; its value tells the operation. */
export const CANARY_LABEL = 'keyturn.dev/canary';
const NAMESPACE = 'kube-system';
/** How many canaries an operation has. */
export const CANARY_COUNT = 3;
const ID_LENGTH = 12;
/** This many patches in a row, each over a new connection, must leave a canary as it is before the key may be set. */
const STILL_PATCHES = 5;
/** A canary that was changed more often than this will go on changing. */
const MOST_CHANGES = 5;

/**
 * Recognizes the operation's own canaries by namespace and name: another client may have copied one, label included. Canaries that an earlier
 * operation left behind are Secrets like any other: one that is not rewritten becomes unreadable when its key is evicted, and
 * one unreadable Secret breaks every LIST of Secrets.
 */
export function canariesOf(
  operationId: string,
): (secret: { readonly namespace: string; readonly name: string }) => boolean {
  const names = new Set(namesOf(operationId));
  return ({ namespace, name }) => namespace === NAMESPACE && names.has(name);
}

/** Makes the operation's canaries, or finds them. @throws KubeError; ApplicationFailure when a Secret that Keyturn did not make has the name */
export async function ensureCanaries(
  connection: KubeConnection,
  operationId: string,
  signal?: AbortSignal,
): Promise<Canary[]> {
  const made = namesOf(operationId).map((name) => ensureCanary(connection, operationId, name, signal));
  return (await Promise.all(made)).map(canaryOf);
}

/**
 * Canaries, R0 and the API servers, for the time before a switch. Repeating it before the switch gives the same canaries and a later R0,
 * which is as good.
 * @throws ApplicationFailure `CanariesNotStill` or `NotConverged`, non-retryable, when a canary goes on changing
 */
export async function takeBaseline(
  connection: KubeConnection,
  operationId: string,
  signal?: AbortSignal,
): Promise<Baseline> {
  const canaries: Canary[] = [];
  for (const canary of await ensureCanaries(connection, operationId, signal)) {
    canaries.push(await stillCanary(connection, canary, signal));
  }
  const { resourceVersion } = await countSecrets(connection, { signal });
  return { baselineRv: resourceVersion, canaries, processes: await hearProcesses(connection, signal) };
}

/**
 * Sends empty patches to a canary until one changes nothing any more. A webhook that adds something once has added it by then; a
 * webhook that changes something on every update never ends.
 */
async function stillCanary(connection: KubeConnection, made: Canary, signal?: AbortSignal): Promise<Canary> {
  let known = made;
  let [still, contentChanges, flips] = [0, 0, 0];
  while (still < STILL_PATCHES) {
    const now = canaryOf(await patchCanary(connection, known, 'The key was not set.', signal));
    const isSame = now.resourceVersion === known.resourceVersion;
    still = isSame ? still + 1 : 0;
    if (!isSame && now.content === known.content) flips++;
    if (!isSame && now.content !== known.content) contentChanges++;
    known = now;
    if (contentChanges > MOST_CHANGES) {
      throw await canariesNotStill(connection, { changed: made.name, consequence: 'The key was not set.' }, signal);
    }
    if (flips > MOST_CHANGES) {
      throw needsPerson(
        'NotConverged',
        `Patches that change nothing made API servers store the canary ${made.namespace}/${made.name} again ${flips} times with the same content: they do not all write with the same key. The key was not set. Wait until every API server writes with the current key, then retry.`,
      );
    }
  }
  return known;
}

/**
 * Patches a canary with nothing, over a new connection.
 * @throws ApplicationFailure `CanariesNotStill`, non-retryable, when something changes its data: it is immutable, so the API
 *         server refuses that; KubeError
 */
export async function patchCanary(
  connection: KubeConnection,
  canary: Pick<Canary, 'namespace' | 'name' | 'uid'>,
  consequence: string,
  signal?: AbortSignal,
): Promise<DetailedMetadata> {
  try {
    return await patchByUid(connection, canary, { fresh: true, signal });
  } catch (error) {
    if (!(error instanceof KubeError) || error.status !== 422) throw error;
    throw await canariesNotStill(connection, { changed: canary.name, consequence }, signal);
  }
}

/** The failure that says that something changes Secrets on update, with the webhooks and policies that could. */
export async function canariesNotStill(
  connection: KubeConnection,
  { changed, consequence }: { readonly changed: string; readonly consequence: string },
  signal?: AbortSignal,
): Promise<Error> {
  const names = describeChanging(await readAdmission(connection, signal));
  return needsPerson(
    'CanariesNotStill',
    `Patches that change nothing go on changing the content of ${NAMESPACE}/${changed}. Keyturn cannot distinguish such a change from that of an API server that writes with another key. ${consequence} ` +
      `Mutating webhooks and policies that match an update of a Secret: ${names}. Exempt Secrets with the label ${CANARY_LABEL} from the one that does it, then retry.`,
  );
}

/** Deletes the operation's canaries; those that are gone are fine. @throws KubeError */
export async function removeCanaries(
  connection: KubeConnection,
  operationId: string,
  signal?: AbortSignal,
): Promise<void> {
  for (const name of namesOf(operationId)) {
    await deleteSecret(connection, { namespace: NAMESPACE, name }, { signal });
  }
}

async function ensureCanary(
  connection: KubeConnection,
  operationId: string,
  name: string,
  signal?: AbortSignal,
): Promise<DetailedMetadata> {
  const label = idOf(operationId);
  try {
    return await createSecret(connection, canarySecret(name, label), { signal });
  } catch (error) {
    if (!(error instanceof KubeError) || error.status !== 409) throw error;
  }
  const found = await readSecret(connection, { namespace: NAMESPACE, name }, { signal });
  if (found.labels[CANARY_LABEL] !== label) {
    throw needsPerson(
      'ClusterAccessRefused',
      `There is a Secret ${NAMESPACE}/${name} that Keyturn did not make (it has no label ${CANARY_LABEL}=${label}). Rename or remove it, then retry.`,
    );
  }
  return found;
}

/** Immutable: then every change shows in its metadata, or is refused. A change of a mutable value need not show. */
export function canarySecret(name: string, label: string): NewSecret {
  return {
    metadata: { namespace: NAMESPACE, name, labels: { [CANARY_LABEL]: label } },
    immutable: true,
    stringData: { about: 'Made by Keyturn to see which key API servers write with. Holds nothing secret.' },
  };
}

function canaryOf({ namespace, name, uid, resourceVersion, content }: DetailedMetadata): Canary {
  return { namespace, name, uid, resourceVersion, content };
}

function namesOf(operationId: string): string[] {
  return Array.from({ length: CANARY_COUNT }, (_, index) => `keyturn-canary-${idOf(operationId)}-${index + 1}`);
}

/** The operation's id as a label value and a part of a name: lower case letters, digits and dashes. */
function idOf(operationId: string): string {
  const id = operationId
    .replace(/^op-/, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, '-')
    .slice(0, ID_LENGTH);
  return id.replaceAll(/^-+|-+$/g, '') || 'operation';
}
