/**
 * How fast a rewrite may be: what the owners of the cluster allow, and what the vault allows.
 *
 * With KMS v2 an API server asks the vault when it starts, not for each Secret. With KMS v1 each write makes its own data key:
 * one encrypt in the vault, and a decrypt for each read that misses the API server's cache of 1000 keys.
 * Sources: Key Vault service limits (transactions per vault and region in 10 s); research note rotation-systems.md 1.3, 1.7.
 */
import { kmsScheme } from './encryption';
import type { AzureObservation, ObservedCluster, ObservedKey } from './observed';
import type { Warning } from './plan/plan';

/** The tag on a managed cluster by which its owners limit how many Secrets a second are rewritten. */
export const CEILING_TAG = 'keyturn-rewrites-per-second';

/** Transactions in 10 s: RSA keys by size, in software and in a HSM. */
const VAULT_LIMITS: Readonly<Record<number, { readonly software: number; readonly hsm: number }>> = {
  2048: { software: 4000, hsm: 2000 },
  3072: { software: 1000, hsm: 500 },
  4096: { software: 500, hsm: 250 },
};
const LIMIT_PERIOD_IN_SECONDS = 10;
/** Live traffic, and other clusters, need the vault too. */
const SHARE_OF_THE_VAULT = 0.5;
/** One encrypt for the write, and a decrypt each for the read before it and the list that refills the caches. */
const TRANSACTIONS_PER_SECRET = 3;

/** How many Secrets a second may be rewritten with KMS v1 and this key: half of the vault's limit. An unknown size counts as the largest. */
export function vaultBudget({ keyType, keySizeInBits }: Pick<ObservedKey, 'keyType' | 'keySizeInBits'>): number {
  const limits = VAULT_LIMITS[keySizeInBits ?? 4096] ?? VAULT_LIMITS[4096];
  const limit = (keyType.endsWith('-HSM') ? limits?.hsm : limits?.software) ?? 0;
  const transactions = (limit / LIMIT_PERIOD_IN_SECONDS) * SHARE_OF_THE_VAULT;
  return Math.max(1, Math.floor(transactions / TRANSACTIONS_PER_SECRET));
}

/** The ceiling that the cluster's owners have set by a tag; undefined when there is none or it is no positive number. */
export function taggedCeiling({ tags }: Pick<ObservedCluster, 'tags'>): number | undefined {
  const text = tags[CEILING_TAG];
  if (text === undefined || !/^\d{1,6}(\.\d{1,3})?$/.test(text.trim())) return undefined;
  const ceiling = Number(text);
  return ceiling > 0 ? ceiling : undefined;
}

/**
 * Secrets that may be rewritten in a second: the lower of what the owners allow and, when API servers ask the vault for every
 * Secret, what the vault allows. Null when neither limits it.
 */
export function rewriteCeiling({
  cluster,
  currentKey,
  requestedKey,
}: Pick<AzureObservation, 'cluster' | 'currentKey' | 'requestedKey'>): number | null {
  if (!cluster.found) return null;
  const perSecret = kmsScheme(cluster.cluster.kubernetesVersion) === 'kms-v1';
  // API servers decrypt with one key and encrypt with the other; a new version is like the current one.
  const budgets = [currentKey, requestedKey].map((key) => (perSecret && key?.found ? vaultBudget(key.key) : undefined));
  const ceilings = [taggedCeiling(cluster.cluster), ...budgets].filter((ceiling) => ceiling !== undefined);
  return ceilings.length === 0 ? null : Math.min(...ceilings);
}

/** The warning about a tag that cannot be read: a limit must not be ignored silently. */
export function ceilingWarnings(cluster: Pick<ObservedCluster, 'tags'>): Warning[] {
  const text = cluster.tags[CEILING_TAG];
  if (text === undefined || taggedCeiling(cluster) !== undefined) return [];
  return [
    {
      code: 'CeilingNotUnderstood',
      detail: `The cluster's tag ${CEILING_TAG} is "${text.slice(0, 50)}", which is not a positive number, so it does not limit the rewrite. Correct the tag before you approve.`,
    },
  ];
}
