/**
 * Retiring a key version: look whether it is needed, disable it, delete its key object if that is free.
 *
 * Never does: write to a vault without having looked right before (K1); purge (K4).
 */
import type { DeletedKeyState, KeyVersionState } from '../azure/key-retirement';
import { keyUserFaults, usersOf, type KeyUsage, type KeyUsers } from '../domain/key-users';
import { currentGeneration, reconcile } from '../domain/ledger';
import { reportedKeyId } from '../domain/observed';
import { compareResourceVersions } from '../domain/proof';
import { sameKeyId, shortKeyId } from '../domain/resource-ids';
import { isConfirmed } from '../domain/trusted-ledger';
import { readClusterEvidence } from './evidence';
import { needsPerson } from './failures';
import { readKeyUsage } from './key-usage';
import { countSecrets } from './kubernetes/secret-list';
import { readLedger } from './ledger';
import type { Disabled } from './contract';
import type { Look } from './look';

/** What is to be retired, and by whom. */
export interface Retirement {
  readonly keyId: string;
  readonly cluster: string;
  readonly operationId: string;
  /** Resource version of the list that the operation's last proof was made from. */
  readonly provenRv: string;
  /** What the vault said when the operation had disabled the version; absent before. */
  readonly disabled?: Disabled;
}

/**
 * Looks whether any cluster needs the key, and whether this cluster still is what was proven.
 * @throws ApplicationFailure, non-retryable: `KeyInUse`, `ResourceVersionWentBackwards`, `ClusterChangedOutside`, `KeyNotDisabled`; ArmError,
 *         KubeError, VaultError
 */
export async function checkKeyUnused(look: Look, retirement: Retirement): Promise<{ at: string; users: KeyUsers }> {
  const { users } = await lookForUsers(look, retirement);
  if (retirement.disabled) await requireStillDisabled(look, retirement);
  return { at: new Date().toISOString(), users };
}

/** Disables exactly one version. @throws as `checkKeyUnused`; VaultError */
export async function disableKeyVersion(look: Look, retirement: Retirement): Promise<Disabled> {
  await lookForUsers(look, retirement);
  const { keyId } = retirement;
  const { keys } = look.azure;
  const options = { abortSignal: look.signal };
  // An earlier try, whose answer was lost, may have disabled it: once more would change when it was disabled.
  const found = (await keys.listVersions(keyId, options)).find((one) => sameKeyId(one.keyId, keyId));
  const { updatedOn } = found?.enabled === false ? found : await keys.setEnabled(keyId, false, options);
  return { keyId, ...(updatedOn === undefined ? {} : { updatedOn: updatedOn.toISOString() }) };
}

/** What became of a key object. */
export interface Deletion {
  readonly recoveryId: string | null;
  readonly scheduledPurgeOn: string | null;
  /** Versions for which it was left. */
  readonly needed: string[];
}

/**
 * Soft-deletes the key object if none of its versions is needed: all are disabled, and no cluster needs one. Otherwise leaves it.
 * @throws as `checkKeyUnused`
 */
export async function deleteFreeKey(look: Look, retirement: Retirement): Promise<Deletion> {
  const { keys } = look.azure;
  const { keyId } = retirement;
  const options = { abortSignal: look.signal };
  const { usage } = await lookForUsers(look, retirement);
  const found = await requireStillDisabled(look, retirement);
  if ('deleted' in found) return deletionOf(found.deleted);
  const { versions } = found;
  const needed = versions
    .filter((version) => version.enabled || usersOf(usage, version.keyId).users.length > 0)
    .map((version) => version.keyId);
  if (needed.length > 0) return { recoveryId: null, scheduledPurgeOn: null, needed };
  return deletionOf(await keys.deleteKey(keyId, options));
}

/**
 * Whether the version is disabled, and was all the time since the operation disabled it. While it was enabled a cluster may have
 * taken it and let it go again: neither Azure nor a ledger shows that.
 * @returns what the vault has of the key object; a key that a person deleted meanwhile is as good as disabled
 */
