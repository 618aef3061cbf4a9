/**
 * The second look, taken while the proof's list is read.
 *
 * What a list shows was stored before its resource version was known, so a look that begins then is late enough for all of
 * it. When a Secret had to be asked all the same, something may have been stored since: then the look is taken at the end.
 */
import type { Running } from '../running';
import type { Recheck } from '../convergence-recheck';

/** One look under way. */
interface BegunLook {
  readonly listRv: string;
  readonly result: Promise<Recheck>;
  readonly stop: AbortController;
}

/** Begins a look as early as it may begin. */
export class ConcurrentRecheck {
  readonly #take: (running: Running) => Promise<Recheck>;
  readonly #running: Running;
  #begun: BegunLook | undefined;
  #onlyAtTheEnd = false;
  #lastHeartbeat: unknown;

  /** @param take takes one look */
  constructor(take: (running: Running) => Promise<Recheck>, running: Running) {
    this.#take = take;
    this.#running = running;
  }

  /** For whoever reads the list: what its heartbeats say, the look's go on to say. */
  get running(): Running {
    return {
      signal: this.#running.signal,
      heartbeat: (details) => this.#running.heartbeat((this.#lastHeartbeat = details)),
    };
  }

  /** A page came. A list that became too old goes on with a later resource version, and the look begins anew. */
  listed(listRv: string): void {
    if (this.#onlyAtTheEnd || this.#begun?.listRv === listRv) return;
    this.#abandon();
    const stop = new AbortController();
    const result = this.#look(stop.signal);
    // Its failure is told by `result`, or is nobody's when it is abandoned.
    result.catch(() => undefined);
    this.#begun = { listRv, result, stop };
  }

  /** A Secret was not proven by the list, so that the API servers were asked, and may have stored it. */
  asked(): void {
    this.#onlyAtTheEnd = true;
    this.#abandon();
  }

  /** What was seen, by a look that began late enough. @throws as `take` */
  async result(): Promise<Recheck> {
    return await (this.#begun?.result ?? this.#look());
  }

  /** Ends a look that nobody waits for. */
  async stop(): Promise<void> {
    const look = this.#begun;
    this.#abandon();
    await look?.result.catch(() => undefined);
  }

  #abandon(): void {
    this.#begun?.stop.abort(new Error('The second look was abandoned.'));
    this.#begun = undefined;
  }

  async #look(stop?: AbortSignal): Promise<Recheck> {
    const { signal } = this.#running;
    return await this.#take({
      signal: stop ? AbortSignal.any([signal, stop]) : signal,
      heartbeat: () => this.#running.heartbeat(this.#lastHeartbeat),
    });
  }
}
