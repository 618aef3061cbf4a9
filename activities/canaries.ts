/**
 * Canaries: small Secrets of Keyturn's own that show which key the API servers write with.
 *
 * Does: makes three in kube-system for one operation, finds them again, probes them, and deletes them.
 * Never does: touch a Secret that it did not make.
 */
import type { Baseline, Canary } from '../domain/convergence';
import { needsPerson } from './failures';
import type { KubeConnection } from './kubernetes/connection';
import { KubeError } from './kubernetes/errors';
import { createSecret, deleteSecret, FIELD_MANAGER, readSecret, type DetailedMetadata } from './kubernetes/metadata';
import { countSecrets } from './kubernetes/secret-list';
import { hearProcesses } from './witnesses';

/** The label that every canary carries; its value tells the operation. */
export const CANARY_LABEL = 'keyturn.dev/canary';
const NAMESPACE = 'kube-system';
/** How many canaries an operation has. */
export const CANARY_COUNT = 3;
const ID_LENGTH = 12;

/**
 * Tells the operation's own canaries, by where they are: somebody may have copied one, label and all. Canaries that an earlier
 * operation left behind are Secrets like any other: one that is not rewritten becomes unreadable when its key is evicted, and
 * one unreadable Secret breaks every LIST of Secrets.
 */
export function canariesOf(
  operationId: string,
): (secret: { readonly namespace: string; readonly name: string }) => boolean {
  const names = new Set(namesOf(operationId));
  return ({ namespace, name }) => namespace === NAMESPACE && names.has(name);
}

/** Makes the operation's canaries, or finds them. @throws KubeError; ApplicationFailure when a name is taken by a stranger */
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
 */
export async function takeBaseline(
  connection: KubeConnection,
  operationId: string,
  signal?: AbortSignal,
): Promise<Baseline> {
  const canaries = await ensureCanaries(connection, operationId, signal);
  const { resourceVersion } = await countSecrets(connection, { signal });
  return { baselineRv: resourceVersion, canaries, processes: await hearProcesses(connection, signal) };
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

/**
 * Whether nobody but Keyturn has written a canary's content. A rewrite of the stored record by an API server leaves
 * `managedFields` alone; a change by anybody else does not, and says nothing about keys.
 */
export function isUntouched(metadata: DetailedMetadata): boolean {
  return metadata.managedFields.every(({ manager }) => manager === FIELD_MANAGER);
}

async function ensureCanary(
  connection: KubeConnection,
  operationId: string,
  name: string,
  signal?: AbortSignal,
): Promise<DetailedMetadata> {
  const label = idOf(operationId);
  try {
    return await createSecret(
      connection,
      {
        metadata: { namespace: NAMESPACE, name, labels: { [CANARY_LABEL]: label } },
        stringData: { about: 'Made by Keyturn to see which key API servers write with. Holds nothing secret.' },
      },
      { signal },
    );
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

function canaryOf({ namespace, name, uid, resourceVersion }: DetailedMetadata): Canary {
  return { namespace, name, uid, resourceVersion };
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
