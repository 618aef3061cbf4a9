/** Opens the key that signs evidence, wherever it is. */
import type { Logger } from 'pino';
import type { AzureAccess } from '../azure/access';
import { openSigningKey } from '../evidence/key';
import type { Signer } from '../evidence/signer';
import { openVaultSigner } from '../evidence/vault-signer';
import type { EvidenceKeySettings } from './evidence-key-settings';

/**
 * The key as a signer. A key in a vault that would not sign now is a warning in the log: sealing waits for it.
 * @throws Error in one sentence when it can sign no evidence
 */
export async function openEvidenceKey(
  key: EvidenceKeySettings,
  { signingKeys }: Pick<AzureAccess, 'signingKeys'>,
  logger: Logger,
): Promise<Signer> {
  if (key.in === 'file') return openSigningKey(key.file, { create: key.create });
  const signer = await openVaultSigner(signingKeys, key.keyId);
  if (signer.warning !== undefined) logger.warn(signer.warning);
  logger.info(
    { key: signer.keyId, algorithm: signer.algorithm, vault: signer.vaultKeyId },
    'Key Vault signs evidence.',
  );
  return signer;
}
