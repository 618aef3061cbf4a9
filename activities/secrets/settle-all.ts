/** All Secrets of a cluster, by the proof rule: the engine of rewrite and proof. */
import { PROOF_RULE, wentBackwards, type ProofBounds } from '../../domain/proof';
import { CANARY_COUNT, canariesOf } from '../canaries';
import { needsPerson } from '../failures';
import type { KubeConnection } from '../kubernetes/connection';
import type { SecretMetadata } from '../kubernetes/metadata';
import type { Running } from '../running';
import { passOverSecrets, type Pace } from './pass';
import { settleSecret, type Outcome } from './settle-secret';

/** What to settle. */
export interface SettleAllOptions {
  readonly bounds: ProofBounds;
  readonly operationId: string;
  readonly pace: Pace;
  /** Called for each Secret; what it throws ends the pass. */
  readonly onOutcome: (secret: SecretMetadata, outcome: Outcome) => void;
}

/**
 * Settles every Secret except the operation's own canaries, which the check for convergence has settled.
 * @returns the resource version of the list
 * @throws ApplicationFailure `ResourceVersionWentBackwards`, non-retryable
 * @throws KubeError when the API server is away or refuses the list; the signal's reason
 */
export async function settleAll(
  connection: KubeConnection,
  { bounds, operationId, pace, onOutcome }: SettleAllOptions,
  running: Running,
): Promise<string> {
  return await passOverSecrets(
    connection,
    {
      pace,
      leaveOut: { isOne: canariesOf(operationId), count: CANARY_COUNT },
      onPage: (listRv) => refuseOldList(listRv, bounds),
      handle(secret, { pacer, signal }) {
        if (PROOF_RULE.bandOf(secret.resourceVersion, bounds) === 'after-convergence') {
          onOutcome(secret, { type: 'alreadyProven' });
          return undefined;
        }
        const settled = settleSecret(secret, { connection, operationId, bounds, pacer, signal });
        return settled.then((outcome) => onOutcome(secret, outcome));
      },
    },
    running,
  );
}

function refuseOldList(listRv: string, { baselineRv, convergedRv }: ProofBounds): void {
  refuseBackwards(baselineRv, listRv);
  refuseBackwards(convergedRv, listRv);
}

/**
 * Refuses a list that is older than an earlier one.
 * @throws ApplicationFailure `ResourceVersionWentBackwards`, non-retryable
 */
export function refuseBackwards(earlier: string | null, listRv: string): void {
  if (earlier !== null && wentBackwards(earlier, listRv)) {
    throw needsPerson(
      'ResourceVersionWentBackwards',
      `A list of Secrets has the resource version ${listRv}, but ${earlier} was seen before. Was etcd restored from a backup? ` +
        'No earlier proof holds any more. Keep every key of the backup, and start a new operation.',
    );
  }
}
