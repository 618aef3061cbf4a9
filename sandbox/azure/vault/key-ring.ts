/**
 * The keys inside one vault: names, versions, attributes, soft delete.
 *
 * Needs: RSA and elliptic curves.
 * Does: keeps the life of each key, and says what Key Vault says when a name or version is not there.
 * Never does: ask who is calling.
 */
import { randomBytes } from 'node:crypto';
import { AzureError, badRequest } from '../errors';
import { generateKey, kindOf, type KeyKind, type KeyMaterial } from './key-material';

const DAY_IN_SECONDS = 86_400;
/** What an RSA key may be used for unless the creator says less. */
export const DEFAULT_KEY_OPS = ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey'] as const;
/** The same for an EC key. */
export const DEFAULT_EC_KEY_OPS = ['sign', 'verify'] as const;

/** Attributes that a caller may set. Times are seconds since 1970, as on the wire. */
export interface KeyAttributes {
  readonly enabled?: boolean;
  readonly exp?: number;
  readonly nbf?: number;
}

/** What a new version is made from. */
export interface KeyRequest extends KeyAttributes {
  readonly kind: KeyKind;
  readonly keyOps: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
}

/** One version of a key. */
export interface KeyVersion {
  /** 32 hexadecimal digits. */
  readonly version: string;
  readonly material: KeyMaterial;
  readonly created: number;
  updated: number;
  enabled: boolean;
  exp?: number;
  nbf?: number;
  keyOps: readonly string[];
  tags: Readonly<Record<string, string>>;
  /** The key of a certificate: its life is the certificate's. */
  readonly managed?: true;
  /** Whether the private key may leave the vault; false when absent. */
  readonly exportable?: boolean;
}

/** When a key was soft-deleted and when it goes. */
export interface KeyDeletion {
  readonly deletedDate: number;
  readonly scheduledPurgeDate: number;
}

/** A named key: every version, oldest first, never empty. */
export interface NamedKey {
  readonly name: string;
  readonly versions: readonly KeyVersion[];
  /** Set while soft-deleted. */
  readonly deleted?: KeyDeletion;
}

/** The latest version of a key. */
export function latestVersion(key: NamedKey): KeyVersion {
  const latest = key.versions.at(-1);
  if (latest === undefined) throw new Error(`Key ${key.name} has no version: the sandbox lost track of its own keys.`);
  return latest;
}

/** Seconds since 1970. */
export function nowInSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

/** All keys of one vault, live and soft-deleted. */
export class KeyRing {
  readonly #keys = new Map<string, NamedKey>();
  /** How many looks at a deleted key still find nothing: until then it is being deleted. */
  readonly #looksUntilShown = new Map<string, number>();

  /**
   * Adds a version; the name is new, or the version becomes the latest of that key.
   * @throws AzureError 409 ObjectIsDeletedButRecoverable when the name is soft-deleted.
   */
  async create(name: string, request: KeyRequest): Promise<{ key: NamedKey; version: KeyVersion }> {
    this.#refuseDeleted(name);
    const material = await generateKey(request.kind);
    this.#refuseDeleted(name); // A client may have deleted it while the key was being generated.
    const now = nowInSeconds();
    const version: KeyVersion = {
      version: randomBytes(16).toString('hex'),
      material,
      created: now,
      updated: now,
      enabled: request.enabled ?? true,
      exp: request.exp,
      nbf: request.nbf,
      keyOps: request.keyOps,
      tags: request.tags,
    };
    const before = this.#keys.get(name.toLowerCase());
    const key: NamedKey = { name: before?.name ?? name, versions: [...(before?.versions ?? []), version] };
    this.#keys.set(name.toLowerCase(), key);
    return { key, version };
  }

