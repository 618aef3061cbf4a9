/**
 * Hands out the Secrets of a list, one by one, to many takers.
 *
 * Within a page a taker never waits: a promise for each of a hundred thousand Secrets would cost more than the proof rule itself.
 */
import type { ListedSecret } from '../kubernetes/metadata';
import type { SecretPage } from '../kubernetes/secret-list';

/** One list, handed out. */
export class SecretFeed {
  readonly #pages: AsyncIterator<SecretPage>;
  #items: readonly ListedSecret[] = [];
  #taken = 0;
  #turning: Promise<boolean> | undefined;

  constructor(pages: AsyncIterable<SecretPage>) {
    this.#pages = pages[Symbol.asyncIterator]();
  }

  /** The next Secret of this page; undefined when it has none left. */
  take(): ListedSecret | undefined {
    return this.#items[this.#taken++];
  }

  /** Waits for the next page; all takers wait together. @returns whether there is one @throws every error of the list */
  turn(): Promise<boolean> {
    return (this.#turning ??= this.#turn());
  }

  async #turn(): Promise<boolean> {
    try {
      const next = await this.#pages.next();
      this.#items = next.done ? [] : next.value.items;
      this.#taken = 0;
      return !next.done;
    } finally {
      this.#turning = undefined;
    }
  }
}
