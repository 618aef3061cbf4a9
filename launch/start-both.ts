/**
 * Starts two things at once; when one of them fails, the other one is stopped again, so that nothing is left running unseen.
 * @throws what the first that failed threw, after both have settled
 */
export async function startBoth<A, B>(
  first: Promise<A>,
  second: Promise<B>,
  stop: (started: A | B) => Promise<void> | undefined,
): Promise<[A, B]> {
  const [a, b] = await Promise.allSettled([first, second]);
  if (a.status === 'fulfilled' && b.status === 'fulfilled') return [a.value, b.value];
  for (const result of [a, b]) if (result.status === 'fulfilled') await stop(result.value);
  for (const result of [a, b]) if (result.status === 'rejected') throw result.reason;
  throw new Error('One of two failed, and neither was rejected.');
}
