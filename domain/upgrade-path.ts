/** Which version an upgrade to KMS v2 goes to. */
import { kmsScheme, minorOf } from './encryption';
import type { UpgradeProfile } from './observed';

/**
 * The version to upgrade to: the one that is asked for, or the newest patch of the oldest minor with KMS v2 that AKS offers.
 * A minor alone (`1.27`) means its newest patch, as for `az aks upgrade`.
 * @returns undefined when AKS does not offer it as the next minor
 */
export function chosenVersion({ current, offered }: UpgradeProfile, asked?: string): string | undefined {
  const next = offered.filter(
    (version) => kmsScheme(version) === 'kms-v2' && minorOf(version) === minorOf(current) + 1,
  );
  const wanted = next.filter((version) => asked === undefined || version === asked || version.startsWith(`${asked}.`));
  return wanted.sort((a, b) => patchOf(b) - patchOf(a))[0];
}

function patchOf(version: string): number {
  return Number(version.split('.')[2] ?? 0);
}
