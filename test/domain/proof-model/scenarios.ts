/** The situations that the proof rule must be right in. */
import type { RewriteMethod } from '../../../domain/proof';
import type { Scheme } from './cluster';

/** From which keys to which. */
export interface Scenario {
  readonly name: string;
  readonly scheme: Scheme;
  /** What servers write with before the switch. */
  readonly old: string;
  readonly target: string;
  /** What Secrets may be stored under at the start. */
  readonly seeded: readonly string[];
  /** Whether the target was never in use before, so that R0 counts. Without, servers may have switched already. */
  readonly baseline: boolean;
  /** What convergence finds out. */
  readonly method: RewriteMethod;
}

const FRESH = { old: 'key-2', target: 'key-3', seeded: ['key-2', 'key-1'], baseline: true } as const;
const REUSED = { old: 'key-2', target: 'key-1', seeded: ['key-2', 'key-1', 'key-0'], baseline: false } as const;

/** KMS v2 to a key that was never used. */
export const V2_FRESH: Scenario = {
  ...FRESH,
  name: 'KMS v2, a fresh key',
  scheme: 'kms-v2',
  method: 'no-op',
};
/** KMS v1 with a provider name for each key. */
export const V1_NAMED: Scenario = {
  ...V2_FRESH,
  name: 'KMS v1, a provider name for each key',
  scheme: 'kms-v1-named',
};
/** KMS v1 behind one provider name. */
export const V1_SHARED: Scenario = {
  ...FRESH,
  name: 'KMS v1, one provider name',
  scheme: 'kms-v1-shared',
  method: 'forced',
};

/** All of them. */
export const SCENARIOS: readonly Scenario[] = [
  V2_FRESH,
  { ...REUSED, name: 'KMS v2, a key that was in use before', scheme: 'kms-v2', method: 'no-op' },
  {
    name: 'KMS v2, KMS switched on',
    scheme: 'kms-v2',
    old: 'identity',
    target: 'key-1',
    seeded: ['identity'],
    baseline: true,
    method: 'no-op',
  },
  {
    name: 'KMS v2, KMS switched off',
    scheme: 'kms-v2',
    old: 'key-2',
    target: 'identity',
    seeded: ['key-2', 'key-1', 'identity'],
    baseline: false,
    method: 'no-op',
  },
  V1_NAMED,
  V1_SHARED,
  {
    ...REUSED,
    name: 'KMS v1, a key that was in use before, of unknown provider names',
    scheme: 'kms-v1-shared',
    method: 'forced',
  },
];
