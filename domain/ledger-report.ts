/** The ledger of one cluster for people: its generations, what is in the key slots by them, and how far signed evidence confirms them. */
import { z } from 'zod';
import { keySlots, keysNeeded, Ledger } from './ledger';
import type { LedgerTrust } from './trusted-ledger';

/** The ledger of one cluster, for people. */
export const LedgerReport = z
  .object({
    cluster: z.string(),
    at: z.string().meta({ description: 'When Keyturn looked, ISO 8601.' }),
    generations: Ledger.shape.generations.nullable().meta({
      description: 'Oldest first; null when the cluster has no ledger: Keyturn never changed its encryption.',
    }),
    slots: z
      .object({ current: z.string().nullable(), previous: z.string().nullable(), previousKnown: z.boolean() })
      .nullable()
      .meta({ description: 'What the ledger says of the key slots; a null key is plaintext, or an empty slot.' }),
    keysNeeded: z
      .array(z.string())
      .meta({ description: 'Keys that must stay enabled, unexpired and undeleted, by the ledger.' }),
    confirmed: z.boolean().meta({
      description: 'Whether signed evidence confirms what the ledger calls proven; true when it calls nothing proven.',
    }),
    changedSinceProof: z
      .boolean()
      .meta({ description: 'Whether the cluster was changed in Azure since its current key was proven.' }),
  })
  .meta({
    id: 'ClusterLedger',
    description: 'The ledger as it is in the cluster; Azure was asked for the cluster only.',
  });
/** The ledger of one cluster, for people. */
export type LedgerReport = z.infer<typeof LedgerReport>;

/** Puts it together. @param at ISO 8601 */
export function ledgerReport(
  ledger: Ledger | null,
  { cluster, at, confirmed, changedSinceProof }: { readonly cluster: string; readonly at: string } & LedgerTrust,
): LedgerReport {
  const slots = ledger === null ? undefined : keySlots(ledger);
  return {
    cluster,
    at,
    generations: ledger?.generations ?? null,
    slots: slots ?? null,
    keysNeeded: ledger === null ? [] : keysNeeded(ledger),
    confirmed,
    changedSinceProof,
  };
}
