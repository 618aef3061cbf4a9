/**
 * The census's check of one Secret: a read of its record, or a dry run of its patch.
 *
 * Never does: store anything, or read a value.
 */
import type { Refusal } from '../../domain/refusal';
import type { KubeConnection } from '../kubernetes/connection';
import { KubeError } from '../kubernetes/errors';
import { patchDryRun, readSecret, type DetailedMetadata, type ListedSecret } from '../kubernetes/metadata';
import type { PassContext } from './pass';
import { RetryBudget } from './retry-budget';

/** What came out for one Secret. */
export interface Tried {
  /** Deleted, or deleted and made again: it is not the Secret of the list any more. */
  readonly gone?: boolean;
  readonly refusal?: Refusal;
  /** The rewrite would change its content. */
  readonly changed?: boolean;
}

/** Checks one Secret. @param onAnswer told how long a dry run took @throws KubeError when the API server is away; the signal's reason */
export async function tryOut(
  connection: KubeConnection,
  secret: ListedSecret,
  how: 'read' | 'dry-run',
  context: PassContext,
  onAnswer?: (tookInMs: number) => void,
): Promise<Tried> {
  const budget = new RetryBudget(context.pacer, context.signal);
  const { pacer, signal } = context;
  for (;;) {
    try {
      if (how === 'read') {
        const { uid } = await pacer.run(() => readSecret(connection, secret, { signal }), signal);
        return { gone: uid !== secret.uid };
      }
      let startedAt = 0;
      const would = await pacer.run(() => {
        startedAt = performance.now();
        return patchDryRun(connection, secret, { signal });
      }, signal);
      onAnswer?.(performance.now() - startedAt);
      return { changed: await wouldChange(connection, secret, would, context) };
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      // 404 is also the answer when its namespace does not exist, and webhooks deny with any status. So Keyturn reads it.
      const perhapsGone = error.status === 404 || error.status === 409;
      if (perhapsGone && (await isGone(connection, secret, context, budget))) return { gone: true };
      const refusal = await budget.next(error);
      if (refusal !== undefined) return { refusal };
    }
  }
}

/** Compares what would be stored with what is stored, without a value: labels, annotations, and the managers of fields. */
async function wouldChange(
  connection: KubeConnection,
  listed: ListedSecret,
  would: DetailedMetadata,
  { pacer, signal }: PassContext,
): Promise<boolean> {
  if (listed.content === undefined || would.content === listed.content) return false;
  if (would.resourceVersion === listed.resourceVersion) return true;
  // Another client wrote it since the list: so compare with what is stored now.
  const now = await pacer.run(() => readSecret(connection, listed, { signal }), signal);
  return now.resourceVersion === would.resourceVersion && now.content !== would.content;
}

async function isGone(
  connection: KubeConnection,
  secret: ListedSecret,
  { pacer, signal }: PassContext,
  budget: RetryBudget,
): Promise<boolean> {
  for (;;) {
    try {
      const { uid } = await pacer.run(() => readSecret(connection, secret, { signal }), signal);
      return uid !== secret.uid;
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      if (error.status === 404) return true;
      if ((await budget.next(error)) !== undefined) return false;
    }
  }
}
