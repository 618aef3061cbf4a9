/** Which key signs evidence: one in a file, or one in a key vault. */
import { resolve } from 'node:path';
import { z } from 'zod';
import type { Cloud } from '../domain/clouds';
import { parseKeyId, type KeyId, type KeyIdFault } from '../domain/resource-ids';
import { oneOf, SettingsError } from '../settings/environment';

/** The variables of this file. */
export const EvidenceKeyVariables = {
  KEYTURN_EVIDENCE_KEY_FILE: z.string().optional(),
  KEYTURN_EVIDENCE_KEY_CREATE: oneOf(['true', 'false'], 'false'),
  KEYTURN_EVIDENCE_KEY_ID: z.string().optional(),
};

/** Where the key is. */
export type EvidenceKeySettings =
  | {
      readonly in: 'file';
      /** Absolute PEM file of an Ed25519 key. */
      readonly file: string;
      /** Whether the worker makes the key when the file is missing. */
      readonly create: boolean;
    }
  | { readonly in: 'vault'; readonly keyId: KeyId };

const DEFAULT_FILE = '.keyturn/evidence-key.pem';

/** @throws SettingsError when both are set, or the id is not that of a key version in a vault of the cloud */
export function evidenceKeyOf(
  variables: z.infer<z.ZodObject<typeof EvidenceKeyVariables>>,
  cloud: Cloud,
): EvidenceKeySettings {
  const { KEYTURN_EVIDENCE_KEY_FILE: file, KEYTURN_EVIDENCE_KEY_ID: id } = variables;
  if (id === undefined) {
    const create = variables.KEYTURN_EVIDENCE_KEY_CREATE === 'true';
    return { in: 'file', file: resolve(file ?? DEFAULT_FILE), create };
  }
  if (file !== undefined) {
    throw new SettingsError([
      'KEYTURN_EVIDENCE_KEY_FILE and KEYTURN_EVIDENCE_KEY_ID are both set, and evidence is signed with one key. Unset the one that is not to sign.',
    ]);
  }
  const keyId = parseKeyId(id);
  if ('fault' in keyId) throw new SettingsError([`KEYTURN_EVIDENCE_KEY_ID: ${faultOf(keyId)}`]);
  if (keyId.cloud.name !== cloud.name) {
    throw new SettingsError([
      `KEYTURN_EVIDENCE_KEY_ID names a vault in ${keyId.cloud.name}, and KEYTURN_CLOUD is ${cloud.name}.`,
    ]);
  }
  return { in: 'vault', keyId };
}

/** `parseKeyId` speaks of the keys of clusters. */
function faultOf({ fault, names }: KeyIdFault): string {
  switch (names) {
    case 'managed-hsm':
      return 'this is a key of a Managed HSM, which Keyturn does not sign with. Name a key of a Key Vault.';
    case 'no-version':
      return 'this key id has no version. Auditors check evidence with the public key of one version, so name the exact version.';
    case undefined:
      return fault;
  }
}
