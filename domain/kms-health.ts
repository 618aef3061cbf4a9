/**
 * What API servers say of their KMS providers, in words of our own (S1): the text of a health check has whatever the plugin and the
 * vault wrote, and Keyturn repeats no text of another program.
 */
import { z } from 'zod';

/** The health of the KMS of a cluster's API servers, as far as they answered. */
export const KmsHealth = z.object({
  /** Answers that were looked at: each over a connection of its own, so of any API server. */
  answers: z.int(),
  /** Why KMS does not work: one sentence for each cause, none when it works. */
  causes: z.array(z.string()),
});
/** The health of the KMS of a cluster's API servers. */
export type KmsHealth = z.infer<typeof KmsHealth>;

/** A check of one KMS provider: `kms-providers`, or `kms-provider-0` where each has a check of its own. Source: kube-apiserver. */
const CHECK = /^\[([-+])\](kms-provider(?:s|-\d{1,3}))\b/;

/** The KMS checks that fail, by the answer of `/readyz?verbose`. */
export function failingKmsChecks(verbose: string): string[] {
  return verbose.split('\n').flatMap((line) => {
    const [, sign, name] = CHECK.exec(line) ?? [];
    return sign === '-' && name !== undefined ? [name] : [];
  });
}

/** Codes of Key Vault, of Entra ID and of resolvers, and what each means. The first that a text has counts. */
const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [/\bKeyExpired\b/, 'KeyExpired: the vault does not encrypt with an expired key version.'],
  [/\bKeyDisabled\b/, 'KeyDisabled: the vault does not encrypt or decrypt with a disabled key version.'],
  [/\bKeyNotYetValid\b/, 'KeyNotYetValid: the key version is not valid yet.'],
  [/\bKeyNotFound\b/, 'KeyNotFound: the vault has no such key, as when the key is deleted.'],
  [/\bForbiddenByRbac\b/, "ForbiddenByRbac: no role gives the cluster's identity the right to use the key."],
  [
    /\bForbiddenByPolicy\b/,
    "ForbiddenByPolicy: no access policy gives the cluster's identity the right to use the key.",
  ],
  [/\bForbiddenByFirewall\b/, 'ForbiddenByFirewall: the firewall of the vault does not let the API servers in.'],
  [/\bForbiddenByConnection\b/, 'ForbiddenByConnection: the vault is closed to its public address.'],
  [/\bVaultNotFound\b|ENOTFOUND|no such host/, 'VaultNotFound: the vault does not exist, as when it is deleted.'],
  [
    /\bUnauthorized\b|AADSTS|[Ii]dentity not found/,
    'Unauthorized: the cluster gets no token for its identity, as when the identity was deleted or replaced.',
  ],
];

/** The sentence for the text of a failed check. */
export function kmsCause(text: string): string {
  const found = MEANINGS.find(([pattern]) => pattern.test(text));
  return found?.[1] ?? 'The KMS provider fails for a reason that Keyturn does not know.';
}
