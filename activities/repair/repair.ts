/**
 * Repairs in the vault and of the identity: one write each, after a look, and a look afterwards.
 *
 * Never does: purge; shorten the life of a key; change what was not approved.
 */
import type { AzureAccess } from '../../azure/access';
import { ArmError, VaultError } from '../../azure/errors';
import { assertNever } from '../../domain/assert-never';
import type { KeyLookup, ObservedKey } from '../../domain/observed';
import type { StepOf } from '../../domain/plan/steps';
import { mustParseKeyId, mustParseVaultId, shortKeyId } from '../../domain/resource-ids';
import { needsPerson } from '../failures';
import { lookUntil, type Running } from '../running';

/** The types of steps that this file carries out. */
export const REPAIRS = [
  'enable-key-version',
  'extend-key-expiry',
  'recover-deleted-key',
  'recover-vault',
  'restore-identity',
] as const;

/** A step that this file carries out. */
export type RepairStep = StepOf<(typeof REPAIRS)[number]>;

/** What a repair did. */
export interface Repaired {
  /** False when it was so already. */
  readonly changed: boolean;
  /** Of `extend-key-expiry`: when the version expires now. */
  readonly expiresOn?: string;
  /** Of `restore-identity`. */
  readonly principalId?: string;
}

type Azure = Pick<AzureAccess, 'keys' | 'vaults' | 'identities'>;

const LOOK_IN_MS = 2_000;
/** A vault dates in whole seconds. */
const SECOND_IN_MS = 1_000;

/** Carries out one repair. @throws ApplicationFailure `RepairRefused`, non-retryable; ArmError, VaultError, TokenError */
export async function repair(azure: Azure, step: RepairStep, running: Running): Promise<Repaired> {
  switch (step.type) {
    case 'enable-key-version':
      return await enable(azure, step.key, running);
    case 'extend-key-expiry':
      return await extend(azure, step, running);
    case 'recover-deleted-key':
      return await recoverKey(azure, step.key, running);
    case 'recover-vault':
      return await recoverVault(azure, step, running);
    case 'restore-identity':
      return await restoreIdentity(azure, step, running);
    default:
      return assertNever(step);
  }
}

async function enable({ keys }: Azure, keyId: string, { signal }: Running): Promise<Repaired> {
  const options = { abortSignal: signal };
  const before = mustBeThere(await keys.lookUp(keyId, options));
  if (before.enabled) return { changed: false };
  await keys.setEnabled(keyId, true, options);
  if (!mustBeThere(await keys.lookUp(keyId, options)).enabled)
    throw refused(`The vault took the request and shows ${shortKeyId(keyId)} as disabled.`);
  return { changed: true };
}

async function extend(
  { keys }: Azure,
  { key: keyId, expiresOn }: StepOf<'extend-key-expiry'>,
  { signal }: Running,
): Promise<Repaired> {
  const options = { abortSignal: signal };
  const wanted = Date.parse(expiresOn);
  const lasts = ({ expiresOn: is }: ObservedKey): boolean =>
    is === undefined || Date.parse(is) >= wanted - SECOND_IN_MS;
  const before = mustBeThere(await keys.lookUp(keyId, options));
  // A person may have extended it further meanwhile, or taken the expiry away.
  if (lasts(before)) return { changed: false, expiresOn: before.expiresOn ?? 'never' };
  await keys.setExpiry(keyId, new Date(wanted), options);
  const after = mustBeThere(await keys.lookUp(keyId, options));
  if (!lasts(after)) {
    throw refused(
      `The vault took the request and shows ${shortKeyId(keyId)} to expire on ${after.expiresOn ?? 'no day'} instead of ${expiresOn}.`,
    );
  }
  return { changed: true, expiresOn: after.expiresOn ?? 'never' };
}

async function recoverKey({ keys }: Azure, keyId: string, running: Running): Promise<Repaired> {
  const options = { abortSignal: running.signal };
  const isThere = async (): Promise<boolean> => (await keys.lookUp(keyId, options)).found;
  if (await isThere()) return { changed: false };
  try {
    await keys.recoverDeleted(keyId, options);
  } catch (error) {
    if (!(error instanceof VaultError) || error.status !== 404 || (await isThere())) throw error;
    throw refused(`The vault has no deleted key of ${shortKeyId(keyId)} any more: it was purged since the approval.`);
  }
  await until(running, isThere, `the vault to show ${shortKeyId(keyId)} again`);
  return { changed: true };
}

async function recoverVault(
  { vaults, keys }: Azure,
  step: StepOf<'recover-vault'>,
  running: Running,
): Promise<Repaired> {
  const options = { abortSignal: running.signal };
  const { vaultName } = mustParseKeyId(step.key);
  const isThere = async (): Promise<boolean> => (await vaults.read(step.vaultId, '', options)).known;
  const changed = !(await isThere());
  if (changed) {
    const { subscriptionId } = mustParseVaultId(step.vaultId);
    const deleted = await vaults.findDeleted(vaultName, subscriptionId, options);
    if (deleted.state === 'none' && !(await isThere()))
      throw refused(`Azure has no deleted vault ${vaultName} any more: it was purged since the approval.`);
    await vaults.recover(step, options);
    await until(running, isThere, `Azure to show the vault ${vaultName} again`);
  }
  // Its name comes back minutes later. A vault that answers that there is no such key, or that Keyturn may not read it, answers.
  const answers = async (): Promise<boolean> => {
    try {
      const lookup = await keys.lookUp(step.key, options);
      return lookup.found || lookup.missing !== 'vault';
    } catch (error) {
      if (error instanceof VaultError && error.retryable) return false;
      throw error;
    }
  };
  await until(running, answers, `the vault ${vaultName} to answer again`);
  return { changed };
}

async function restoreIdentity(
  { identities }: Azure,
  { identityId, location }: StepOf<'restore-identity'>,
  { signal }: Running,
): Promise<Repaired> {
  const options = { abortSignal: signal };
  const found = await identities.read(identityId, options);
  if (found.found) return { changed: false, principalId: found.principalId };
  try {
    return { changed: true, principalId: await identities.create(identityId, location, null, options) };
  } catch (error) {
    if (!(error instanceof ArmError) || error.status !== 404) throw error;
    throw refused('The resource group of the managed identity does not exist any more.', error);
  }
}

async function until(running: Running, holds: () => Promise<boolean>, waitsFor: string): Promise<void> {
  await lookUntil<void>(running, { first: waitsFor, everyMs: LOOK_IN_MS }, async () =>
    (await holds()) ? { answer: undefined } : { waitsFor },
  );
}

function mustBeThere(lookup: KeyLookup): ObservedKey {
  if (lookup.found) return lookup.key;
  throw refused(lookup.why);
}

function refused(why: string, cause?: unknown): Error {
  return needsPerson('RepairRefused', `${why} ${AFTER_REFUSAL}`, cause);
}

/** What a refusal of a repair means, and what to do. */
export const AFTER_REFUSAL =
  'Nothing was made worse: what was repaired before stays repaired. Keep every key listed under keysNeeded. Give Keyturn the right that is missing (on keys: update and recover, as Key Vault Crypto Officer has them; on vaults: Microsoft.KeyVault/vaults/write; on identities: Managed Identity Contributor), or repair it by hand, then retry; or cancel.';
