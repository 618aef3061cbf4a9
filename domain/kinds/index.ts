/** The table of kinds: what can be asked for. A new kind is one file and one line here. */
import { changeVault } from './change-vault';
import { changeVaultAccess } from './change-vault-access';
import { connectCsi } from './connect-csi';
import { createCluster } from './create-cluster';
import { disableKms } from './disable-kms';
import { disconnectCsi } from './disconnect-csi';
import { enableKms } from './enable-kms';
import { enableVaultDiagnostics } from './enable-vault-diagnostics';
import { provisionKms } from './provision-kms';
import { recoverKey } from './recover-key';
import { replaceKey } from './replace-key';
import { retireKey } from './retire-key';
import { rewriteSecrets } from './rewrite-secrets';
import { rotateKey } from './rotate-key';
import { upgradeToKmsV2 } from './upgrade-to-kms-v2';
import type { Kind } from './kind';

/** Every kind, in the order of the documents. */
export const KINDS: readonly Kind[] = [
  enableKms,
  rotateKey,
  replaceKey,
  retireKey,
  changeVault,
  changeVaultAccess,
  rewriteSecrets,
  disableKms,
  upgradeToKmsV2,
  enableVaultDiagnostics,
  provisionKms,
  recoverKey,
  createCluster,
  connectCsi,
  disconnectCsi,
];

/** @throws Error when there is no such kind */
export function kindOf(name: string): Kind {
  const found = KINDS.find((one) => one.name === name);
  if (!found) throw new Error(`There is no kind "${name}".`);
  return found;
}
