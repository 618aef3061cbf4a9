/**
 * The proof: a fresh list of all Secrets, judged by the proof rule, and a second look at the API servers.
 * "The loop ended" is not proof (K5).
 */
import type { Convergence } from '../../domain/convergence';
import type { Proof, ProofBounds, RefusedSecret } from '../../domain/proof';
import { CONVERGENCE_LIMITS, type ConvergenceLimits } from '../convergence';
import type { KubeConnection } from '../kubernetes/connection';
import type { Running } from '../running';
import { convergenceHolds } from '../second-look';
import { NAMED_SECRETS } from './rewrite';
import { settleAll } from './settle-all';

/** What is to be proven. */
export interface ProofInput {
  readonly keyId: string;
  readonly operationId: string;
  readonly bounds: ProofBounds;
  readonly convergence: Convergence;
  readonly inFlight: number;
}

/**
 * Judges every live Secret. One that is not proven by its resource version is asked by a fenced no-op patch, so that an
 * unproven one is listed with what the API server says of it.
 * @throws as `settleAll`
 */
export async function proveSecrets(
  connection: KubeConnection,
  input: ProofInput,
  running: Running,
  limits: ConvergenceLimits = CONVERGENCE_LIMITS,
): Promise<Proof> {
  let secrets = 0;
  let unproven = 0;
  const unprovenSecrets: RefusedSecret[] = [];
  const isUnproven = (secret: RefusedSecret): void => {
    unproven++;
    if (unprovenSecrets.length < NAMED_SECRETS) unprovenSecrets.push(secret);
  };
  const { listRv, progress } = await settleAll(
    connection,
    {
      bounds: input.bounds,
      operationId: input.operationId,
      inFlight: input.inFlight,
      onOutcome({ namespace, name }, outcome) {
        if (outcome.type !== 'gone') secrets++;
        if (outcome.type === 'refused')
          isUnproven({ namespace, name, reason: outcome.reason, message: outcome.message });
        if (outcome.type !== 'contradiction') return;
        isUnproven({
          namespace,
          name,
          reason: 'Contradiction',
          message: `Its resource version ${outcome.resourceVersion} is from before the switch, but an API server says that it is not stale. Check convergence, then retry.`,
        });
      },
    },
    running,
  );
  const convergenceHeld = await convergenceHolds(connection, input, running, limits, progress);
  return { bounds: input.bounds, finalRv: listRv, secrets, unproven, unprovenSecrets, convergenceHeld };
}
