/** What an inspection says of a key that does not work: each cause in words, and whether recover-key repairs it. Pure. */
import { NOT_REPAIRABLE, type Cause, type CauseType, type Recovery } from './recovery';
import { parseKeyId, sameKeyId, sameKeyObject } from './resource-ids';

/** Codes of findings about keys that do not work. */
export const RECOVERY_FINDINGS = [
  'KmsUnhealthy',
  'KeyUnusable',
  'KeyExpiresSoon',
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
  readonly repair?: 'recover-key' | 'rotate-key';
}

const CODES: Readonly<Record<CauseType, RecoveryFinding['code']>> = {
  'vault-deleted': 'VaultDeleted',
  'vault-closed': 'VaultClosed',
  'vault-purged': 'VaultPurged',
  'key-deleted': 'KeyUnusable',
  'key-disabled': 'KeyUnusable',
  'key-expired': 'KeyUnusable',
  'key-expires-soon': 'KeyExpiresSoon',
  'key-purged': 'KeyPurged',
  'key-out-of-reach': 'KeyUnusable',
  'access-missing': 'IdentityLacksKeyAccess',
  'access-denied': 'IdentityLacksKeyAccess',
  'identity-replaced': 'IdentityReplaced',
  'identity-missing': 'IdentityReplaced',
};

const MEANS = 'API servers that are started again cannot read Secrets.';
const SOON = 'API servers fail when it does.';
const LOST = 'Secrets that are stored under it cannot be read any more once API servers are started again.';
const NO_CAUSE =
  ' Azure shows no cause at the keys that Keyturn knows. If recover-key does not end, a key that was set before Keyturn saw the cluster may be in the second slot: enable or recover older key versions by hand.';
const NONE_LOST =
  'Every Secret is proven to be under the current key, so that none is lost: a rotation takes the other key out of its slot.';

/** What is known of the cluster beside its keys. */
export interface RecoverySubject {
  /** The key that Azure reports; null with KMS off. */
  readonly current: string | null;
  /** Whether every Secret is proven to be under it. */
  readonly proven: boolean;
}

/** One finding for each cause, and one for what the API servers say themselves. */
export function recoveryFindings(
  { kms }: Recovery,
  causes: readonly Cause[],
  subject: RecoverySubject,
): RecoveryFinding[] {
  const said = kms?.causes ?? [];
  const repairs = causes.map((cause) => repairOf(cause, subject));
  // Without a cause recover-key waits for a repair by hand to work.
  const best = repairs.includes('recover-key') || causes.length === 0 ? 'recover-key' : repairs.find((one) => one);
  return [
    ...(said.length === 0
      ? []
      : [
          {
            code: 'KmsUnhealthy' as const,
            detail: `An API server says that its KMS does not work. ${said.join(' ')} Secrets cannot be read or written, or soon not any more. Keep every key of the cluster.${causes.length === 0 ? NO_CAUSE : ''}`,
            ...(best === undefined ? {} : { repair: best }),
          },
        ]),
    ...causes.map((cause, index): RecoveryFinding => {
      const repair = repairs[index];
      const detail = `${cause.text} ${consequenceOf(cause, repair)}`;
      return { code: CODES[cause.type], detail, ...(repair === undefined ? {} : { repair }) };
    }),
  ];
}

/** A key that is lost leaves the second slot by a rotation, once no Secret needs it. */
function repairOf(cause: Cause, { current, proven }: RecoverySubject): RecoveryFinding['repair'] {
  if (!NOT_REPAIRABLE.includes(cause.type)) return 'recover-key';
  if (!cause.type.endsWith('-purged') || !('key' in cause) || current === null || !proven) return undefined;
  return explains(cause, current) ? undefined : 'rotate-key';
}

function consequenceOf({ type }: Cause, repair: RecoveryFinding['repair']): string {
  if (type === 'key-expires-soon') return SOON;
  if (!type.endsWith('-purged')) return MEANS;
  return repair === undefined ? LOST : NONE_LOST;
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
