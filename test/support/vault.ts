/** The vault as a key administrator sees it, through the real @azure/keyvault-keys with default constructors. */
import { DefaultAzureCredential } from '@azure/identity';
import { KeyClient } from '@azure/keyvault-keys';
import { mustParseKeyId } from '../../domain/resource-ids';

/** A client of the vault that holds a key. */
export function keyClient(keyId: string): KeyClient {
  const { vaultUrl, cloud } = mustParseKeyId(keyId);
  return new KeyClient(vaultUrl, new DefaultAzureCredential({ authorityHost: cloud.authorityHost }));
}

/** All versions of a key, oldest first. */
export async function keyVersions(keyId: string): Promise<{ keyId: string; enabled: boolean }[]> {
  const versions = [];
  for await (const { id, enabled, createdOn } of keyClient(keyId).listPropertiesOfKeyVersions(
    mustParseKeyId(keyId).name,
  )) {
    versions.push({ keyId: id ?? '', enabled: enabled ?? false, createdOn: createdOn?.getTime() ?? 0 });
  }
  return versions.sort((a, b) => a.createdOn - b.createdOn).map(({ keyId: id, enabled }) => ({ keyId: id, enabled }));
}
