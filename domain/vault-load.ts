/** What a cluster asks of its vault at rest, and what a vault takes. */
import type { ObservedKey } from './observed';

/** API servers ask the plugin for its status each minute, and it encrypts and decrypts once for each slot (KEP-3299). */
const POLLS_PER_TEN_SECONDS = 10 / 60;
const CALLS_OF_A_POLL = 2;
const SLOTS = 2;

/** By all API servers, with both slots in use; to one decimal. */
export function statusPollsPerTenSeconds(apiServers: number): number {
  return Math.round(apiServers * SLOTS * CALLS_OF_A_POLL * POLLS_PER_TEN_SECONDS * 10) / 10;
}

/** Transactions of a vault per ten seconds, by key (Key Vault service limits, "other transactions"; RSA, software and HSM). */
const LIMITS: Readonly<Record<string, Readonly<Record<number, number>>>> = {
  RSA: { 2048: 4000, 3072: 1000, 4096: 500 },
  'RSA-HSM': { 2048: 2000, 3072: 500, 4096: 250 },
};

/** @returns undefined for a key whose limit is not published, or whose size is not known */
export function transactionsPerTenSeconds({
  keyType,
  keySizeInBits,
}: Pick<ObservedKey, 'keyType' | 'keySizeInBits'>): number | undefined {
  return keySizeInBits === undefined ? undefined : LIMITS[keyType]?.[keySizeInBits];
}
