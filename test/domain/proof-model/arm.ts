/** A model of a managed cluster's two key slots, and of the keys that live Secrets may be under. */

/** The model. */
export class KeySlotsModel {
  current = 'key-1';
  /** Azure tells nobody of it. */
  previous: string | null = 'key-0';
  /** Every key that some live Secret may be stored under. */
  needed: ReadonlySet<string> = new Set(['key-0', 'key-1']);
  #made = 1;

  /** A key that this cluster never used. */
  newKey(): string {
    return `key-${++this.#made}`;
  }

  /** @returns the key that leaves its slot; undefined when none does */
  set(key: string): string | undefined {
    if (key === this.current) return undefined;
    const evicted = key === this.previous ? null : this.previous;
    this.previous = this.current;
    this.current = key;
    // From now on Secrets are written under it.
    this.needed = new Set([...this.needed, key]);
    return evicted ?? undefined;
  }

  /** A rewrite with its proof: every live Secret is under the current key. */
  prove(): void {
    this.needed = new Set([this.current]);
  }

  get isProven(): boolean {
    return [...this.needed].every((key) => key === this.current);
  }
}
