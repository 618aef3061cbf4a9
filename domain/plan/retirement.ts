/**
 * Retirement: the steps after which a key version that no cluster needs is disabled and, when nothing misses it, deleted.
 *
 * The order is the safety property (K1, K4): what needs the key is looked for right before each write to the vault; disabling comes
 * first because it can be undone at once; the soak shows what still needs the key while it can be enabled again.
 */
import type { EncryptionState } from '../encryption';
import { parseKeyId, shortKeyId } from '../resource-ids';
import type { PlanStep } from './steps';

/** What a retirement is made of. */
export interface RetirementOptions {
  /** The state that the cluster is in then: every Secret is proven under it. */
  readonly state: EncryptionState;
  /** The gate for deletion. */
  readonly gate: PlanStep;
  /** Before which write the gate is: before the key is disabled, or before it is deleted. */
  readonly gateBefore: 'disable' | 'delete';
  readonly soakInSeconds: number;
  /** False when a version of the same key object is known to be needed: then the object stays. */
  readonly deleteObject: boolean;
}

/** @param key the versioned key id */
export function retirement(key: string, options: RetirementOptions): PlanStep[] {
  const { state, gate, gateBefore, soakInSeconds, deleteObject } = options;
  const name = shortKeyId(key);
  const parsed = parseKeyId(key);
  const object = 'fault' in parsed ? name : `${parsed.vaultName}/${parsed.name}`;
  const check = (id: string): PlanStep => ({
    id,
    type: 'check-key-unused',
    key,
    state,
    title: `Look whether any cluster needs ${name}`,
    reason:
      'A cluster that has the key in a slot, or a Secret stored under it, is lost with the key (K1). Keyturn looks in every subscription that it can read, and in the ledgers of the clusters.',
  });
  const disabling: PlanStep[] = [
    check('retire.check-key-unused'),
    {
      id: 'retire.disable-key-version',
      type: 'disable-key-version',
      key,
      check: 'retire.check-key-unused',
      title: `Disable ${name}`,
      reason: 'A disabled version can be enabled again at once. What still needs it fails now, while that helps.',
    },
  ];
  const soaking: PlanStep[] = [
    {
      id: 'retire.soak',
      type: 'soak',
      key,
      seconds: soakInSeconds,
      title: `Wait ${durationOf(soakInSeconds)} with ${name} disabled`,
      reason: 'What Keyturn cannot see, such as a program that uses the key by itself, shows in this time.',
    },
    check('retire.check-key-unused-again'),
  ];
  const deleting: PlanStep = {
    id: 'retire.delete-key',
    type: 'delete-key',
    key,
    check: 'retire.check-key-unused-again',
    title: `Delete the key ${object} if none of its versions is needed`,
    reason:
      'Key Vault deletes a key object with all its versions. It stays recoverable for the retention time of the vault; Keyturn never purges.',
  };
  return [
    ...(gateBefore === 'disable' ? [gate] : []),
    ...disabling,
    ...(deleteObject ? soaking : []),
    ...(deleteObject && gateBefore === 'delete' ? [gate] : []),
    ...(deleteObject ? [deleting] : []),
  ];
}

function durationOf(seconds: number): string {
  if (seconds % 3600 === 0 && seconds > 0) return seconds === 3600 ? 'one hour' : `${seconds / 3600} hours`;
  return `${seconds} seconds`;
}
