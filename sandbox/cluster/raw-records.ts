/**
 * The auditor's oracle: under which key each Secret is really stored, read from etcd past the API server.
 *
 * Needs: the plain-http address of an etcd (its JSON gateway).
 * Does: looks at the prefix of each stored value, and at the key id of the envelope behind it.
 * Never does: decrypt, return or log a value. Of a Secret that is stored as plaintext only that fact comes out.
 */
import { Client } from 'undici';
import { z } from 'zod';
import { hashKeyId, KEY_ID_DIGEST_BYTES, providerName } from './key-id';
import { encryptedObjectReader } from './kms-v2-schema';

const SECRETS_PREFIX = '/registry/secrets/';
/** Values travel along, up to 1 MiB each: small pages keep memory flat. */
const PAGE_SIZE = 100;
/** `k8s:enc:kms:v2:<provider>:`; everything behind it is binary. Provider names have no colon. */
const KMS_PREFIX = /^k8s:enc:kms:(v1|v2):([^:]+):/;
const PREFIX_LIMIT_IN_BYTES = 512;
/** How Kubernetes marks its own protobuf encoding. */
const PROTOBUF_MAGIC = Buffer.from('k8s\0');

type EnvelopeReader = ReturnType<typeof encryptedObjectReader>;

const rangeAnswer = z.object({
  header: z.object({ revision: z.string() }),
  kvs: z.array(z.object({ key: z.base64(), value: z.base64().optional(), mod_revision: z.string() })).optional(),
  more: z.boolean().optional(),
});

/** How one Secret is stored. */
export interface SecretRecord {
  readonly namespace: string;
  readonly name: string;
  /** etcd's mod revision: the decimal number that the API server shows as the object's resourceVersion. */
  readonly modRevision: string;
  /** `unknown` is an encryption that AKS does not use, or a damaged record. */
  readonly scheme: 'plaintext' | 'kms-v1' | 'kms-v2' | 'unknown';
  /** Name of the KMS provider that wrote it; KMS only. */
  readonly provider?: string;
  /**
   * hex(sha256(kid)). KMS v2: the key id in the envelope, which the Azure plugin makes so. KMS v1: the mark that the
   * sandbox's own plugin puts before the encrypted data-encryption key; a record of another plugin has none.
   */
  readonly keyIdHash?: string;
}

/** How many Secrets are stored under which key. */
export interface KeyCount {
  readonly newKey: number;
  readonly oldKey: number;
  readonly plaintext: number;
  /** Under any other key, or not recognized. */
  readonly other: number;
}

/**
 * All Secrets in etcd, in the order of their keys, at one revision.
 * @throws Error when etcd cannot be reached, refuses, or answers something unexpected.
 */
export async function* readSecretRecords(etcdUrl: string): AsyncGenerator<SecretRecord> {
  const readEnvelope = encryptedObjectReader();
  // Not `fetch`: a proxy that the process was told to use is not meant for this.
  const etcd = new Client(etcdUrl);
  try {
    yield* readPages(etcd, etcdUrl, readEnvelope);
  } finally {
    await etcd.destroy();
  }
}

/**
 * Counts records by the key that they are under.
 * @param keys versioned kids; a KMS v1 record without the sandbox's mark is told by its provider's name
 */
export async function countByKey(
  records: Iterable<SecretRecord> | AsyncIterable<SecretRecord>,
  keys: { readonly newKeyId: string; readonly oldKeyId?: string },
): Promise<KeyCount> {
  const count = { newKey: 0, oldKey: 0, plaintext: 0, other: 0 };
  for await (const record of records) {
    if (record.scheme === 'plaintext') count.plaintext++;
    else if (isUnder(record, keys.newKeyId)) count.newKey++;
    else if (keys.oldKeyId !== undefined && isUnder(record, keys.oldKeyId)) count.oldKey++;
    else count.other++;
  }
  return count;
}

