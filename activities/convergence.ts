/**
 * Convergence: does every API server of a cluster write with the target key?
 *
 * Needs: canaries that were written before the switch, or, when no switch was made, canaries at all.
 * Does: sends no-op patches to canaries, each over a new connection. One changes an untouched canary only if the server
 *       that answers writes with another key than the record is under; servers that disagree go on changing it.
 * Never does: take a quiet network for an answer. Only answered probes count.
 * Sources: DESIGN.md section 7; research note rotation-systems.md 1.3 and 9.
 */
import { compareResourceVersions } from '../domain/proof';
import type { Baseline, Canary, Convergence } from '../domain/convergence';
import { shortKeyId } from '../domain/resource-ids';
import { ensureCanaries, isUntouched } from './canaries';
import { needsPerson } from './failures';
import type { KubeConnection } from './kubernetes/connection';
import { KubeError } from './kubernetes/errors';
import { countSecrets, patchByUid } from './kubernetes/metadata';
import { sleep, type Running } from './running';
import { hearServers, type Testimony } from './witnesses';

const TOUCHED_ANNOTATION = 'keyturn.dev/touched';

/** What to wait for. */
export interface ConvergenceInput {
  readonly keyId: string;
  readonly operationId: string;
  /** Absent when no switch was made: then the servers only have to agree. */
  readonly baseline?: Baseline;
}

/** How patient and how strict. */
export interface ConvergenceLimits {
  /** Without convergence after this long, a person is asked. */
  readonly deadlineInMs: number;
  readonly pollInMs: number;
  /** So many probes in a row must change nothing. */
  readonly stillProbes: number;
}

/** What operations use: AKS rolls a control plane in minutes. */
export const CONVERGENCE_LIMITS: ConvergenceLimits = { deadlineInMs: 30 * 60_000, pollInMs: 1_000, stillProbes: 20 };

/**
 * Waits until every API server writes with the key, then notes Rc.
 * @throws ApplicationFailure `NotConverged`, non-retryable, at the deadline: it names what it waits for
 * @throws KubeError when the cluster refuses a probe outright
 */
export async function awaitConvergence(
  connection: KubeConnection,
  input: ConvergenceInput,
  { signal }: Pick<Running, 'signal'>,
  limits: ConvergenceLimits = CONVERGENCE_LIMITS,
): Promise<Convergence> {
  const watch = new CanaryWatch(connection, input, signal);
  const deadline = Date.now() + limits.deadlineInMs;
  let waitsFor = 'a first answer';
  let testimony: Testimony | undefined;
  while (testimony === undefined) {
    if (Date.now() > deadline) {
      throw needsPerson(
        'NotConverged',
        `After ${Math.round(limits.deadlineInMs / 1000)} s not every API server is seen to write with ${shortKeyId(input.keyId)}. ` +
          `Still waiting for: ${waitsFor}. Nothing was rewritten. Look at the API servers and at the key's permissions, then retry.`,
      );
    }
    try {
      const step = await nextStep(watch, connection, input, limits, signal);
      if (step.done) testimony = step.testimony;
      else waitsFor = step.waitsFor;
    } catch (error) {
      // While servers roll, connections break and requests fail: that is no answer, and the next try may get one.
      if (!(error instanceof KubeError) || !error.transient) throw error;
      waitsFor = `an answer (${error.message})`;
    }
    if (testimony === undefined) await sleep(limits.pollInMs, signal);
  }
  const { resourceVersion } = await countSecrets(connection, { signal });
  return {
    convergedRv: resourceVersion,
    probes: watch.probes,
    stillProbes: limits.stillProbes,
    flips: watch.flips,
    leases: [...testimony.leases],
    metrics: testimony.metrics === 'confirmed' ? 'confirmed' : 'unavailable',
  };
}

type Step =
  { readonly done: true; readonly testimony: Testimony } | { readonly done: false; readonly waitsFor: string };

