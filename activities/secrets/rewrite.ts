/** The rewrite: sends a fenced patch to every Secret that is not proven yet, which makes the API server store it under the current key. */
import { isPointless, type ProofBounds, type RewriteReport } from '../../domain/proof';
import { refusedSecret } from '../../domain/refusal';
import { RefusedNames } from '../../domain/refused-names';
import { needsPerson } from '../failures';
import type { KubeConnection } from '../kubernetes/connection';
import type { OnRefused } from '../refused-report';
import type { Running } from '../running';
import type { Pace } from './pass';
import { settleAll } from './settle-all';

/**
 * Rewrites. Running it again continues where it stopped: a proven Secret needs no request.
 * @throws ApplicationFailure `RewriteHadNoEffect`, non-retryable, as soon as it is clear that going on is pointless
 * @throws as `settleAll`
 */
export async function rewriteSecrets(
  connection: KubeConnection,
  options: {
    readonly bounds: ProofBounds;
    readonly operationId: string;
    readonly pace: Pace;
    readonly onRefused?: OnRefused;
  },
  running: Running,
): Promise<RewriteReport> {
  const counts = { rewritten: 0, alreadyProven: 0, unchanged: 0, gone: 0, contradiction: 0, refused: 0 };
  const refused = new RefusedNames();
  await settleAll(
    connection,
    {
      ...options,
      onOutcome(secret, outcome) {
        counts[outcome.type]++;
        if (outcome.type === 'refused') {
          const one = refusedSecret(secret, outcome.reason, outcome.message);
          refused.add(one);
          options.onRefused?.(one);
        }
        if (isPointless({ rewritten: counts.rewritten, contradictions: counts.contradiction })) {
          throw needsPerson('RewriteHadNoEffect', noEffectText(counts.contradiction, counts.rewritten));
        }
      },
    },
    running,
  );
  const { contradiction: contradictions, ...rest } = counts;
  const secrets = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return { bounds: options.bounds, secrets, ...rest, contradictions, refusedSecrets: refused.secrets };
}

function noEffectText(contradictions: number, rewritten: number): string {
  return (
    `Stopped: ${contradictions} of the first ${contradictions + rewritten} Secrets that had to change did not. ` +
    'Some API server does not write with the new key, or the change of the key did not reach this cluster. Keep every key that the cluster used enabled and unexpired; look at the API servers, then retry.'
  );
}
