/** What an inspection says of a key that does not work: each cause in words, and whether recover-key repairs it. Pure. */
import { NOT_REPAIRABLE, type Cause, type CauseType, type Recovery } from './recovery';
import { parseKeyId, sameKeyId, sameKeyObject } from './resource-ids';

/** Codes of findings about keys that do not work. */
export const RECOVERY_FINDINGS = [
  'KmsUnhealthy',
  'KeyUnusable',
  'KeyPurged',
  'VaultDeleted',
  'VaultPurged',
  'VaultClosed',
  'IdentityLacksKeyAccess',
  'IdentityReplaced',
] as const;

/** A finding about a key that does not work. */
export interface RecoveryFinding {
  readonly code: (typeof RECOVERY_FINDINGS)[number];
  readonly detail: string;
  readonly repair?: 'recover-key';
}

const CODES: Readonly<Record<CauseType, RecoveryFinding['code']>> = {
  'vault-deleted': 'VaultDeleted',
  'vault-closed': 'VaultClosed',
  'vault-purged': 'VaultPurged',
  'key-deleted': 'KeyUnusable',
  'key-disabled': 'KeyUnusable',
  'key-expired': 'KeyUnusable',
  'key-purged': 'KeyPurged',
  'access-missing': 'IdentityLacksKeyAccess',
  'access-denied': 'IdentityLacksKeyAccess',
  'identity-replaced': 'IdentityReplaced',
  'identity-missing': 'IdentityReplaced',
};

const MEANS = 'API servers that are started again cannot read Secrets.';
const LOST = 'Secrets that are stored under it cannot be read any more once API servers are started again.';

/** One finding for each cause, and one for what the API servers say themselves. */
export function recoveryFindings({ kms }: Recovery, causes: readonly Cause[]): RecoveryFinding[] {
  const hopeless = causes.some(({ type }) => NOT_REPAIRABLE.includes(type));
  const said = kms?.causes ?? [];
  return [
    ...(said.length === 0
      ? []
      : [
          {
            code: 'KmsUnhealthy' as const,
            detail: `An API server says that its KMS does not work. ${said.join(' ')} Secrets cannot be read or written, or soon not any more. Keep every key of the cluster.`,
            ...(hopeless ? {} : { repair: 'recover-key' as const }),
          },
        ]),
    ...causes.map(({ type, text }) => ({
      code: CODES[type],
      detail: `${text} ${type.endsWith('-purged') ? LOST : MEANS}`,
      ...(NOT_REPAIRABLE.includes(type) ? {} : { repair: 'recover-key' as const }),
    })),
  ];
}

/** Whether a cause says why a key does not work. */
export function explains(cause: Cause, keyId: string): boolean {
  if (!('key' in cause)) return false;
  if (cause.type.startsWith('vault-')) return vaultOf(cause.key) === vaultOf(keyId);
  if (cause.type === 'key-deleted') return sameKeyObject(cause.key, keyId);
  return cause.type.startsWith('key-') && sameKeyId(cause.key, keyId);
}

function vaultOf(keyId: string): string {
  const key = parseKeyId(keyId);
  return 'fault' in key ? keyId : key.vaultUrl.toLowerCase();
}
