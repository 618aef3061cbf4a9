import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Span } from '../../api/list-query';
import { newestFirst, type Place } from '../../api/newest-first';

const NOW = Date.parse('2026-06-01T00:00:00Z');

/** A store as Temporal's: what it lists is in an order of its own. */
function storeOf(places: readonly Place[]) {
  const within = ({ since, until = Infinity }: Span) => places.filter(({ at }) => at >= since && at <= until);
  const calls = { count: 0, listed: 0 };
  return {
    calls,
    count: async (span: Span) => {
      calls.count += 1;
      return within(span).length;
    },
    list: async (span: Span) => {
      calls.listed += within(span).length;
      return within(span);
    },
    some: async (span: Span, { most, without = [] }: { most: number; without?: readonly string[] }) => {
      const others = within(span).filter(({ id }) => !without.includes(id));
      calls.listed += Math.min(most, others.length);
      return { entries: others.slice(0, most), all: others.length <= most };
    },
  };
}

async function walk(places: readonly Place[], size: number, oldest = 0) {
  const store = storeOf(places);
  const pages: Place[][] = [];
  for (let after: Place | undefined; ;) {
    const { entries, next } = await newestFirst(store, { size, oldest, after, now: NOW });
    pages.push([...entries]);
    if (next === undefined) return { pages, calls: store.calls };
    after = next;
  }
}

const newest = (a: Place, b: Place) => b.at - a.at || (a.id < b.id ? 1 : -1);

describe('pages with the newest first', () => {
  it('have each entry once and in order, however the entries are spread over time', async () => {
    const spread = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 90 * 86_400_000 }));
    await fc.assert(
      fc.asyncProperty(
        fc.array(spread, { maxLength: 400 }),
        fc.integer({ min: 1, max: 100 }),
        fc.option(fc.integer({ min: 0, max: 90 * 86_400_000 }), { nil: undefined }),
        async (ages, size, since) => {
          const places = ages.map((age, index) => ({ at: NOW - age, id: `op-${index}` }));
          const oldest = since === undefined ? 0 : NOW - since;
          const { pages } = await walk(places, size, oldest);
          expect(pages.flat()).toEqual(places.filter(({ at }) => at >= oldest).sort(newest));
          for (const page of pages.slice(0, -1)) expect(page).toHaveLength(size);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('are found by few counts, and read little more than they show', async () => {
    const places = Array.from({ length: 5_000 }, (_, index) => ({ at: NOW - index * 1_000_003, id: `op-${index}` }));
    const { pages, calls } = await walk(places.slice(0, 5_000), 100);
    expect(pages).toHaveLength(50);
    expect(calls.count / pages.length).toBeLessThan(10);
    expect(calls.listed / places.length).toBeLessThan(2.1);
  });

  it('are the same with a hint how far back they reach, whatever the hint', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 400 }),
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: -10, max: 510 }),
        fc.integer({ min: 0, max: 500 }),
        async (ages, size, reach, since) => {
          const places = ages.map((age, index) => ({ at: NOW - age, id: `op-${index}` }));
          const page = { size, oldest: NOW - since, now: NOW };
          const { reached: _own, ...plain } = await newestFirst(storeOf(places), page);
          const { reached: _other, ...hinted } = await newestFirst(storeOf(places), { ...page, reached: NOW - reach });
          expect(hinted).toEqual(plain);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('are read by one list of a short span when they are asked for again', async () => {
    const places = Array.from({ length: 5_000 }, (_, index) => ({ at: NOW - index * 60_000, id: `op-${index}` }));
    const { entries, reached } = await newestFirst(storeOf(places), { size: 50, oldest: 0, now: NOW });
    const store = storeOf([{ at: NOW + 1, id: 'op-new' }, ...places]);
    const again = await newestFirst(store, { size: 50, oldest: 0, now: NOW + 1, reached });
    expect(again.entries).toEqual([{ at: NOW + 1, id: 'op-new' }, ...entries.slice(0, 49)]);
    expect(store.calls).toEqual({ count: 0, listed: 52 });
  });

  it('leave nothing out and show nothing twice when an entry is added between two of them', async () => {
    const places = Array.from({ length: 300 }, (_, index) => ({ at: NOW - index * 60_000, id: `op-${index}` }));
    const first = await newestFirst(storeOf(places), { size: 100, oldest: 0, now: NOW });
    const more = [{ at: NOW + 1, id: 'op-new' }, ...places];
    const second = await newestFirst(storeOf(more), { size: 100, oldest: 0, after: first.next, now: NOW });
    expect([...first.entries, ...second.entries]).toEqual(places.slice(0, 200));
  });
});
