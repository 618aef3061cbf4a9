/** A key version as its vault shows it, or why it does not. */
import { z } from 'zod';

/** A key version as the vault reports it. */
export const ObservedKey = z.object({
  keyId: z.string(),
  /** Vault-reported key type: `RSA`, `RSA-HSM`, `EC` … */
  keyType: z.string(),
  /** Of an RSA key: the length of its modulus. */
  keySizeInBits: z.int().optional(),
  operations: z.array(z.string()),
  enabled: z.boolean(),
  /** ISO 8601: when the vault made this version. */
  createdOn: z.string().optional(),
  /** ISO 8601; absent when the key has no such bound. */
  notBefore: z.string().optional(),
  expiresOn: z.string().optional(),
  /** The vault does not answer from where Keyturn runs; ARM showed this. */
  seenThrough: z.literal('arm').optional(),
});
/** A key version as the vault reports it. */
export type ObservedKey = z.infer<typeof ObservedKey>;

/** Why a key was not looked up: its vault is a stranger's as far as the request's kind goes. */
export const ANOTHER_VAULT = 'not looked up: another vault';

/** A key that was looked up, or the id of one that could not be found. */
export const KeyLookup = z.union([
  z.object({ found: z.literal(true), key: ObservedKey }),
  z.object({
    found: z.literal(false),
    keyId: z.string(),
    why: z.string(),
    /** The vault does not answer from where Keyturn runs: its firewall, or a private endpoint elsewhere. */
    unreachable: z.literal(true).optional(),
    /** The vault does not exist, or it answers and has no such key. */
    missing: z.enum(['vault', 'key']).optional(),
  }),
]);
/** A key that was looked up, or the id of one that could not be found. */
export type KeyLookup = z.infer<typeof KeyLookup>;
