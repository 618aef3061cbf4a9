/**
 * Where evidence and the audit log are kept: objects that are written once, and files that only grow. A folder
 * (folder-store.ts) or a container of Azure Blob Storage (blob-store.ts).
 */
import type { Readable } from 'node:stream';
import { OwnError } from '../domain/own-error';

/** A store. Names are relative, with `/` between their parts. */
export interface RecordStore {
  /** The folder or the URL, for messages. */
  readonly where: string;

  /** A local folder for files that are not whole yet; it may have to be made. */
  readonly drafts: string;

  /** Where one object is: its path or its URL. */
  locationOf(name: string): string;

  /**
   * Writes an object, whole or not at all. @returns false when there is one of this name: it stays as it is
   * @param options.cluster the cluster that the object is evidence of, as `clusterLockId` names it: `namesOf` finds it by that
   */
  writeOnce(name: string, content: Uint8Array | Readable, options?: { readonly cluster?: string }): Promise<boolean>;

  /** Adds bytes at the end of a file that is `at` bytes long. @returns false when it is longer or shorter: nothing was added */
  append(name: string, bytes: Uint8Array, at: number): Promise<boolean>;

  /** The bytes of an object; undefined when there is none. */
  read(name: string): Promise<Buffer | undefined>;

  /** Its last bytes, at most this many. */
  readEnd(name: string, bytes: number): Promise<Buffer | undefined>;

  /** Its bytes as a stream, and how many there are. */
  open(name: string): Promise<{ readonly size: number; readonly stream: () => Readable } | undefined>;

  has(name: string): Promise<boolean>;

  /** The names that begin with a text, sorted. */
  list(prefix: string): Promise<string[]>;

  /** Objects that may be evidence of a cluster: all of its, and perhaps others. */
  namesOf(cluster: string): Promise<string[]>;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*(?:\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/;

/** Names have parts that come from outside. @throws OwnError when one would lead elsewhere */
export function checkedName(name: string): string {
  if (!NAME.test(name) || name.length > 300) throw new OwnError(`"${name}" cannot be the name of an evidence file.`);
  return name;
}
