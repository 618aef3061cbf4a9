/**
 * What was asked of Azure that changes something, in order.
 *
 * Needs: nothing.
 * Does: remembers time, method, host, path and status of every mutating request, for tests and drivers that count.
 * Never does: keep a body, a query, a header or a token.
 */

/** One mutating request. */
export interface JournalEntry {
  /** ISO 8601, when the request came in. */
  readonly time: string;
  readonly method: string;
  readonly host: string;
  /** Without the query. */
  readonly path: string;
  /** The status that the service decided on, also when the answer was lost. */
  readonly status: number;
  /** False when the fault `lost-response` swallowed the answer, or the client had hung up. */
  readonly answered: boolean;
  /** A PUT of a managed cluster that was accepted and changed its azureKeyVaultKms profile. */
  readonly kms: boolean;
}

const MUTATING_POSTS = new Set(['create', 'rotate', 'recover', 'start', 'stop', 'purge']);

/** Whether a request changes something. Encrypt, decrypt, token and list-credential POSTs do not. */
export function isMutating(method: string, path: string): boolean {
  if (method === 'PUT' || method === 'PATCH' || method === 'DELETE') return true;
  const action = path.split('/').findLast((segment) => segment !== '') ?? '';
  return method === 'POST' && MUTATING_POSTS.has(action.toLowerCase());
}

/** The list of mutating requests since the sandbox started. */
export class Journal {
  readonly #entries: JournalEntry[] = [];

  add(entry: JournalEntry): void {
    this.#entries.push(entry);
  }

  /** A copy, oldest first. */
  entries(): readonly JournalEntry[] {
    return [...this.#entries];
  }
}
