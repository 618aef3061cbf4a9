/**
 * The census: what can be known about the rewrite, Secret by Secret, before any key is touched.
 *
 * Does: checks each Secret in the cheapest way that tells what can be told in this cluster: by the list itself (to Kubernetes 1.30
 *       it reads every record from etcd; later versions list from a cache), by a read of its metadata, or by a dry run of the
 *       patch where admission or authorization could deny or change it. After an earlier census it checks what has changed.
 * Never does: store anything, or read a value.
 * Source: research note rotation-systems.md 1.1 (5); KEP-2340 (lists from the cache).
 */
import { couldApply, couldChange, type AdmissionSight } from '../../domain/admission';
import { CENSUS_NAMES, leavesRoom, mayBuildOn, type Census, type CensusProblem } from '../../domain/census';
import { compareResourceVersions } from '../../domain/proof';
import { refusalReason, RefusalReason } from '../../domain/refusal';
import { readAdmission } from '../kubernetes/admission';
import { mayPatchSecrets, minorVersion, namespaceNames } from '../kubernetes/cluster-facts';
import type { KubeConnection } from '../kubernetes/connection';
import { KubeError } from '../kubernetes/errors';
import type { ListedSecret } from '../kubernetes/metadata';
import { rehearse } from '../rehearsal';
import type { Running } from '../running';
import { passOverSecrets, type Pace, type PassContext } from './pass';
import { tryOut } from './try-out';

/** A finalizer that takes longer than this is stuck. A deletion that began later is no finding. */
const FINALIZING_AFTER_IN_MS = 10 * 60_000;
/** The key that an API server names when it cannot decrypt a record: `/registry/secrets/{namespace}/{name}`. */
const RECORD = /\/registry\/secrets\/([a-z0-9.-]+)\/([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)/;
/** From this minor version on a list comes from the watch cache and says nothing about the records in etcd. */
const LISTS_FROM_CACHE = 31;

/** So many answers tell how long writes take. */
const MEASURED_WRITES = 200;

/** Options of a census. */
export interface CensusOptions {
  /** Its result is taken over for Secrets that have not changed since, where that is allowed. */
  readonly earlier?: Census;
  readonly now?: () => number;
}

/** How one Secret is checked: `list` means that the list has told everything. */
type HowToAsk = (secret: ListedSecret) => 'list' | 'read' | 'dry-run';

/**
 * Finds out what would happen to every Secret.
 * @throws KubeError when the API server is away or refuses the list; the signal's reason
 */
export async function takeCensus(
  connection: KubeConnection,
  pace: Pace,
  running: Running,
  { earlier, now = Date.now }: CensusOptions = {},
): Promise<Census> {
  const admission = await readAdmission(connection, running.signal);
  const rehearsal = await rehearse(connection, admission, pace, running.signal);
  const howToAsk = await waysToAsk(connection, admission, running.signal);
  const since = mayBuildOn(earlier, admission) ? earlier.listRv : undefined;
  const tally = new Tally();
  const tookInMs: number[] = [];
  const took = (ms: number): void => void (tookInMs.length < MEASURED_WRITES && tookInMs.push(ms));
  let listRv: string | undefined;
  const handle = async (secret: ListedSecret, context: PassContext): Promise<void> => {
    const unchanged = since !== undefined && compareResourceVersions(secret.resourceVersion, since) <= 0;
    const how = unchanged ? 'list' : howToAsk(secret);
    const tried = how === 'list' ? {} : await tryOut(connection, secret, how, context, took);
    if (tried.gone) return;
    tally.secrets++;
    const name = `${secret.namespace}/${secret.name}`;
    if (tried.refusal) tally.met(name, tried.refusal.reason, tried.refusal.message);
    if (tried.changed) tally.changed.add(name);
    if (!leavesRoom(secret.annotationBytes ?? 0)) tally.annotated.add(name);
    if (now() - Date.parse(secret.deletionTimestamp ?? '') > FINALIZING_AFTER_IN_MS) tally.finalizing.add(name);
  };
  try {
    const detail = couldChange(admission) ? 'content' : 'size';
    // A list that became too old goes on with a later resource version. Its first pages belong to the first one.
    const onPage = (pageRv: string): void => void (listRv ??= pageRv);
    await passOverSecrets(connection, { pace, detail, onPage, handle }, running);
  } catch (error) {
    // API servers below 1.31 list from etcd, and one record that cannot be decrypted fails the whole list.
    const reason = error instanceof KubeError ? refusalReason(error) : undefined;
    if (!(error instanceof KubeError) || reason !== 'Unreadable') throw error;
    const [, namespace, name] = RECORD.exec(error.message) ?? [];
    tally.met(
      name === undefined ? 'one that the API server does not name' : `${namespace}/${name}`,
      reason,
      error.message,
    );
  }
  const writes = tookInMs.length === 0 ? {} : { writes: { medianInMs: median(tookInMs), inFlight: pace.inFlight } };
  return { ...tally.result(), listRv, admission, ...rehearsal, ...writes };
}

/** What could go wrong in this cluster decides how a Secret is checked. What Keyturn may not read counts as possible. */
async function waysToAsk(
  connection: KubeConnection,
  admission: AdmissionSight,
  signal: AbortSignal,
): Promise<HowToAsk> {
  if (couldApply(admission) || !(await mayPatchSecrets(connection, signal))) return () => 'dry-run';
  const namespaces = await namespaceNames(connection, signal);
  const elsewhere = (await minorVersion(connection, signal)) < LISTS_FROM_CACHE ? 'list' : 'read';
  // Built-in admission refuses a Secret whose namespace does not exist.
  return ({ namespace }) => (namespaces?.has(namespace) ? elsewhere : 'dry-run');
}

/** In whole tenths of a second, as it is shown. */
function median(durations: readonly number[]): number {
  const sorted = [...durations].sort((one, other) => one - other);
  return Math.round((sorted[Math.floor(sorted.length / 2)] ?? 0) / 100) * 100;
}

/** Some Secrets: counts all, and names the first ones in alphabetical order. */
class Names {
  count = 0;
  readonly secrets: string[] = [];

  /** @returns whether it is the first by name of those so far */
  add(name: string): boolean {
    this.count++;
    // By name, not in the order of answers: the same Secrets give the same census.
    this.secrets.push(name);
    this.secrets.sort();
    this.secrets.splice(CENSUS_NAMES);
    return this.secrets[0] === name;
  }
}

/** The findings so far. */
class Tally {
  secrets = 0;
  readonly finalizing = new Names();
  readonly changed = new Names();
  readonly annotated = new Names();
  readonly #problems = new Map<RefusalReason, { readonly names: Names; readonly message: string }>();

  met(secret: string, reason: RefusalReason, message: string): void {
    const problem = this.#problems.get(reason) ?? { names: new Names(), message };
    const isFirst = problem.names.add(secret);
    this.#problems.set(reason, isFirst ? { ...problem, message } : problem);
  }

  result(): Pick<Census, 'secrets' | 'problems' | 'finalizing' | 'changed' | 'annotated'> {
    const problems = RefusalReason.options.flatMap((reason): CensusProblem[] => {
      const problem = this.#problems.get(reason);
      return problem ? [{ reason, ...plain(problem.names), message: problem.message }] : [];
    });
    const { secrets, finalizing, changed, annotated } = this;
    return {
      secrets,
      problems,
      finalizing: plain(finalizing),
      changed: plain(changed),
      annotated: plain(annotated),
    };
  }
}

function plain({ count, secrets }: Names): { count: number; secrets: string[] } {
  return { count, secrets: [...secrets] };
}