async function requireStillDisabled(
  { azure: { keys }, signal }: Look,
  { keyId, disabled }: Retirement,
): Promise<{ readonly deleted: DeletedKeyState } | { readonly versions: KeyVersionState[] }> {
  const options = { abortSignal: signal };
  const deleted = await keys.deletedKey(keyId, options);
  if (deleted) return { deleted };
  const versions = await keys.listVersions(keyId, options);
  const version = versions.find((one) => sameKeyId(one.keyId, keyId));
  if (version?.enabled === false) {
    if (disabled?.updatedOn === undefined || version.updatedOn?.toISOString() === disabled.updatedOn)
      return { versions };
    throw needsPerson(
      'KeyNotDisabled',
      `${shortKeyId(keyId)} is disabled, but was changed in the vault since this operation disabled it (${disabled.updatedOn}): it may have been enabled for a while, and Secrets may be stored under it. Nothing was deleted. Find out who changed it, cancel, and ask for retire-key, which proves every Secret again.`,
    );
  }
  throw needsPerson(
    'KeyNotDisabled',
    `${shortKeyId(keyId)} was enabled again, or is gone, since this operation disabled it: a cluster or a program may need it. Nothing was deleted. Find out who enabled it, then cancel. To retire it after all, ask for retire-key, which proves every Secret again.`,
  );
}

function deletionOf({ recoveryId, scheduledPurgeOn }: DeletedKeyState): Deletion {
  return { recoveryId: recoveryId ?? null, scheduledPurgeOn: scheduledPurgeOn?.toISOString() ?? null, needed: [] };
}

async function lookForUsers(look: Look, retirement: Retirement): Promise<{ users: KeyUsers; usage: KeyUsage }> {
  await requireProven(look, retirement);
  const usage = await readKeyUsage(look.azure, look.use, look.signal);
  const users = usersOf(usage, retirement.keyId);
  const [fault] = keyUserFaults(users);
  if (fault) throw needsPerson(fault.code, `${fault.detail} Nothing was disabled or deleted by this step.`);
  return { users, usage };
}

/** Whether every Secret is still proven to be under the state that Azure reports; another operation may have changed it in the soak. */
async function requireProven({ azure, use, evidence, signal }: Look, retirement: Retirement): Promise<void> {
  const { cluster, operationId, provenRv, keyId } = retirement;
  const [{ observed }, [ledger, { resourceVersion: listRv }], records] = await Promise.all([
    azure.clusters.read(cluster, { abortSignal: signal }),
    use(cluster, signal, (connection) =>
      Promise.all([readLedger(connection, signal), countSecrets(connection, { signal })]),
    ),
    readClusterEvidence(cluster, evidence),
  ]);
  if (compareResourceVersions(listRv, provenRv) < 0) {
    throw needsPerson(
      'ResourceVersionWentBackwards',
      `The cluster was restored from a backup since its Secrets were proven (list ${listRv}, proof ${provenRv}): Secrets may be stored under ${shortKeyId(keyId)} again. Nothing was deleted. Enable the key version again if it is disabled, cancel, and ask for rewrite-secrets.`,
    );
  }
  const now = new Date().toISOString();
  const current = ledger === null ? undefined : currentGeneration(reconcile(ledger, reportedKeyId(observed), now));
  const own = current?.proof?.operationId === operationId;
  if (ledger !== null && current?.state === 'proven' && (own || isConfirmed(ledger, cluster, records))) return;
  throw needsPerson(
    'ClusterChangedOutside',
    `The Secrets of the cluster are not proven any more: its key or its ledger changed since. Nothing was disabled or deleted by this step. Enable ${shortKeyId(keyId)} again if it is disabled, cancel, and ask for rewrite-secrets, then for retire-key.`,
  );
}
