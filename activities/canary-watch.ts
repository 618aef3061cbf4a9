/**
 * Probes canaries, each over a new connection, and keeps the score.
 *
 * A no-op patch changes an untouched canary only if the server that answers writes with another key than the record is
 * under; servers that disagree go on changing it (research note rotation-systems.md 9).
 */
import type { Canary } from '../domain/convergence';
import { compareResourceVersions } from '../domain/proof';
import { ensureCanaries, isUntouched } from './canaries';
import type { KubeConnection } from './kubernetes/connection';
import { KubeError } from './kubernetes/errors';
import { patchByUid, readSecret } from './kubernetes/metadata';

const TOUCHED_ANNOTATION = 'keyturn.dev/touched';

/** What is known of one canary. */
interface WatchedCanary {
  readonly canary: Canary;
  resourceVersion: string;
  /** `old`: as it was before the switch, so its first change will tell something. */
  state: 'old' | 'settled';
}

/** Probes canaries and keeps the score. */
export class CanaryWatch {
  probes = 0;
  flips = 0;
  readonly #connection: KubeConnection;
  readonly #operationId: string;
  readonly #signal: AbortSignal;
  #canaries: WatchedCanary[];
  #witnessed: boolean;
  #turn = 0;

  /** @param canaries those of before the switch; absent when no switch was made */
  constructor(
    connection: KubeConnection,
    operationId: string,
    canaries: readonly Canary[] | undefined,
    signal: AbortSignal,
  ) {
    this.#connection = connection;
    this.#operationId = operationId;
    this.#signal = signal;
    this.#canaries = (canaries ?? []).map((canary) => watched(canary, 'old'));
    this.#witnessed = canaries === undefined;
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

  /**
   * Whether so many probes in a row change nothing; stops at the first that does. One after the other: each pays for a
   * connection of its own, and several at once are felt by other clients of the API server.
   */
  async isStill(probes: number): Promise<boolean> {
    for (let still = 0; still < probes; still++) {
      if ((await this.#probe(await this.#nextCanary())) !== 'same') return false;
    }
    return true;
  }

  /** Real writes, each through whichever server answers. @param servers how many are to be met, if chance wills */
  async touch(servers: number): Promise<void> {
    for (let write = 0; write < servers * 2; write++) {
      const canary = await this.#nextCanary();
      const annotations = { [TOUCHED_ANNOTATION]: `${new Date().toISOString()}.${write}` };
      const options = { annotations, fresh: true, signal: this.#signal };
      canary.resourceVersion = (await patchByUid(this.#connection, canary.canary, options)).resourceVersion;
    }
  }

  async #probe(canary: WatchedCanary): Promise<'same' | 'changed' | 'lost'> {
    let metadata;
    try {
      metadata = await patchByUid(this.#connection, canary.canary, { fresh: true, signal: this.#signal });
    } catch (error) {
      if (!(error instanceof KubeError) || (error.status !== 404 && error.status !== 409)) throw error;
      // Somebody writes it at this very moment, perhaps a server that disagrees.
      if (error.status === 409 && (await this.#isThere(canary))) return 'changed';
      // Deleted, or deleted and made again by somebody: it is no witness any more.
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

  async #isThere({ canary }: WatchedCanary): Promise<boolean> {
    try {
      const { uid } = await readSecret(this.#connection, canary, { fresh: true, signal: this.#signal });
      return uid === canary.uid;
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return false;
      throw error;
    }
  }

  async #nextCanary(): Promise<WatchedCanary> {
    if (this.#canaries.length === 0) {
      // Canaries made now can show agreement, but not that anybody has switched.
      const made = await ensureCanaries(this.#connection, this.#operationId, this.#signal);
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
