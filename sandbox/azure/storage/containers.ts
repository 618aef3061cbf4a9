/**
 * Containers and blobs of storage accounts.
 *
 * Does: keeps block blobs and append blobs with Azure's conditions, and refuses what an immutability policy forbids.
 * Never does: ask who is calling. In Azure an account is made through ARM first; here every name is one.
 */
import { randomUUID } from 'node:crypto';
import { AzureError } from '../errors';

/** A blob. */
export interface Blob {
  readonly type: 'BlockBlob' | 'AppendBlob';
  bytes: Buffer;
  etag: string;
  modified: Date;
  /** Appends so far: the service takes 50,000. */
  appends: number;
}

interface Container {
  readonly blobs: Map<string, Blob>;
  /** Blocks that no blob is made of yet, by blob and block id. */
  readonly blocks: Map<string, Map<string, Buffer>>;
  /** A policy with `allowProtectedAppendWrites`: append blobs may grow, nothing else may change. */
  readonly immutable: boolean;
}

/** A blob by its place. */
export interface BlobPlace {
  readonly account: string;
  readonly container: string;
  readonly blob: string;
}

const MOST_APPENDS = 50_000;

/** All containers. */
export class BlobContainers {
  readonly #containers = new Map<string, Container>();

  /** @throws AzureError 409 ContainerAlreadyExists */
  createContainer(account: string, name: string, options: { readonly immutable: boolean }): void {
    const key = `${account}/${name}`;
    if (this.#containers.has(key))
      throw new AzureError(409, 'ContainerAlreadyExists', 'The specified container already exists.');
    this.#containers.set(key, { blobs: new Map(), blocks: new Map(), immutable: options.immutable });
  }

  /** Writes a whole blob. @throws AzureError 404, 409 BlobAlreadyExists or BlobImmutableDueToPolicy */
  put(place: BlobPlace, type: Blob['type'], bytes: Buffer, options: { readonly onlyNew: boolean }): Blob {
    const container = this.#container(place);
    if (container.blobs.has(place.blob)) {
      if (options.onlyNew) throw new AzureError(409, 'BlobAlreadyExists', 'The specified blob already exists.');
      if (container.immutable) throw immutable();
    }
    const blob: Blob = { type, bytes, etag: newEtag(), modified: new Date(), appends: 0 };
    container.blobs.set(place.blob, blob);
    return blob;
  }

  stageBlock(place: BlobPlace, id: string, bytes: Buffer): void {
    const { blocks } = this.#container(place);
    const staged = blocks.get(place.blob) ?? new Map<string, Buffer>();
    staged.set(id, bytes);
    blocks.set(place.blob, staged);
  }

  /** Makes a blob of staged blocks. @throws AzureError as `put`, and 400 InvalidBlockList */
  commitBlocks(place: BlobPlace, ids: readonly string[], options: { readonly onlyNew: boolean }): Blob {
    const { blocks } = this.#container(place);
    const staged = blocks.get(place.blob);
    const parts = ids.map((id) => {
      const part = staged?.get(id);
      if (part === undefined) throw new AzureError(400, 'InvalidBlockList', 'The specified block list is invalid.');
      return part;
    });
    const blob = this.put(place, 'BlockBlob', Buffer.concat(parts), options);
    blocks.delete(place.blob);
    return blob;
  }

  /** @param at the length that the blob must have @returns the blob, and where the block begins */
  append(place: BlobPlace, bytes: Buffer, at: number | undefined): { readonly blob: Blob; readonly offset: number } {
    const blob = this.get(place);
    if (blob.type !== 'AppendBlob')
      throw new AzureError(409, 'InvalidBlobType', 'The blob type is invalid for this operation.');
    const offset = blob.bytes.length;
    if (at !== undefined && at !== offset) {
      const message = 'The append position condition specified was not met.';
      throw new AzureError(412, 'AppendPositionConditionNotMet', message);
    }
    if (blob.appends >= MOST_APPENDS)
      throw new AzureError(409, 'BlockCountExceedsLimit', 'The committed block count cannot exceed the maximum limit.');
    blob.bytes = Buffer.concat([blob.bytes, bytes]);
    blob.appends += 1;
    blob.etag = newEtag();
    blob.modified = new Date();
    return { blob, offset };
  }

  /** @throws AzureError 404 BlobNotFound */
  get(place: BlobPlace): Blob {
    const blob = this.#container(place).blobs.get(place.blob);
    if (blob === undefined) throw new AzureError(404, 'BlobNotFound', 'The specified blob does not exist.');
    return blob;
  }

  /** @throws AzureError 404, 409 BlobImmutableDueToPolicy */
  delete(place: BlobPlace): void {
    this.get(place);
    const { blobs, immutable: kept } = this.#container(place);
    if (kept) throw immutable();
    blobs.delete(place.blob);
  }

  /** Names and blobs, sorted. */
  list(account: string, container: string, prefix: string): [string, Blob][] {
    const { blobs } = this.#container({ account, container });
    return [...blobs].filter(([name]) => name.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
  }

  #container({ account, container }: Pick<BlobPlace, 'account' | 'container'>): Container {
    const found = this.#containers.get(`${account}/${container}`);
    if (found === undefined) throw new AzureError(404, 'ContainerNotFound', 'The specified container does not exist.');
    return found;
  }
}

function newEtag(): string {
  return `"0x${randomUUID().replaceAll('-', '').slice(0, 15).toUpperCase()}"`;
}

function immutable(): AzureError {
  return new AzureError(
    409,
    'BlobImmutableDueToPolicy',
    'This operation is not permitted as the blob is immutable due to a policy.',
  );
}