async function* readPages(etcd: Client, etcdUrl: string, readEnvelope: EnvelopeReader): AsyncGenerator<SecretRecord> {
  let from = Buffer.from(SECRETS_PREFIX);
  let revision: string | undefined;
  for (;;) {
    const page = await readPage(etcd, etcdUrl, from, revision);
    revision = page.header.revision;
    for (const { key, value, mod_revision } of page.kvs ?? []) {
      const rawKey = Buffer.from(key, 'base64');
      from = Buffer.concat([rawKey, Buffer.of(0)]);
      yield {
        ...nameOf(rawKey.toString()),
        modRevision: mod_revision,
        ...classify(Buffer.from(value ?? '', 'base64'), readEnvelope),
      };
    }
    if (page.more !== true) return;
  }
}

async function readPage(etcd: Client, etcdUrl: string, from: Buffer, revision: string | undefined) {
  // In byte order '0' follows '/': the end of the range that starts with the prefix.
  const end = Buffer.from(SECRETS_PREFIX.replace(/\/$/, '0'));
  const { statusCode, body } = await etcd.request({
    method: 'POST',
    path: '/v3/kv/range',
    body: JSON.stringify({
      key: from.toString('base64'),
      range_end: end.toString('base64'),
      limit: PAGE_SIZE,
      ...(revision === undefined ? {} : { revision }),
    }),
  });
  if (statusCode !== 200) {
    // The body of a refusal is etcd's own sentence; it has no values.
    throw new Error(`etcd at ${etcdUrl} refused to list Secrets: ${statusCode} ${await body.text()}`);
  }
  const answer = rangeAnswer.safeParse(await body.json());
  if (answer.success) return answer.data;
  // Only where it went wrong: the answer itself holds values.
  const places = answer.error.issues.map((issue) => issue.path.join('.')).join(', ');
  throw new Error(`etcd at ${etcdUrl} answered in a form that is not known here (at ${places}).`);
}

function nameOf(key: string): Pick<SecretRecord, 'namespace' | 'name'> {
  const [namespace = '', name = ''] = key.slice(SECRETS_PREFIX.length).split('/');
  return { namespace, name };
}

function classify(
  value: Buffer,
  readEnvelope: EnvelopeReader,
): Pick<SecretRecord, 'scheme' | 'provider' | 'keyIdHash'> {
  const match = KMS_PREFIX.exec(value.subarray(0, PREFIX_LIMIT_IN_BYTES).toString('latin1'));
  const [prefix, version, provider] = match ?? [];
  if (prefix === undefined) return { scheme: isPlaintext(value) ? 'plaintext' : 'unknown' };
  if (version === 'v1') return { scheme: 'kms-v1', provider, ...markOf(value.subarray(prefix.length)) };
  try {
    return { scheme: 'kms-v2', provider, keyIdHash: readEnvelope(value.subarray(prefix.length)).keyID };
  } catch {
    return { scheme: 'unknown', provider };
  }
}

/**
 * The key of a KMS v1 record of the sandbox: 2 bytes length (big-endian) of the encrypted data-encryption key, then that
 * key (apiserver pkg/storage/value/encrypt/envelope/envelope.go), which starts with the mark of kms-v1.ts.
 */
function markOf(envelope: Buffer): Pick<SecretRecord, 'keyIdHash'> {
  if (envelope.length < 2) return {};
  const encryptedKey = envelope.subarray(2, 2 + envelope.readUInt16BE(0));
  if (encryptedKey.length <= KEY_ID_DIGEST_BYTES) return {};
  return { keyIdHash: encryptedKey.subarray(0, KEY_ID_DIGEST_BYTES).toString('hex') };
}

/** Protobuf, as API servers store Secrets by default, or JSON, as they can be told to. */
function isPlaintext(value: Buffer): boolean {
  return value.subarray(0, PROTOBUF_MAGIC.length).equals(PROTOBUF_MAGIC) || value[0] === '{'.charCodeAt(0);
}

/** Whether a record is stored under a key. @param kid versioned; a KMS v1 record without the sandbox's mark is told by its provider's name */
export function isUnder(record: SecretRecord, kid: string): boolean {
  if (record.keyIdHash !== undefined) return record.keyIdHash === hashKeyId(kid);
  return record.scheme === 'kms-v1' && record.provider === providerName(kid);
}
