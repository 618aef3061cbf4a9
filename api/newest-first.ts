/**
 * Pages with the newest first, from a store that counts and lists what lies within a span of time, in an order of its own: Temporal
 * lists what runs before what has ended, what runs by its start and the rest by its end, and SQL visibility refuses any other order.
 *
 * That order is only a hint where to look: as many entries as a page needs, whichever they are, show how far back the page can reach.
 * Each page is found by its time, so that one that ends between two pages is neither left out nor shown twice.
 */
import type { Span } from './list-query';

/** Where in a list an entry is: no two have the same place. */
export interface Place {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly id: string;
}

/** What is paged through. */
export interface Store<Entry extends Place> {
  count(span: Span): Promise<number>;
  /** In any order, and perhaps one twice. */
  list(span: Span): Promise<readonly Entry[]>;
  /** The first ones in the order of the store, `most` of them; `all` says that there are no others. @param without ids to leave out */
  some(
    span: Span,
    options: { readonly most: number; readonly without?: readonly string[] },
  ): Promise<{ readonly entries: readonly Entry[]; readonly all: boolean }>;
}

/** Which page. */
export interface Page {
  /** Entries on it, at most. */
  readonly size: number;
  /** Milliseconds since 1970; nothing older is on any page. */
  readonly oldest: number;
  /** The last place of the page before; absent for the first page. */
  readonly after?: Place;
  /** Milliseconds since 1970. */
  readonly now: number;
  /**
   * How far back the page reached when it was asked for the last time, milliseconds since 1970; a hint. A store finds what lies within a
   * short span by its index, and otherwise looks at every entry that it has.
   */
  readonly reached?: number;
}

/** So many more than a page needs may be read: fewer spans are tried. */
const SPARE = 100;
const FIRST_SPAN_IN_MS = 3_600_000;
const GROWTH = 8;

/** One page. @returns `next` is the last place on it, when more follow; `reached` is the hint for the same page the next time */
export async function newestFirst<Entry extends Place>(
  store: Store<Entry>,
  { size, oldest, after, now, reached }: Page,
): Promise<{ readonly entries: readonly Entry[]; readonly next?: Place; readonly reached?: number }> {
  const found = new Map<string, Entry>();
  // Those that were asked for in the same millisecond are told apart by their ids.
  for (let until = after?.at; until === undefined || until >= oldest;) {
    // One more, to know whether another page follows.
    const needed = size + 1 - found.size;
    const { since, entries } =
      (await readAgain(store, { until, oldest, needed, reached })) ??
      (await readSpan(store, { until, oldest, now, needed }));
    for (const entry of entries) {
      if (entry.at >= since && (after === undefined || isBefore(after, entry))) found.set(entry.id, entry);
    }
    if (found.size > size) break;
    until = since - 1;
  }
  const sorted = [...found.values()].sort((a, b) => (isBefore(a, b) ? -1 : 1));
  const entries = sorted.slice(0, size);
  const last = entries.at(-1);
  const following = sorted[size];
  if (following === undefined || last === undefined) return { entries };
  return { entries, next: { at: last.at, id: last.id }, reached: following.at };
}

/** All entries of the span that the page had the last time; undefined when that is not known, or there are many more by now. */
async function readAgain<Entry extends Place>(
  store: Pick<Store<Entry>, 'some'>,
  {
    until,
    oldest,
    needed,
    reached,
  }: { readonly until?: number; readonly oldest: number; readonly needed: number; readonly reached?: number },
): Promise<{ readonly since: number; readonly entries: readonly Entry[] } | undefined> {
  if (reached === undefined || (until !== undefined && until < reached)) return undefined;
  const since = Math.max(oldest, reached);
  const { entries, all } = await store.some({ since, until }, { most: needed + SPARE });
  return all ? { since, entries } : undefined;
}

/** All entries of a span that has what is needed, or of all that is left; perhaps older ones among them. */
async function readSpan<Entry extends Place>(
  store: Store<Entry>,
  {
    until,
    oldest,
    now,
    needed,
  }: { readonly until?: number; readonly oldest: number; readonly now: number; readonly needed: number },
): Promise<{ readonly since: number; readonly entries: readonly Entry[] }> {
  const first = await store.some({ since: oldest, until }, { most: needed });
  if (first.all) return { since: oldest, entries: first.entries };
  // The span from the oldest of as many as are needed has these, and those that the store has in another place of its order.
  const reach = first.entries.reduce((least, { at }) => Math.min(least, at), until ?? now);
  const without = first.entries.map(({ id }) => id);
  const others = await store.some({ since: reach, until }, { most: SPARE, without });
  if (others.all) return { since: reach, entries: [...first.entries, ...others.entries] };
  const since = await sinceWhen(store, { until, oldest: reach, now, needed });
  return { since, entries: await store.list({ since, until }) };
}

/** The beginning of a span that has what is needed and not much more; `oldest` when the rest has not much more. */
async function sinceWhen(
  { count }: Pick<Store<Place>, 'count'>,
  {
    until,
    oldest,
    now,
    needed,
  }: { readonly until?: number; readonly oldest: number; readonly now: number; readonly needed: number },
): Promise<number> {
  const most = needed + SPARE;
  const end = until ?? now;
  const startOf = (length: number): number => Math.max(oldest, end - length);
  const within = (length: number): Promise<number> => count({ since: startOf(length), until });
  if ((await count({ since: oldest, until })) <= most) return oldest;
  let short = 0;
  let long = FIRST_SPAN_IN_MS;
  let inLong = await within(long);
  while (inLong < needed && startOf(long) > oldest) {
    [short, long] = [long, long * GROWTH];
    inLong = await within(long);
  }
  while (inLong > most && long - short > 1) {
    const middle = Math.floor((short + long) / 2);
    const inMiddle = await within(middle);
    if (inMiddle < needed) short = middle;
    else [long, inLong] = [middle, inMiddle];
  }
  return startOf(long);
}

/** Whether the first is nearer to the beginning of the list. */
function isBefore(a: Place, b: Place): boolean {
  return a.at === b.at ? a.id > b.id : a.at > b.at;
}
