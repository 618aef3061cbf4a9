/**
 * Refused Secrets by name, in few bytes: what an operation shows of them must not grow with their number.
 *
 * Many Secrets are refused for few reasons, so reason, message and namespace are stored once for each group. Names are kept up to
 * a number of bytes; the count, and the report of the refused Secrets, have them all.
 */
import { z } from 'zod';
import { compareTexts } from './canonical';
import { RefusalReason, refusedSecret, type RefusedSecret } from './refusal';
import { cutText, jsonBytes } from './text-budget';

/** The bytes that the names of one list may take, as they are stored: some 100 Secrets of one namespace and reason. */
export const NAMED_BYTES = 2_400;
/** The bytes of one message in a list; the report has the whole. */
const MESSAGE_BYTES = 600;

/** The Secrets of one namespace that one answer is about. */
export const RefusedGroup = z.object({
  reason: RefusalReason,
  /** Absent where only names and reasons are kept. */
  message: z.string().optional(),
  namespace: z.string(),
  names: z.array(z.string()),
});
/** The Secrets of one namespace that one answer is about. */
export type RefusedGroup = z.infer<typeof RefusedGroup>;

/** What a group is made of; what helps follows from the reason. */
type Grouped = Omit<RefusedSecret, 'message' | 'suggestion'> & { readonly message?: string };

/** Collects refused Secrets: keeps the first ones, as many as there is room for. */
export class RefusedNames {
  readonly #secrets: RefusedSecret[] = [];
  readonly #groups = new Set<string>();
  #bytes = 2;
  #full = false;

  add(secret: RefusedSecret): void {
    if (this.#full) return;
    const { namespace, name, reason } = secret;
    const message = cutText(secret.message, MESSAGE_BYTES);
    const group = JSON.stringify([reason, message, namespace]);
    const beside = this.#groups.has(group) ? 0 : 1 + jsonBytes({ reason, message, namespace, names: [] });
    this.#bytes += beside + jsonBytes(name) + 1;
    if (this.#bytes > NAMED_BYTES) {
      this.#full = true;
      return;
    }
    this.#groups.add(group);
    this.#secrets.push(refusedSecret({ namespace, name }, reason, message));
  }

  /** By name: the same Secrets give the same list, in whatever order the API servers answered. */
  get secrets(): RefusedSecret[] {
    return sorted(this.#secrets);
  }
}

/** A list as it is stored. */
export function grouped(secrets: readonly Grouped[]): RefusedGroup[] {
  const groups = new Map<string, RefusedGroup>();
  for (const { reason, message, namespace, name } of secrets) {
    const key = JSON.stringify([reason, message, namespace]);
    const group = groups.get(key) ?? { reason, message, namespace, names: [] };
    group.names.push(name);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** The list that was stored with messages. */
export function refusedIn(groups: readonly RefusedGroup[]): RefusedSecret[] {
  const secrets = groups.flatMap(({ reason, message = '', namespace, names }) =>
    names.map((name) => refusedSecret({ namespace, name }, reason, message)),
  );
  return sorted(secrets);
}

/** The list that was stored without messages. */
export function namesIn(groups: readonly RefusedGroup[]): Pick<RefusedSecret, 'namespace' | 'name' | 'reason'>[] {
  return refusedIn(groups).map(({ namespace, name, reason }) => ({ namespace, name, reason }));
}

function sorted(secrets: readonly RefusedSecret[]): RefusedSecret[] {
  return [...secrets].sort((a, b) => compareTexts(a.namespace, b.namespace) || compareTexts(a.name, b.name));
}
