/** Faults that the processes of a cluster have, by the switchboard's settings. */
import { messageOf } from '../../message-of';
import type { Faults } from '../faults';
import type { Journal } from '../journal';
import type { ManagedCluster } from './managed-cluster';

interface FaultSources {
  readonly faults: Faults;
  readonly journal: Journal;
}

/** Brings a cluster to the faults that are on. */
export function applyFaults(sources: FaultSources, cluster: ManagedCluster): void {
  const { faults } = sources;
  cluster.running?.setLatency(faults.all('kube-latency')[0]?.milliseconds ?? 0);
  applyLostAnswers(sources, cluster);
  cluster.running?.setLateServers(faults.about('late-servers', cluster.id)?.servers ?? 0);
}

/** What was lost is counted from the moment when the fault is set, or set again. */
function applyLostAnswers({ faults, journal }: FaultSources, cluster: ManagedCluster): void {
  const times = faults.about('kube-lost-response', cluster.id)?.times ?? 0;
  if (cluster.lostAnswers === times) return;
  cluster.lostAnswers = times;
  const setting = cluster.running?.setLostAnswers(times, (lost) =>
    journal.add({
      time: new Date().toISOString(),
      host: `${cluster.name}.kube`,
      ...lost,
      answered: false,
      kms: false,
    }),
  );
  setting?.catch((error: unknown) => process.stderr.write(`kube-lost-response: ${messageOf(error)}\n`));
}
