/**
 * Named, versioned, soft-deleted objects inside one vault: what secrets and certificates have in common.
 *
 * Needs: nothing.
 * Does: keeps the life of each name, and says what Key Vault says when a name or version is not there.
 * Never does: ask who is calling, or know what a version holds.
 */
import { AzureError, badRequest } from '../errors';
import { nowInSeconds } from './key-ring';

const DAY_IN_SECONDS = 86_400;

/** One version of an object. */
export interface ObjectVersion {
  /** 32 hexadecimal digits. */
  readonly version: string;
}

/** When an object was soft-deleted and when it goes. */
export interface Deletion {
  readonly deletedDate: number;
  readonly scheduledPurgeDate: number;
}

/** An object: every version, oldest first, never empty. */
export interface NamedObject<Version extends ObjectVersion> {
  readonly name: string;
  readonly versions: readonly Version[];
  /** Set while soft-deleted. */
  readonly deleted?: Deletion;
}

/** All objects of one kind in one vault. */
export class NamedObjects<Version extends ObjectVersion> {
  readonly #objects = new Map<string, NamedObject<Version>>();
  readonly #noun: 'Secret' | 'Certificate';

  constructor(noun: 'Secret' | 'Certificate') {
    this.#noun = noun;
  }

  /** Adds a version: it becomes the latest of its name. @throws AzureError 409 when the name is soft-deleted */
  add(name: string, version: Version): NamedObject<Version> {
    this.refuseDeleted(name);
    const before = this.#objects.get(name.toLowerCase());
    const object = { name: before?.name ?? name, versions: [...(before?.versions ?? []), version] };
    this.#objects.set(name.toLowerCase(), object);
    return object;
  }

  /** A live object, if there is one. */
  find(name: string): NamedObject<Version> | undefined {
    const object = this.#objects.get(name.toLowerCase());
    return object?.deleted === undefined ? object : undefined;
  }

  /** @throws AzureError 404 SecretNotFound, CertificateNotFound */
  get(name: string): NamedObject<Version> {
    const object = this.find(name);
    if (object === undefined) throw this.#notFound(name);
    return object;
  }

  /** A version, the latest when none is given. @throws AzureError 404 */
  getVersion(name: string, version: string | undefined): Version {
    const { versions } = this.get(name);
    const found =
      version === undefined || version === ''
        ? versions.at(-1)
        : versions.find((one) => one.version === version.toLowerCase());
    if (found === undefined) throw this.#notFound(version === undefined ? name : `${name}/${version}`);
    return found;
  }

  /** Live objects, by name. */
  list(): readonly NamedObject<Version>[] {
    return this.#sorted().filter(({ deleted }) => deleted === undefined);
  }

  listDeleted(): readonly NamedObject<Version>[] {
    return this.#sorted().filter(({ deleted }) => deleted !== undefined);
  }

  /** Soft-deletes all versions. @throws AzureError 404 */
  delete(name: string, retentionInDays: number): NamedObject<Version> {
    const deletedDate = nowInSeconds();
    const scheduledPurgeDate = deletedDate + retentionInDays * DAY_IN_SECONDS;
    const object = { ...this.get(name), deleted: { deletedDate, scheduledPurgeDate } };
    this.#objects.set(name.toLowerCase(), object);
    return object;
  }

  /** @throws AzureError 404 when no such object is soft-deleted */
  getDeleted(name: string): NamedObject<Version> {
    const object = this.#objects.get(name.toLowerCase());
    if (object?.deleted !== undefined) return object;
    throw new AzureError(404, `${this.#noun}NotFound`, `Deleted ${this.#noun} not found: ${name}`);
  }

  recover(name: string): NamedObject<Version> {
    const { name: known, versions } = this.getDeleted(name);
    this.#objects.set(name.toLowerCase(), { name: known, versions });
    return { name: known, versions };
  }

  purge(name: string): void {
    this.getDeleted(name);
    this.#objects.delete(name.toLowerCase());
  }

  /** Takes a live object away without a trace. @returns its versions */
  remove(name: string): readonly Version[] {
    const versions = this.find(name)?.versions ?? [];
    if (versions.length > 0) this.#objects.delete(name.toLowerCase());
    return versions;
  }

  /** @throws AzureError 409 when the name is soft-deleted */
  refuseDeleted(name: string): void {
    if (this.#objects.get(name.toLowerCase())?.deleted === undefined) return;
    const noun = this.#noun.toLowerCase();
    throw new AzureError(
      409,
      'Conflict',
      `${this.#noun} ${name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the ${noun} can only be recovered or purged.`,
      { innerCode: 'ObjectIsDeletedButRecoverable' },
    );
  }

  #sorted(): NamedObject<Version>[] {
    return [...this.#objects.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #notFound(id: string): AzureError {
    const noun = this.#noun.toLowerCase();
    return new AzureError(
      404,
      `${this.#noun}NotFound`,
      `A ${noun} with (name/id) ${id} was not found in this key vault. If you recently deleted this ${noun} you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182`,
    );
  }
}

/** @throws AzureError 400 BadParameter when a name has characters that Key Vault does not take. */
export function requireObjectName(name: string, noun: 'secret' | 'certificate'): void {
  if (/^[0-9A-Za-z-]{1,127}$/.test(name)) return;
  throw badRequest(
    `The request URI contains an invalid name: ${name}. A ${noun} name has 1 to 127 letters, digits and hyphens.`,
    'BadParameter',
  );
}
