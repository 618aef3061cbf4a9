/**
 * Before a plan: would the cluster store Keyturn's own objects, and would it leave canaries unchanged?
 *
 * Does: dry runs of a canary, of the ledger, and of an update of a Secret in kube-system. Stores nothing.
 * Never does: promise that canaries will stay unchanged. Only canaries themselves show that, before the key is set.
 */
import { z } from 'zod';
import { couldChange, type AdmissionSight } from '../domain/admission';
import { canonicalJson } from '../domain/canonical';
import type { RefusedObject } from '../domain/census';
import { CANARY_LABEL, canarySecret } from './canaries';
import type { KubeConnection } from './kubernetes/connection';
import { KubeError } from './kubernetes/errors';
import { AS_METADATA_LIST } from './kubernetes/metadata-list';
import { createDryRun, patchDryRun, readSecret, SecretMetadata, type DetailedMetadata } from './kubernetes/metadata';
import { storeLedgerDryRun } from './ledger';
import { sleep } from './running';
import { Pacer } from './secrets/pacer';
import type { Pace } from './secrets/pass';
import { RetryBudget } from './secrets/retry-budget';

/** The result of the dry runs. */
export interface Rehearsal {
  readonly refusedObjects: RefusedObject[];
  /** Whether something changes a Secret on each of two updates. */
  readonly keepsChanging: boolean;
}

const NAMESPACE = 'kube-system';
const NAME = 'keyturn-canary-census';
const LABEL = 'census';
/** Webhooks that write the time do so in seconds. */
const BETWEEN_UPDATES_IN_MS = 1_100;
const Some = z.object({ items: z.array(z.object({ metadata: SecretMetadata })).nullish() });

/** Tries what an operation does in addition to its rewrite. @throws KubeError when the API server is away; the signal's reason */
export async function rehearse(
  connection: KubeConnection,
  admission: AdmissionSight,
  pace: Pace,
  signal: AbortSignal,
): Promise<Rehearsal> {
  const budget = (): RetryBudget => new RetryBudget(new Pacer(pace), signal);
  const refusedObjects: RefusedObject[] = [];
  const attempts: readonly [string, () => Promise<unknown>][] = [
    [`Secret ${NAMESPACE}/${NAME}`, () => createDryRun(connection, canarySecret(NAME, LABEL), { signal })],
    [`ConfigMap ${NAMESPACE}/keyturn-ledger`, () => storeLedgerDryRun(connection, signal)],
  ];
  for (const [object, attempt] of attempts) {
    const refusal = await refusalOf(attempt, budget());
    if (refusal) refusedObjects.push({ object, ...refusal });
  }
  const keepsChanging = couldChange(admission) && (await changesEachTime(connection, signal));
  return { refusedObjects, keepsChanging };
}

async function refusalOf(
  attempt: () => Promise<unknown>,
  budget: RetryBudget,
): Promise<Awaited<ReturnType<RetryBudget['next']>>> {
  for (;;) {
    try {
      await attempt();
      return undefined;
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      const refusal = await budget.next(error);
      if (refusal) return refusal;
    }
  }
}

/**
 * Two dry runs of an update of some Secret in kube-system, labelled as a canary. The second runs as if the first had been stored:
 * a webhook that adds something once changes nothing more then.
 */
async function changesEachTime(connection: KubeConnection, signal: AbortSignal): Promise<boolean> {
  try {
    const some = await someSecret(connection, signal);
    if (some === undefined) return false;
    const before = await readSecret(connection, some, { signal });
    const labels = { [CANARY_LABEL]: LABEL };
    const first = await patchDryRun(connection, some, { signal }, { labels });
    const added = {
      labels: { ...changesOf(before.labels, first.labels), ...labels },
      annotations: changesOf(before.annotations, first.annotations),
    };
    if (Object.keys(added.annotations).length === 0 && Object.keys(added.labels).length === 1) return false;
    await sleep(BETWEEN_UPDATES_IN_MS, signal);
    const second = await patchDryRun(connection, some, { signal }, added);
    return shown(second) !== shown(first);
  } catch (error) {
    // The census finds what refuses this Secret. What refuses or changes canaries shows before the key is set.
    if (error instanceof KubeError) return false;
    throw error;
  }
}

async function someSecret(connection: KubeConnection, signal: AbortSignal): Promise<SecretMetadata | undefined> {
  const path = `/api/v1/namespaces/${NAMESPACE}/secrets?limit=1`;
  const answer = await connection.request({ method: 'GET', path, accept: AS_METADATA_LIST, signal });
  return Some.parse(answer).items?.[0]?.metadata;
}

function changesOf(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(Object.entries(after).filter(([name, value]) => before[name] !== value));
}

function shown({ labels, annotations }: DetailedMetadata): string {
  return canonicalJson({ labels, annotations });
}
