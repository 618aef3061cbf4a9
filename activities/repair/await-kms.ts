/**
 * Waits until the API servers say that their KMS works.
 *
 * Does: only reads. Tells what it waits for in words of our own.
 * Never does: give up. An API server whose key does not work may not answer at all.
 */
import type { UseCluster } from '../key-usage';
import { readKmsHealth } from '../kubernetes/kms-health';
import { readIfItAnswers, type Look } from '../look';
import { lookUntil, type Running } from '../running';

/** Between two looks. KMS v2 keeps a bad status for three seconds (kube-apiserver), and Azure takes minutes. */
const LOOK_IN_MS = 2_000;

/** @returns how many health checks were passed, each over a connection of its own */
export async function awaitKms(
  look: Pick<Look, 'azure' | 'evidence'> & { readonly use: UseCluster },
  cluster: string,
  running: Running,
): Promise<{ answers: number }> {
  const first = 'the API servers to say whether their KMS works';
  return await lookUntil<{ answers: number }>(running, { first, everyMs: LOOK_IN_MS }, async () => {
    const read = await readIfItAnswers({ ...look, signal: running.signal }, cluster, readKmsHealth);
    if (!('value' in read)) {
      return { waitsFor: `an API server to answer: it may not start while its key does not work. ${read.unreadable}` };
    }
    const { answers, causes } = read.value;
    return causes.length === 0
      ? { answer: { answers } }
      : { waitsFor: `the KMS of the API servers: ${causes.join(' ')}` };
  });
}
