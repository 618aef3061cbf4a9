/**
 * Tells the deliveries of webhooks that something happened to an operation.
 *
 * Does: one activity at a time, which only talks to Temporal; news that come meanwhile are told by the next one.
 * Never does: fail the operation, or let it wait for a receiver. At the end it waits two minutes at most, for Temporal.
 */
import { ActivityFailure, CancellationScope, condition, log } from '@temporalio/workflow';
import { bestEffort } from './activities';

/** Announces the events of one operation. */
export class Announcer {
  // The request itself is an event; a continued run tells what the earlier one may not have told any more.
  #news = true;
  #ended = false;
  readonly #running: Promise<void>;

  constructor(private readonly cluster: string) {
    this.#running = CancellationScope.nonCancellable(() => this.#run());
  }

  /** Something happened. */
  announce(): void {
    this.#news = true;
  }

  /** Tells the last of it. */
  async finish(): Promise<void> {
    this.#ended = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    for (;;) {
      await condition(() => this.#news || this.#ended);
      if (!this.#news) return;
      this.#news = false;
      try {
        await bestEffort('Tell the webhooks').announceEvents({ cluster: this.cluster });
      } catch (error) {
        if (!(error instanceof ActivityFailure)) throw error;
        log.warn('The webhooks could not be told; the next event tells them');
      }
    }
  }
}
