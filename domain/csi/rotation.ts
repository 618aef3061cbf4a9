/** Whether a plan proves that mounted files follow the vault, and by what. Pure. */
import type { ObservedCluster } from '../observed';
import type { CsiFacts } from './facts';
import { typesOf, type CsiObject, type ObjectType } from './objects';

/** Longer rotations are not waited for: the proof takes up to two poll intervals, and holds the lock of the cluster meanwhile. */
export const LONGEST_POLL_IN_S = 1_800;

/** The object that Keyturn makes in the vault. A certificate would need an issuer, and takes longer than its rotation. */
export type ProbeType = Exclude<ObjectType, 'cert'>;

/** How rotation stands when the plan is done. */
export type RotationProof =
  | { readonly state: 'off' }
  | { readonly state: 'proven'; readonly pollInterval: string; readonly probe: ProbeType }
  | { readonly state: 'not-proven'; readonly why: string };

/** What of a request matters. */
export interface RotationRequest {
  readonly objects: readonly CsiObject[];
  readonly proveRotation?: boolean | undefined;
  readonly rotationPollInterval?: string | undefined;
}

/**
 * @param secretsProvider the add-on as it is; while it is off, the plan turns it on as the request says
 * @param vault as far as it is seen: one that is not open to all networks takes no probe, unless the request says that Keyturn reaches it
 */
export function rotationProof(
  { secretsProvider }: Pick<ObservedCluster, 'secretsProvider'>,
  { objects, proveRotation, rotationPollInterval }: RotationRequest,
  vault: CsiFacts['vault'] | undefined,
): RotationProof {
  const pollInterval =
    secretsProvider?.enabled === true ? secretsProvider.pollInterval : (rotationPollInterval ?? null);
  if (pollInterval === null) return { state: 'off' };
  if (proveRotation === false) return { state: 'not-proven', why: 'The request has proveRotation false.' };
  if (proveRotation === undefined && vault?.known === true && !vault.value.openToAllNetworks) {
    return {
      state: 'not-proven',
      why: 'The vault is not open to all networks, and Keyturn would have to make an object in it: where it can, ask with proveRotation true.',
    };
  }
  const types = typesOf(objects);
  const probe = (['secret', 'key'] as const).find((type) => types.includes(type));
  if (probe === undefined) {
    return {
      state: 'not-proven',
      why: 'The class has certificates only, and Keyturn makes a secret or a key to prove it with.',
    };
  }
  const seconds = secondsOf(pollInterval);
  if (seconds === undefined || seconds > LONGEST_POLL_IN_S) {
    return {
      state: 'not-proven',
      why: `The poll interval is ${pollInterval}, and Keyturn waits for intervals of at most ${LONGEST_POLL_IN_S / 60} minutes.`,
    };
  }
  return { state: 'proven', pollInterval, probe };
}

const UNITS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3_600 };

/** A duration as Go writes it (`2m`, `1h30m`, `1.5s`), in seconds; undefined for another text, and for none at all. */
export function secondsOf(duration: string): number | undefined {
  if (!/^(?:\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h))+$/.test(duration)) return undefined;
  const parts = [...duration.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  const seconds = parts.reduce((sum, [, count, unit = '']) => sum + Number(count) * (UNITS[unit] ?? 0), 0);
  return seconds > 0 ? seconds : undefined;
}
