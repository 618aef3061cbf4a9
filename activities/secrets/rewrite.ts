/** The rewrite: every Secret that is not proven yet is asked, and with that stored anew under the current key. */
import type { ProofBounds, RefusedSecret, RewriteReport } from '../../domain/proof';
import type { KubeConnection } from '../kubernetes/connection';
import type { Running } from '../running';
import { settleAll } from './settle-all';

/** Reports name so many Secrets at most; they count all. */
export const NAMED_SECRETS = 100;

/**
 * Rewrites. Running it again continues where it was: what is proven needs no request.
 * @throws as `settleAll`
 */
export async function rewriteSecrets(
  connection: KubeConnection,
  options: { readonly bounds: ProofBounds; readonly operationId: string; readonly inFlight: number },
  running: Running,
): Promise<RewriteReport> {
  const counts = { rewritten: 0, alreadyProven: 0, unchanged: 0, gone: 0, contradiction: 0, refused: 0 };
  const refusedSecrets: RefusedSecret[] = [];
  await settleAll(
    connection,
    {
      ...options,
      onOutcome({ namespace, name }, outcome) {
        counts[outcome.type]++;
        if (outcome.type !== 'refused' || refusedSecrets.length >= NAMED_SECRETS) return;
        refusedSecrets.push({ namespace, name, reason: outcome.reason, message: outcome.message });
      },
    },
    running,
  );
  const { contradiction: contradictions, ...rest } = counts;
  const secrets = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return { bounds: options.bounds, secrets, ...rest, contradictions, refusedSecrets };
}
