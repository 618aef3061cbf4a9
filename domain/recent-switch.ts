/** Whether the current state was set so lately that API servers which do not show their key may not have switched yet. */
import { minorOf } from './encryption';
import { currentGeneration, type Generation, type Ledger } from './ledger';
import type { ObservedCluster } from './observed';
import { minutesAfter } from './times';

/** API servers show in their metrics which key they write with from this minor on, with KMS v2. */
const FIRST_MINOR_WITH_KEYS_IN_METRICS = 29;

/** Where they do not: minutes after a switch before an unproven state may be proven and switched again. */
const SWITCH_IS_OVER_AFTER_IN_MINUTES = 60;

/** @returns the switch, and when it is surely over; undefined when it is over, or API servers show their key */
export function recentSwitch(
  ledger: Ledger,
  { kubernetesVersion }: Pick<ObservedCluster, 'kubernetesVersion'>,
  now: string,
): { readonly current: Generation; readonly overAt: string } | undefined {
  const current = currentGeneration(ledger);
  if (minorOf(kubernetesVersion) >= FIRST_MINOR_WITH_KEYS_IN_METRICS) return undefined;
  if (!current || current.state !== 'activated' || current.origin !== 'operation') return undefined;
  const overAt = minutesAfter(current.since, SWITCH_IS_OVER_AFTER_IN_MINUTES);
  return now >= overAt ? undefined : { current, overAt };
}
