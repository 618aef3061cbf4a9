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

/** Warns of a rotation to a key that is made for it. @param name of the new key */
export function newKeyWarnings({ currentKey, provisioning }: AzureObservation, name: string): Warning[] {
  if (!currentKey?.found) return [];
  const warnings: Warning[] = [
    {
      code: 'OtherKeyObject',
      detail: `The new key ${name} is another key object than the current key, ${shortKeyId(currentKey.key.keyId)}. It gets the type, the length and the lifetime of that one, and no rotation policy. Later rotations without a name make versions of ${name}.`,
    },
  ];
  if (provisioning?.keyThroughArm === true) {
    warnings.push({
      code: 'KeyMadeThroughArm',
      detail: `The vault does not answer from where Keyturn runs: ARM makes and shows the key, which needs Microsoft.KeyVault/vaults/keys/read and /write there (Key Vault Contributor). ARM shows no deleted keys: if one has the name ${name}, the operation is blocked before anything is changed.`,
    });
  }
  return warnings;
}
