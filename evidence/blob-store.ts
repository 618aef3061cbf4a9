/**
 * A container of Azure Blob Storage as a store: block blobs that are written once (`If-None-Match: *`), append blobs for the audit log
 * (a condition on the position). A policy of the container can forbid to change and delete them (docs/security.md).
 */
import type { TokenCredential } from '@azure/core-auth';
import { isRestError } from '@azure/core-rest-pipeline';
import { ContainerClient } from '@azure/storage-blob';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { PassThrough, pipeline, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { checkedName, type RecordStore } from './store';

/** A report of refused Secrets may be large: it goes up in blocks of this size. */
const BLOCK_IN_BYTES = 1024 * 1024;
/** Requests wait for the audit log: they are answered with 503 rather than after a minute. */
const APPEND_TIMEOUT_IN_MS = 10_000;

/** Makes the store; nothing is contacted yet. @param url of the container, which must exist */
export function blobStore(url: string, credential: TokenCredential): RecordStore {
  const container = new ContainerClient(url, credential, { retryOptions: { maxTries: 3, retryDelayInMs: 200 } });
  const blob = (name: string) => container.getBlobClient(checkedName(name));
  const onlyNew = { conditions: { ifNoneMatch: '*' } };
  const download = async (name: string, from = 0): Promise<NodeJS.ReadableStream> => {
    const { readableStreamBody } = await blob(name).download(from);
    return readableStreamBody ?? Readable.from([]);
  };
  const sizeOf = (name: string): Promise<number | undefined> =>
    unlessMissing(blob(name).getProperties()).then((found) => found && (found.contentLength ?? 0));

  return {
    where: url,
    drafts: tmpdir(),
    locationOf: (name) => `${url}/${checkedName(name)}`,

    async writeOnce(name, content, { cluster } = {}) {
      // First, so that no evidence is without its entry; an entry without evidence does no harm.
      if (cluster !== undefined)
        await unlessTaken(
          blob(`${indexOf(cluster)}${name}`)
            .getBlockBlobClient()
            .upload('', 0, onlyNew),
        );
      const client = blob(name).getBlockBlobClient();
      if (content instanceof Uint8Array)
        return unlessTaken(client.upload(Buffer.from(content), content.length, onlyNew));
      return unlessTaken(client.uploadStream(content, BLOCK_IN_BYTES, 2, onlyNew));
    },

    async append(name, bytes, at) {
      const client = blob(name).getAppendBlobClient();
      const abortSignal = AbortSignal.timeout(APPEND_TIMEOUT_IN_MS);
      if (at === 0 && !(await unlessTaken(client.create({ ...onlyNew, abortSignal })))) return false;
      const conditions = { appendPosition: at };
      return unlessTaken(client.appendBlock(Buffer.from(bytes), bytes.length, { conditions, abortSignal }));
    },

    read: (name) => unlessMissing(download(name).then((stream) => buffer(stream))),

    async readEnd(name, bytes) {
      const size = await sizeOf(name);
      if (size === undefined || size === 0) return size === undefined ? undefined : Buffer.alloc(0);
      return unlessMissing(download(name, Math.max(0, size - bytes)).then((stream) => buffer(stream)));
    },

    async open(name) {
      const size = await sizeOf(name);
      return size === undefined ? undefined : { size, stream: () => streamOf(download(name)) };
    },

    has: async (name) => (await sizeOf(name)) !== undefined,

    list: (prefix) => namesBelow(prefix),

    async namesOf(cluster) {
      const index = indexOf(cluster);
      return (await namesBelow(index)).map((name) => name.slice(index.length));
    },
  };

  async function namesBelow(prefix: string): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of container.listBlobsFlat({ prefix })) names.push(name);
    return names.sort();
  }
}

/** Before the names of the entries of a cluster: `clusters/<digest>/<name of the evidence>`, each empty. */
function indexOf(cluster: string): string {
  return `clusters/${createHash('sha256').update(cluster).digest('hex')}/`;
}

/** @returns false when there is a blob of that name already, or one of another length */
async function unlessTaken(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code !== undefined && TAKEN.has(code)) return false;
    throw error;
  }
}

const TAKEN = new Set([
  'BlobAlreadyExists',
  'ConditionNotMet',
  'AppendPositionConditionNotMet',
  'BlobImmutableDueToPolicy',
  'BlobNotFound',
]);

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isRestError(error) && error.statusCode === 404 && codeOf(error) !== 'ContainerNotFound') return undefined;
    throw error;
  }
}

function codeOf(error: unknown): string | undefined {
  return isRestError(error) ? error.response?.headers.get('x-ms-error-code') : undefined;
}

/** A stream whose answer is still to come. */
function streamOf(coming: Promise<NodeJS.ReadableStream>): Readable {
  const through = new PassThrough();
  coming.then(
    (stream) => pipeline(stream, through, () => undefined),
    (error: unknown) => through.destroy(error instanceof Error ? error : new Error(String(error))),
  );
  return through;
}
