import { describe, expect, it } from '@jest/globals';
import { readWorkerSettings } from '../../worker/settings';

const VERSION = '0123456789abcdef0123456789abcdef';
const KEY = `https://kv-evidence.vault.azure.net/keys/evidence/${VERSION}`;
const API_KEY = { KEYTURN_API_PUBLIC_KEYS: '/keys/api.pub.pem' };

describe('the settings of the key that signs evidence', () => {
  const read = (env: Record<string, string>): unknown => readWorkerSettings({ ...API_KEY, ...env }).evidenceKey;

  it('name a file, which is the default, or a key version in a key vault', () => {
    expect(read({})).toMatchObject({ in: 'file', file: expect.stringMatching(/evidence-key\.pem$/), create: false });
    expect(read({ KEYTURN_EVIDENCE_KEY_FILE: '/k.pem', KEYTURN_EVIDENCE_KEY_CREATE: 'true' })).toEqual({
      in: 'file',
      file: '/k.pem',
      create: true,
    });
    // A variable that is set to nothing counts as not set.
    expect(read({ KEYTURN_EVIDENCE_KEY_FILE: '', KEYTURN_EVIDENCE_KEY_ID: KEY })).toMatchObject({
      in: 'vault',
      keyId: { kid: KEY, version: VERSION },
    });
  });

  it.each([
    ['both', { KEYTURN_EVIDENCE_KEY_FILE: '/k.pem', KEYTURN_EVIDENCE_KEY_ID: KEY }, /are both set/],
    ['an id without a version', { KEYTURN_EVIDENCE_KEY_ID: KEY.replace(`/${VERSION}`, '') }, /no version\. Auditors/],
    [
      'a key of a Managed HSM',
      { KEYTURN_EVIDENCE_KEY_ID: `https://h.managedhsm.azure.net/keys/e/${VERSION}` },
      /Managed HSM, which Keyturn does not sign with/,
    ],
    ['another cloud', { KEYTURN_EVIDENCE_KEY_ID: KEY.replace('.net', '.cn') }, /names a vault in AzureChinaCloud/],
    ['what is no key id', { KEYTURN_EVIDENCE_KEY_ID: 'evidence' }, /KEYTURN_EVIDENCE_KEY_ID: This is not a URL/],
  ])('are refused with one sentence: %s', (_what, env, sentence) => {
    expect(() => read(env)).toThrow(sentence);
  });
});
