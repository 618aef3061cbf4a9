/** Names of keys and vaults in the machine. */

/** `https://kv1.vault.azure.net/keys/k1/0…07` */
export const keyNumber = (number: number, object: string = KEY_OBJECTS[0]): string =>
  `${object}/${number.toString(16).padStart(32, '0')}`;
/** Key objects of stories: in two vaults. */
export const KEY_OBJECTS = ['https://kv1.vault.azure.net/keys/k1', 'https://kv2.vault.azure.net/keys/k1'] as const;
/** The key object that `provision-kms` makes in stories, in a vault of its own. */
export const PROVISIONED = 'https://kv9.vault.azure.net/keys/k9';
/** `https://kv1.vault.azure.net/keys/k1` */
export const objectOf = (keyId: string): string => keyId.slice(0, keyId.lastIndexOf('/'));

/** `kv1.vault.azure.net` */
export const vaultOf = (keyId: string): string => keyId.split('/')[2] ?? '';

const VAULTS =
  '/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.KeyVault/vaults';
/** ARM id of the vault of a key. */
export const vaultIdOf = (keyId: string): string => `${VAULTS}/${vaultOf(keyId).split('.')[0]}`;
