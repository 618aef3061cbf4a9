/** A versioned key id as a request may name it. */
import { z } from 'zod';
import { KEY_ID_PATTERN, parseKeyId } from './resource-ids';

/** A versioned Key Vault key id, in one spelling from here on: host names are compared without regard to case, key ids by their text. */
export const versionedKeyId = z
  .string()
  .max(300)
  .superRefine((text, context) => {
    const keyId = parseKeyId(text);
    if ('fault' in keyId) {
      context.addIssue({ code: 'custom', message: keyId.fault, params: { code: 'InvalidKeyId' } });
    }
  })
  .overwrite((text) => {
    const keyId = parseKeyId(text);
    return 'fault' in keyId ? text : keyId.kid;
  })
  .meta({
    pattern: KEY_ID_PATTERN,
    description: 'Versioned key id (kid).',
    example: 'https://kv1.vault.azure.net/keys/aks1/95a76f34842c4fcf9e2cc929e38359c0',
  });
