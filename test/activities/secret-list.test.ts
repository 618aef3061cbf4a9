/** Lists of Secrets whose metadata is large, from a real API server. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  FIRST_PAGE_SIZE,
  LARGEST_PAGE_SIZE,
  listSecretPages,
  nextPageSize,
  type SecretPage,
} from '../../activities/kubernetes/secret-list';
import { SECRETS, TestCluster } from './cluster-support';

/** What `kubectl apply` keeps of a Secret with a certificate bundle. */
const ANNOTATION = { 'kubectl.kubernetes.io/last-applied-configuration': 'x'.repeat(128 * 1024) };
const LARGE = FIRST_PAGE_SIZE + 50;
const SMALL = 20;

describe('pages of Secrets', () => {
  let c: TestCluster;
  beforeAll(async () => {
    c = await TestCluster.start({ kms: false });
    const make = (name: string, annotations: object): Promise<unknown> =>
      c.call('POST', SECRETS, { metadata: { name, annotations } });
    await Promise.all([
      ...Array.from({ length: LARGE }, (_, index) => make(`a-${index}`, ANNOTATION)),
      ...Array.from({ length: SMALL }, (_, index) => make(`b-${index}`, {})),
    ]);
  });
  afterAll(() => c.stop());

  it('have few where annotations are large, so that memory does not depend on them', async () => {
    const pages: SecretPage[] = [];
    for await (const page of listSecretPages(c.connection, {})) pages.push(page);

    const [first, second, ...others] = pages.map(({ items }) => items.length);
    expect(first).toBe(FIRST_PAGE_SIZE);
    // Four MiB, and 128 KiB each.
    expect(second).toBeGreaterThan(25);
    expect(second).toBeLessThan(32);
    expect(others).not.toEqual([]);
    const names = pages.flatMap(({ items }) => items.map(({ name }) => name));
    expect(names).toHaveLength(LARGE + SMALL);
    expect(new Set(names).size).toBe(LARGE + SMALL);
    expect(new Set(pages.map(({ resourceVersion }) => resourceVersion)).size).toBe(1);
  });

  it('have as many as would have filled four MiB, by the page before, but at least one and at most 500', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 100, max: 512 * 1024 }), (items, each) => {
        const next = nextPageSize(items, items * each);
        expect(next).toBeGreaterThanOrEqual(1);
        expect(next).toBeLessThanOrEqual(LARGEST_PAGE_SIZE);
        expect(next * each).toBeLessThanOrEqual(4 * 1024 * 1024);
        expect(next === LARGEST_PAGE_SIZE || (next + 1) * each > 4 * 1024 * 1024).toBe(true);
      }),
    );
    expect(nextPageSize(1, 64 * 1024 * 1024)).toBe(1);
    // Whatever an empty page means, the next one has some.
    expect(nextPageSize(0, 200)).toBe(FIRST_PAGE_SIZE);
  });
});