async function nextStep(
  watch: CanaryWatch,
  connection: KubeConnection,
  { keyId }: ConvergenceInput,
  { stillProbes }: ConvergenceLimits,
  signal: AbortSignal,
): Promise<Step> {
  const unswitched = await watch.probeUnswitched();
  if (unswitched.length > 0) {
    return {
      done: false,
      waitsFor: `a change of the ${unswitched.length === 1 ? 'canary' : 'canaries'} ${unswitched.join(', ')}`,
    };
  }
  if (!(await watch.isStill(stillProbes))) {
    return {
      done: false,
      waitsFor: `API servers that agree (canaries were changed back and forth ${watch.flips} times)`,
    };
  }
  const testimony = await hearServers(connection, keyId, signal);
  if (testimony.metrics === 'confirmed') return { done: true, testimony };
  if (testimony.metrics === 'unavailable') {
    if (watch.sawSwitch) return { done: true, testimony };
    return {
      done: false,
      waitsFor: `metrics, because no canary of the time before the switch is left to tell (${testimony.why})`,
    };
  }
  // A server that switched without a restart shows its new key in the metrics only when it has written something.
  await watch.touch();
  return { done: false, waitsFor: testimony.why };
}

/** What is known of one canary. */
interface WatchedCanary {
  readonly canary: Canary;
  resourceVersion: string;
  /** `old`: as it was before the switch, so its first change will tell something. */
  state: 'old' | 'settled';
}

/** Probes canaries and keeps the score. */
class CanaryWatch {
  probes = 0;
  flips = 0;
  readonly #connection: KubeConnection;
  readonly #input: ConvergenceInput;
  readonly #signal: AbortSignal;
  #canaries: WatchedCanary[];
  #witnessed: boolean;
  #turn = 0;

  constructor(connection: KubeConnection, input: ConvergenceInput, signal: AbortSignal) {
    this.#connection = connection;
    this.#input = input;
    this.#signal = signal;
    this.#canaries = (input.baseline?.canaries ?? []).map((canary) => watched(canary, 'old'));
    this.#witnessed = input.baseline === undefined;
  }

  /** Whether a canary told of a switch; when none was made there is nothing to tell. */
  get sawSwitch(): boolean {
    return this.#witnessed;
  }

  /** Probes the canaries that have not changed yet once. @returns the names of those that still have not */
  async probeUnswitched(): Promise<string[]> {
    for (const canary of this.#canaries) {
      if (canary.state === 'old') await this.#probe(canary);
    }
    return this.#canaries.filter(({ state }) => state === 'old').map(({ canary }) => canary.name);
  }

  /** Whether so many probes in a row change nothing; stops at the first that does. */
  async isStill(probes: number): Promise<boolean> {
    for (let still = 0; still < probes; still++) {
      const canary = await this.#nextCanary();
      if ((await this.#probe(canary)) !== 'same') return false;
    }
    return true;
  }

  /** A real write through whichever server answers. */
  async touch(): Promise<void> {
    const canary = await this.#nextCanary();
    const annotations = { [TOUCHED_ANNOTATION]: new Date().toISOString() };
    const options = { annotations, fresh: true, signal: this.#signal };
    canary.resourceVersion = (await patchByUid(this.#connection, canary.canary, options)).resourceVersion;
  }

  async #probe(canary: WatchedCanary): Promise<'same' | 'changed' | 'lost'> {
    let metadata;
    try {
      metadata = await patchByUid(this.#connection, canary.canary, { fresh: true, signal: this.#signal });
    } catch (error) {
      // 404: deleted. 409: deleted and made again by somebody. Either way it is no witness any more.
      if (!(error instanceof KubeError) || (error.status !== 404 && error.status !== 409)) throw error;
      this.#canaries = this.#canaries.filter((other) => other !== canary);
      return 'lost';
    }
    this.probes++;
    if (compareResourceVersions(metadata.resourceVersion, canary.resourceVersion) === 0) return 'same';
    canary.resourceVersion = metadata.resourceVersion;
    if (canary.state === 'settled') this.flips++;
    // What somebody else has written changed for that reason, and tells nothing of keys.
    else if (isUntouched(metadata)) this.#witnessed = true;
    canary.state = 'settled';
    return 'changed';
  }

  async #nextCanary(): Promise<WatchedCanary> {
    if (this.#canaries.length === 0) {
      // Canaries made now can show agreement, but not that anybody has switched.
      const made = await ensureCanaries(this.#connection, this.#input.operationId, this.#signal);
      this.#canaries = made.map((canary) => watched(canary, 'settled'));
    }
    const canary = this.#canaries[this.#turn++ % this.#canaries.length];
    if (canary === undefined) throw new Error('There are no canaries.');
    return canary;
  }
}

function watched(canary: Canary, state: WatchedCanary['state']): WatchedCanary {
  return { canary, resourceVersion: canary.resourceVersion, state };
}
