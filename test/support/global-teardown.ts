/** Ends what the global setup started, and removes its files. */
export default async function teardown(): Promise<void> {
  const shared = globalThis.keyturnTestStack;
  if (!shared) return;
  await shared.stack.stop();
  if (process.env.KEYTURN_KEEP_TEST_LOGS === undefined) shared.remove();
}
