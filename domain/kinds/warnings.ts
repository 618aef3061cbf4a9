/** What approvers of several kinds should know. */
import type { EncryptionState } from '../encryption';
import { keySlots, type Ledger } from '../ledger';
import type { Warning } from '../plan/plan';
import { shortKeyId } from '../resource-ids';

/** What KMS v1 weakens. */
export function kmsV1Warnings(to: EncryptionState): Warning[] {
  if (to.mode === 'off' || to.scheme !== 'kms-v1') return [];
  return [
    {
      code: 'KmsV1',
      detail:
        'This Kubernetes version encrypts with KMS v1: records carry no key id, and API servers show none in their metrics, so that the proof rests on canaries and restarts. If both keys turn out to share one provider name, or no operation has proven the current key, every Secret gets the annotation keyturn.dev/rewritten. With one name for both, the new key is not called proven by this operation: the next one rewrites again before it rotates.',
    },
  ];
}

/** What becomes of the key in the second slot. */
export function previousKeyWarnings(ledger: Ledger): Warning[] {
  const slots = keySlots(ledger);
  if (!slots) return [];
  if (!slots.previousKnown) {
    return [
      {
        code: 'PreviousSlotUnknown',
        detail:
          'Keyturn has no ledger of an earlier change of this cluster, and Azure does not tell the previous key. Keep every older key version enabled and unexpired until this operation is proven.',
      },
    ];
  }
  if (slots.previous === null) return [];
  return [
    {
      code: 'PreviousKeyLeavesItsSlot',
      detail: `${shortKeyId(slots.previous)} leaves its slot with the next switch. The proof of the current key says that no live Secret needs it; backups of etcd may.`,
    },
  ];
}
