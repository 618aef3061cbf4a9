/**
 * Probes canaries, each over a new connection, and counts the answers.
 *
 * When a no-op patch makes a server store a canary again with the same content, that server writes with another key than the
 * record is under. Servers that disagree go on doing so (research note rotation-systems.md 9). When the content changes (by an
 * admission webhook, or by another client in between), that says nothing about keys.
 */
import type { Canary } from '../domain/convergence';
import { compareResourceVersions } from '../domain/proof';
import { CANARY_COUNT, canariesNotStill, ensureCanaries, patchCanary } from './canaries';
import type { KubeConnection } from './kubernetes/connection';
import { KubeError } from './kubernetes/errors';
import { patchByUid, readSecret } from './kubernetes/metadata';

const TOUCHED_ANNOTATION = 'keyturn.dev/touched';
/** What it means for the keys when canaries go on changing. */
const CONSEQUENCE = 'Nothing is called proven. Keep every key that the cluster used enabled and unexpired.';
/** A webhook that adds something once, or a person, changes each canary a few times. More changes than this never end. */
const MOST_CONTENT_CHANGES = 4 * CANARY_COUNT;

/** What is known about one canary. */
interface WatchedCanary {
  readonly canary: Canary;
  /** Whether it was made before the switch: then a new record of it with the same content shows that a server has switched. */
  readonly ofBaseline: boolean;
  resourceVersion: string;
  content: string | undefined;
  /** `old`: as it was before the switch. */
  state: 'old' | 'settled';
}

/** Probes canaries and counts the answers. */
export class CanaryWatch {
  probes = 0;
  /** How often a canary was stored again with the same content, after the first time. */
  flips = 0;
  /** No-op patches after which the content had changed. */
  contentChanges = 0;
  #changedAt = performance.now();
  #flippedAt = -Infinity;
  readonly #connection: KubeConnection;
  readonly #operationId: string;
  readonly #signal: AbortSignal;
  #canaries: WatchedCanary[];
  #witnessed: boolean;
  #turn = 0;

  /** @param canaries those from before the switch; absent when no switch was made */
  constructor(
    connection: KubeConnection,
    operationId: string,
    canaries: readonly Canary[] | undefined,
    signal: AbortSignal,
  ) {
    this.#connection = connection;
    this.#operationId = operationId;
    this.#signal = signal;
    this.#canaries = (canaries ?? []).map((canary) => watched(canary, { ofBaseline: true }));
    this.#witnessed = canaries === undefined;
  }

  /** Whether a canary has shown a switch; when no switch was made, there is none to show. */
  get sawSwitch(): boolean {
    return this.#witnessed;
  }

  /** How long ago two servers were last seen to disagree, in ms; Infinity when they never were. */
  get agreedForInMs(): number {
    return performance.now() - this.#flippedAt;
  }

  /** How long ago a canary last changed, or the watch began, in ms. */
  get unchangedForInMs(): number {
    return performance.now() - this.#changedAt;
  }

  /** Probes once each canary that has not changed yet. @returns the names of those that still have not */
  async probeUnswitched(): Promise<string[]> {
    for (const canary of this.#canaries) {
      if (canary.state === 'old') await this.#probe(canary);
    }
    return this.#canaries.filter(({ state }) => state === 'old').map(({ canary }) => canary.name);
  }

  /**
   * Whether this many probes in a row change nothing; stops at the first that does. They run one after the other: each opens
   * its own connection, and several at once would slow down other clients of the API server.
   */
  async isStill(probes: number): Promise<boolean> {
    for (let still = 0; still < probes; still++) {
      if ((await this.#probe(await this.#nextCanary())) !== 'same') return false;
    }
    return true;
  }

  /** Real writes, each through the server that answers. @param servers how many servers there are; the writes reach all of them with high probability */
  async touch(servers: number): Promise<void> {
    for (let write = 0; write < servers * 2; write++) {
      const canary = await this.#nextCanary();
      const annotations = { [TOUCHED_ANNOTATION]: `${new Date().toISOString()}.${write}` };
      const options = { annotations, fresh: true, signal: this.#signal };
      const { resourceVersion, content } = await patchByUid(this.#connection, canary.canary, options);
      canary.resourceVersion = resourceVersion;
      canary.content = content;
    }
  }

  async #probe(canary: WatchedCanary): Promise<'same' | 'changed' | 'lost'> {
    let metadata;
    try {
      metadata = await patchCanary(this.#connection, canary.canary, CONSEQUENCE, this.#signal);
    } catch (error) {
      if (!(error instanceof KubeError) || (error.status !== 404 && error.status !== 409)) throw error;
      // Another write reached it at this moment, perhaps through a server that disagrees.
      if (error.status === 409 && (await this.#isThere(canary))) return 'changed';
      // Deleted, or deleted and made again by another client: it cannot show a switch any more.
      this.#canaries = this.#canaries.filter((other) => other !== canary);
      return 'lost';
    }
    this.probes++;
    if (compareResourceVersions(metadata.resourceVersion, canary.resourceVersion) === 0) return 'same';
    const sameContent = metadata.content === canary.content;
    canary.resourceVersion = metadata.resourceVersion;
    canary.content = metadata.content;
    this.#changedAt = performance.now();
    if (!sameContent) await this.#contentChanged(canary);
    else if (canary.state === 'settled') {
      this.flips++;
      this.#flippedAt = this.#changedAt;
    }
    if (sameContent && canary.ofBaseline) this.#witnessed = true;
    canary.state = 'settled';
    return 'changed';
  }

  /** @throws ApplicationFailure `CanariesNotStill`, non-retryable, when the content goes on changing */
  async #contentChanged({ canary }: WatchedCanary): Promise<void> {
    this.contentChanges++;
    if (this.contentChanges <= MOST_CONTENT_CHANGES) return;
    throw await canariesNotStill(this.#connection, { changed: canary.name, consequence: CONSEQUENCE }, this.#signal);
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
      // Canaries made now can show that servers agree, but not that they have switched.
      const made = await ensureCanaries(this.#connection, this.#operationId, this.#signal);
      this.#canaries = made.map((canary) => watched(canary, { ofBaseline: false }));
    }
    const canary = this.#canaries[this.#turn++ % this.#canaries.length];
    if (canary === undefined) throw new Error('There are no canaries.');
    return canary;
  }
}

function watched(canary: Canary, { ofBaseline }: { readonly ofBaseline: boolean }): WatchedCanary {
  const { resourceVersion, content } = canary;
  return { canary, ofBaseline, resourceVersion, content, state: ofBaseline ? 'old' : 'settled' };
}
