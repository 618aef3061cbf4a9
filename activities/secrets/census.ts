/**
 * The census: a dry run of the rewrite, Secret by Secret, before any key is touched.
 *
 * A dry-run patch reads the record from etcd and runs authorization, admission and validation; it stores nothing.
 * Source: research note rotation-systems.md 1.1 (5).
 */
import { CENSUS_NAMES, type Census, type CensusProblem } from '../../domain/census';
import { refusalReason, RefusalReason, type Refusal } from '../../domain/refusal';
import type { KubeConnection } from '../kubernetes/connection';
import { KubeError } from '../kubernetes/errors';
import { patchDryRun, readSecret, type SecretMetadata } from '../kubernetes/metadata';
import type { Running } from '../running';
import { passOverSecrets, type Pace, type PassContext } from './pass';
import { Patience } from './patience';

/** A finalizer that took longer than this is stuck: a deletion that is under way says nothing. */
const FINALIZING_AFTER_IN_MS = 10 * 60_000;
/** The key that an API server names when it cannot decrypt a record: `/registry/secrets/{namespace}/{name}`. */
const RECORD = /\/registry\/secrets\/([^/"\s]+)\/([^/"\s:]+)/;

/**
 * Asks what would happen to every Secret.
 * @throws KubeError when the API server is away or refuses the list; the signal's reason
 */
export async function takeCensus(
  connection: KubeConnection,
  pace: Pace,
  running: Running,
  now: () => number = Date.now,
): Promise<Census> {
  const problems = new Map<RefusalReason, CensusProblem>();
  const finalizing = { count: 0, secrets: [] as string[] };
  let secrets = 0;
  const met = (secret: string, reason: RefusalReason, message: string): void => {
    const known = problems.get(reason) ?? { reason, count: 0, secrets: [], message };
    problems.set(reason, {
      ...known,
      count: known.count + 1,
      secrets: known.secrets.length < CENSUS_NAMES ? [...known.secrets, secret] : known.secrets,
    });
  };
  const handle = async (secret: SecretMetadata, context: PassContext): Promise<void> => {
    const name = `${secret.namespace}/${secret.name}`;
    const refusal = await tryOut(connection, secret, context);
    if (refusal === 'gone') return;
    secrets++;
    if (refusal !== undefined) met(name, refusal.reason, refusal.message);
    const deletedAt = Date.parse(secret.deletionTimestamp ?? '');
    if (now() - deletedAt > FINALIZING_AFTER_IN_MS) {
      finalizing.count++;
      if (finalizing.secrets.length < CENSUS_NAMES) finalizing.secrets.push(name);
    }
  };
  try {
    await passOverSecrets(connection, { pace, handle }, running);
  } catch (error) {
    // API servers below 1.31 list from etcd, and one record that cannot be decrypted fails the whole list.
    const reason = error instanceof KubeError ? refusalReason(error) : undefined;
    if (!(error instanceof KubeError) || reason !== 'Unreadable') throw error;
    const [, namespace, name] = RECORD.exec(error.message) ?? [];
    met(name === undefined ? 'one that the API server does not name' : `${namespace}/${name}`, reason, error.message);
  }
  const order = RefusalReason.options;
  return {
    secrets,
    problems: [...problems.values()].sort((a, b) => order.indexOf(a.reason) - order.indexOf(b.reason)),
    finalizing,
  };
}

async function tryOut(
  connection: KubeConnection,
  secret: SecretMetadata,
  { pacer, signal }: PassContext,
): Promise<'gone' | Refusal | undefined> {
  const patience = new Patience(pacer, signal);
  for (;;) {
    try {
      await pacer.run(() => patchDryRun(connection, secret, { signal }), signal);
      return undefined;
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      // Also said when its namespace is not there, and by webhooks with any status that they like: so it is looked for.
      if (
        (error.status === 404 || error.status === 409) &&
        (await isGone(connection, secret, { pacer, signal }, patience))
      ) {
        return 'gone';
      }
      const refusal = await patience.meet(error);
      if (refusal !== undefined) return refusal;
    }
  }
}

/** Whether it was deleted, or deleted and made again: then it is not the Secret of the list any more. */
async function isGone(
  connection: KubeConnection,
  secret: SecretMetadata,
  { pacer, signal }: Pick<PassContext, 'pacer' | 'signal'>,
  patience: Patience,
): Promise<boolean> {
  for (;;) {
    try {
      const { uid } = await pacer.run(() => readSecret(connection, secret, { signal }), signal);
      return uid !== secret.uid;
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      if (error.status === 404) return true;
      if ((await patience.meet(error)) !== undefined) return false;
    }
  }
}
