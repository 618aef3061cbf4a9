/**
 * The proof: a fresh list of all Secrets, judged by the proof rule, and then a recheck of the API servers, which is late enough
 * for everything that was stored before. "The loop ended" is not proof (K5).
 */
import type { Convergence } from '../../domain/convergence';
import type { EncryptionTarget } from '../../domain/encryption';
import type { Proof, ProofBounds } from '../../domain/proof';
import { refusedSecret, type RefusedSecret } from '../../domain/refusal';
import { RefusedNames } from '../../domain/refused-names';
import type { ConvergenceLimits } from '../convergence';
import type { KubeConnection } from '../kubernetes/connection';
import type { SecretMetadata } from '../kubernetes/metadata';
import { countSecrets } from '../kubernetes/secret-list';
import type { OnRefused } from '../refused-report';
import type { Running } from '../running';
import { recheckConvergence } from '../convergence-recheck';
import type { Pace } from './pass';
import { refuseBackwards, settleAll } from './settle-all';
import type { Outcome } from './settle-secret';

/** What is to be proven. */
export interface ProofInput {
  readonly target: EncryptionTarget;
  readonly operationId: string;
  readonly bounds: ProofBounds;
  readonly convergence: Convergence;
  readonly pace: Pace;
  /** Called for each Secret that is not proven, also where the proof has no room to name it. */
  readonly onRefused?: OnRefused;
}

/**
 * Judges every live Secret. One that is not proven by its resource version is asked by a fenced patch, so that an unproven
 * one is listed with what the API server says of it.
 * @throws as `settleAll`
 */
export async function proveSecrets(
  connection: KubeConnection,
  input: ProofInput,
  running: Running,
  limits: ConvergenceLimits,
): Promise<Proof> {
  const { bounds, operationId, pace, convergence } = input;
  let secrets = 0;
  let unproven = 0;
  const named = new RefusedNames();
  const listRv = await settleAll(
    connection,
    {
      bounds,
      operationId,
      pace,
      onOutcome(secret, outcome) {
        if (outcome.type !== 'gone') secrets++;
        const objection = objectionTo(secret, outcome);
        if (objection === undefined) return;
        unproven++;
        named.add(objection);
        input.onRefused?.(objection);
      },
    },
    running,
  );
  const recheck = await recheckConvergence(connection, input, running, limits);
  // etcd may have been restored after the list: what was settled since is not what is stored now.
  const { resourceVersion } = await countSecrets(connection, { signal: running.signal });
  refuseBackwards(listRv, resourceVersion);
  return {
    bounds,
    finalRv: listRv,
    secrets,
    unproven,
    unprovenSecrets: named.secrets,
    convergenceHeld: recheck.holds,
    weaknesses: [...new Set([...convergence.weaknesses, ...recheck.weaknesses])],
  };
}

/** Why a Secret is not proven; undefined when it is, or is gone. */
function objectionTo(secret: SecretMetadata, outcome: Outcome): RefusedSecret | undefined {
  if (outcome.type === 'refused') return refusedSecret(secret, outcome.reason, outcome.message);
  if (outcome.type !== 'contradiction') return undefined;
  return refusedSecret(
    secret,
    'Contradiction',
    `Its resource version ${outcome.resourceVersion} is from before the switch, but an API server says that it is not stale.`,
  );
}
