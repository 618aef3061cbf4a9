/**
 * Waits until the API servers of a cluster that was started answer, and reach the nodes directly.
 *
 * Does: only reads. Tells what it waits for in words of our own.
 * Never does: give up. A person who reads what it waits for can cancel.
 */
import { readKmsHealth } from './kubernetes/kms-health';
import { hasTunnel } from './kubernetes/vnet-sight';
import { readIfItAnswers, type Look } from './look';
import { lookUntil, type Running } from './running';

/** Between two looks. */
const LOOK_IN_MS = 2_000;

/** @returns how many health checks were passed, each over a connection of its own */
export async function awaitApiServers(
  look: Omit<Look, 'signal'>,
  cluster: string,
  running: Running,
): Promise<{ answers: number }> {
  const first = 'an API server to answer';
  return await lookUntil<{ answers: number }>(running, { first, everyMs: LOOK_IN_MS }, async () => {
    const { signal } = running;
    const read = await readIfItAnswers({ ...look, signal }, cluster, async (connection, limited) => ({
      ...(await readKmsHealth(connection, limited)),
      ready: (await connection.health('/readyz', limited)).healthy,
      tunnel: await hasTunnel(connection, limited),
    }));
    if (!('value' in read)) {
      const { powerState } = (await look.azure.clusters.read(cluster, { abortSignal: signal })).observed;
      const stopped =
        powerState === 'Running' ? '' : ` Azure reports the power state ${powerState}: start the cluster.`;
      return { waitsFor: `${first} after the start. ${read.unreadable}${stopped}` };
    }
    const { answers, causes, ready, tunnel } = read.value;
    if (causes.length > 0) return { waitsFor: `the KMS of the API servers: ${causes.join(' ')}` };
    if (!ready) return { waitsFor: 'the API servers to be ready' };
    if (tunnel === true) {
      return {
        waitsFor:
          'konnectivity-agent to leave kube-system: as long as it is there, API Server VNet Integration is not in effect',
      };
    }
    return { answer: { answers } };
  });
}