  /** Takes the key of a certificate: the same name, the same version. */
  adopt(name: string, version: KeyVersion & { readonly managed: true }): void {
    this.#refuseDeleted(name);
    const before = this.#keys.get(name.toLowerCase());
    this.#keys.set(name.toLowerCase(), {
      name: before?.name ?? name,
      versions: [...(before?.versions ?? []), version],
    });
  }

  /** Whether a live key of this name exists that is no certificate's. */
  hasOwn(name: string): boolean {
    const key = this.#keys.get(name.toLowerCase());
    return key !== undefined && key.deleted === undefined && latestVersion(key).managed !== true;
  }

  /** Forgets the key of a certificate that is deleted. */
  disown(name: string): readonly KeyVersion[] {
    const versions = this.#keys.get(name.toLowerCase())?.versions ?? [];
    this.#keys.delete(name.toLowerCase());
    return versions;
  }

  /** A new version like the latest one, without its dates: only a rotation policy would set them. */
  async rotate(name: string): Promise<{ key: NamedKey; version: KeyVersion }> {
    const { material, keyOps, tags } = latestVersion(this.get(name));
    return this.create(name, { kind: kindOf(material), keyOps, tags });
  }

  /** @throws AzureError 404 KeyNotFound. */
  get(name: string): NamedKey {
    const key = this.#keys.get(name.toLowerCase());
    if (key === undefined || key.deleted !== undefined) throw keyNotFound(name);
    return key;
  }

  /**
   * A version, the latest when none is given.
   * @throws AzureError 404 KeyNotFound.
   */
  getVersion(name: string, version: string | undefined): KeyVersion {
    const key = this.get(name);
    if (version === undefined || version === '') return latestVersion(key);
    const found = key.versions.find((candidate) => candidate.version === version.toLowerCase());
    if (found === undefined) throw keyNotFound(`${name}/${version}`);
    return found;
  }

  /** Live keys, by name. */
  list(): readonly NamedKey[] {
    return this.#sorted().filter((key) => key.deleted === undefined);
  }

  listDeleted(): readonly NamedKey[] {
    return this.#sorted().filter((key) => key.deleted !== undefined);
  }

  /** Soft-deletes all versions of a key. @throws AzureError 404 KeyNotFound. */
  delete(name: string, options: { readonly retentionInDays: number; readonly looksUntilShown: number }): NamedKey {
    if (this.#looksUntilShown.get(name.toLowerCase())) {
      throw new AzureError(409, 'Conflict', `Key ${name} is currently being deleted.`, {
        innerCode: 'ObjectIsBeingDeleted',
      });
    }
    const key = this.get(name);
    const deletedDate = nowInSeconds();
    const deleted = {
      ...key,
      deleted: { deletedDate, scheduledPurgeDate: deletedDate + options.retentionInDays * DAY_IN_SECONDS },
    };
    this.#looksUntilShown.set(name.toLowerCase(), options.looksUntilShown);
    this.#keys.set(name.toLowerCase(), deleted);
    return deleted;
  }

  /** @throws AzureError 404 KeyNotFound when no such key is soft-deleted. */
  getDeleted(name: string): NamedKey & { readonly deleted: KeyDeletion } {
    const key = this.#keys.get(name.toLowerCase());
    if (key?.deleted === undefined) throw new AzureError(404, 'KeyNotFound', `Deleted Key not found: ${name}`);
    return { ...key, deleted: key.deleted };
  }

  /** A look from outside, which may come before the vault shows the key. @throws AzureError 404 KeyNotFound */
  lookAtDeleted(name: string): ReturnType<KeyRing['getDeleted']> {
    const looks = this.#looksUntilShown.get(name.toLowerCase()) ?? 0;
    if (looks > 0) {
      this.#looksUntilShown.set(name.toLowerCase(), looks - 1);
      throw new AzureError(404, 'KeyNotFound', `Deleted Key not found: ${name}`);
    }
    return this.getDeleted(name);
  }

  recover(name: string): NamedKey {
    const { name: known, versions } = this.getDeleted(name);
    const key: NamedKey = { name: known, versions };
    this.#keys.set(name.toLowerCase(), key);
    return key;
  }

  purge(name: string): void {
    this.getDeleted(name);
    this.#keys.delete(name.toLowerCase());
  }

  #sorted(): NamedKey[] {
    return [...this.#keys.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #refuseDeleted(name: string): void {
    if (this.#keys.get(name.toLowerCase())?.deleted === undefined) return;
    throw new AzureError(
      409,
      'Conflict',
      `Key ${name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the key can only be recovered or purged.`,
      { innerCode: 'ObjectIsDeletedButRecoverable' },
    );
  }
}

/** @throws AzureError 400 BadParameter when a name has characters that Key Vault does not take. */
export function requireKeyName(name: string): void {
  if (!/^[0-9A-Za-z-]{1,127}$/.test(name)) {
    throw badRequest(
      `The request URI contains an invalid name: ${name}. A key name has 1 to 127 letters, digits and hyphens.`,
      'BadParameter',
    );
  }
}

function keyNotFound(id: string): AzureError {
  return new AzureError(
    404,
    'KeyNotFound',
    `A key with (name/id) ${id} was not found in this key vault. If you recently deleted this key you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182`,
  );
}
