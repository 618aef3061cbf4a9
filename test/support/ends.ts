/**
 * What a test file leaves behind in the sandbox, and how to take it away when the file ends. Dozens of idle API servers would keep the
 * processors busy for the files that come after.
 */

const ends = new Set<() => Promise<void>>();

/** At the end of the file, at the latest. A failure there is no failure of a test: the sandbox ends all at the end of the run. */
export function atEndOfFile(end: () => Promise<void>): void {
  ends.add(end);
}

/** Takes away now what the file has left behind so far. */
export async function endAll(): Promise<void> {
  const all = [...ends];
  ends.clear();
  await Promise.allSettled(all.map((end) => end()));
}
