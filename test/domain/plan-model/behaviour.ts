/**
 * The decisions that the machine takes from the product. `AS_PRODUCT` is what domain/ and the activities do; each test of a
 * mutation changes one member and shows that the machine finds it out.
 */
import * as ledger from '../../../domain/ledger';
import { keysNeededNow, resultOf } from '../../../domain/plan/outputs';
import { planFaults } from '../../../domain/plan/check-plan';
import type { Plan } from '../../../domain/plan/plan';
import { isConclusive } from '../../../domain/proof';
import { keyUserFaults, usersOf, usersOfVault } from '../../../domain/key-users';
import { inspect } from '../../../domain/inspection';
import { kindOf } from '../../../domain/kinds';
import type { Recovery } from '../../../domain/recovery';
import { recoveryKeys } from '../../../domain/recovery-keys';
import { PROOF_HOLDS_FOR_MS, voidReason } from '../../../domain/proof-validity';
import { isConfirmed } from '../../../domain/trusted-ledger';

/** The decisions. */
export interface Behaviour {
  /** What a mistaken kind or transition would have made of a plan. */
  readonly mistake: (plan: Plan) => Plan;
  readonly planFaults: typeof planFaults;
  readonly ledger: Pick<typeof ledger, 'reconcile' | 'activating' | 'activated' | 'proven' | 'keysNeeded'>;
  readonly keysNeededNow: typeof keysNeededNow;
  readonly resultOf: typeof resultOf;
  readonly voidReason: typeof voidReason;
  /** Whether a switch is noted only while the ledger, as it agrees with Azure, has the state before it as proven. */
  readonly switchesProvenOnly: boolean;
  /** How old a proof may be when it is written. */
  readonly proofHoldsForMs: number;
  readonly isConclusive: typeof isConclusive;
  readonly isConfirmed: typeof isConfirmed;
  readonly usersOf: typeof usersOf;
  readonly usersOfVault: typeof usersOfVault;
  /** Whether it is looked at right before a public address closes who needs it: activities/vault-network.ts. */
  readonly looksBeforeClosing: boolean;
  readonly keyUserFaults: typeof keyUserFaults;
  readonly kindOf: typeof kindOf;
  readonly inspect: typeof inspect;
  /** Which keys an inspection and recover-key look at. */
  readonly recoveryKeys: typeof recoveryKeys;
  /** What they see of them. */
  readonly recoverySeen: (recovery: Recovery) => Recovery;
  /** Whether a canary that was stored anew tells of a switch, by its content before and after: activities/canary-watch.ts. */
  readonly tellsOfSwitch: (before: number, after: number) => boolean;
  /** `still`: patches that change nothing leave a canary as it is before R0 is noted, as activities/canaries.ts sees to. */
  readonly canariesOfBaseline: 'still' | 'as-made';
}

/** What the product does. */
export const AS_PRODUCT: Behaviour = {
  mistake: (plan) => plan,
  planFaults,
  ledger,
  keysNeededNow,
  resultOf,
  voidReason,
  switchesProvenOnly: true,
  proofHoldsForMs: PROOF_HOLDS_FOR_MS,
  isConclusive,
  isConfirmed,
  usersOf,
  usersOfVault,
  looksBeforeClosing: true,
  keyUserFaults,
  kindOf,
  inspect,
  recoveryKeys,
  recoverySeen: (recovery) => recovery,
  tellsOfSwitch: (before, after) => before === after,
  canariesOfBaseline: 'still',
};
