/**
 * How many bytes a cluster's API servers sent to their clients, as the sandbox's load balancer counts them.
 *
 * The counter is read again and again, and the time of each look is kept: which looks matter is known only afterwards,
 * when Temporal's history says when the activities ran.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { SandboxFacts } from '../launch/sandbox';

const LOOK_EVERY_IN_MS = 500;

/** One look at the counter. */
export interface TrafficLook {
  /** When the answer had arrived, in milliseconds since the epoch. */
  readonly at: number;
  readonly bytesToClients: number;
}

/** A watch that goes on until it is stopped. */
export interface TrafficWatch {
  /** Ends it. @throws Error when the counter could not be read at some time */
  stop(): Promise<readonly TrafficLook[]>;
}

const State = z.object({
  clusters: z.array(z.object({ name: z.string(), traffic: z.object({ bytesToClients: z.number() }) })),
});

/** Starts looking. @param cluster its name */
export function watchTraffic(control: SandboxFacts['control'], cluster: string): TrafficWatch {
  const stopping = new AbortController();
  const looks: TrafficLook[] = [];
  const watching = (async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      looks.push(await look(control, cluster));
      await sleep(LOOK_EVERY_IN_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
    // One more: the end of the interval must lie before the last look.
    looks.push(await look(control, cluster));
  })();
  // A failure is the caller's to see, at `stop`; until then it must not end the process.
  watching.catch(() => undefined);
  return {
    async stop() {
      stopping.abort();
      await watching;
      return looks;
    },
  };
}

/**
 * Bytes between the last look before an interval and the first look after it: never too few.
 * @throws Error when there was no look before or after
 */
export function bytesDuring(looks: readonly TrafficLook[], startedAt: number, endedAt: number): number {
  const before = looks.findLast(({ at }) => at <= startedAt);
  const after = looks.find(({ at }) => at >= endedAt);
  if (!before || !after) throw new Error('The traffic was not watched from before the start until after the end.');
  return after.bytesToClients - before.bytesToClients;
}

async function look(control: SandboxFacts['control'], name: string): Promise<TrafficLook> {
  const response = await fetch(`${control.url}/state`, { headers: { authorization: `Bearer ${control.token}` } });
  const { clusters } = State.parse(await response.json());
  const at = Date.now();
  const cluster = clusters.find((one) => one.name === name);
  if (!cluster) throw new Error(`The sandbox does not know a cluster ${name}.`);
  return { at, bytesToClients: cluster.traffic.bytesToClients };
}
