/** What an approver should know of the key that a request names. */
import type { AzureObservation } from '../observed';
import type { Warning } from '../plan/plan';
import { parseKeyId, shortKeyId } from '../resource-ids';

/** Warns of a key that is allowed and probably not meant: an older version, or another key object of the vault. */
export function keyChoiceWarnings({ currentKey, requestedKey }: AzureObservation): Warning[] {
  if (!currentKey?.found || !requestedKey?.found) return [];
  const [from, to] = [currentKey.key, requestedKey.key];
  const [current, target] = [parseKeyId(from.keyId), parseKeyId(to.keyId)];
  const warnings: Warning[] = [];
  if (!('fault' in current) && !('fault' in target) && current.name.toLowerCase() !== target.name.toLowerCase()) {
    warnings.push({
      code: 'OtherKeyObject',
      detail: `${shortKeyId(to.keyId)} is a version of another key object than the current key, ${shortKeyId(from.keyId)}. It has its own permissions, rotation policy and expiry. Approve only if the change asks for this key.`,
    });
  }
  if (from.createdOn !== undefined && to.createdOn !== undefined && to.createdOn < from.createdOn) {
    warnings.push({
      code: 'KeyOlderThanCurrent',
      detail: `The vault made ${shortKeyId(to.keyId)} at ${to.createdOn}, before the current key (${from.createdOn}). The rotation goes back to an older key. If the key was replaced because it may be known to others, do not approve.`,
    });
  }
  return warnings;
}
