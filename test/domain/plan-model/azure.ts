/**
 * What Azure has beside the cluster: vaults, the versions of their keys, the cluster's managed identity, and who may use what. Whether
 * a key works for API servers follows from it, as Key Vault and Entra ID decide it.
 */
import { keyNumber, objectOf, vaultOf } from './names';

/** What a vault has of a key version. */
export type KeyState = 'enabled' | 'disabled' | 'deleted' | 'purged';

interface Version {
  enabled: boolean;
  /** Of the key object: it is deleted, recovered and purged with all its versions. */
  object: 'live' | 'deleted' | 'purged';
  /** In milliseconds since 1970; absent: it never expires. */
  expiresOn?: number;
}

/** A vault. */
export interface Vault {
  state: 'live' | 'deleted' | 'purged';
  /** Whether it answers on its public address. */
  open: boolean;
  permissionModel: 'rbac' | 'access-policy';
  /** Principals that may encrypt and decrypt with its keys. */
  readonly granted: Set<string>;
}

/** Who uses a key, and when. */
export interface KeyUser {
  /** Absent: it gets no token. */
  readonly principal: string | undefined;
  /** Over a private endpoint. */
  readonly privately: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Azure. */
export class Azure {
  /** Another one after each change. */
  revision = 0;
  /** Whether Keyturn runs where vaults answer it whose public address is closed. Otherwise it sees their keys through ARM. */
  reachesClosedVaults = true;
  readonly #versions = new Map<string, Version>();
  readonly #vaults = new Map<string, Vault>();
  #principals = 1;
  #principal: string | undefined = 'principal-1';

  /** Every key version that there ever was. */
  get keyIds(): string[] {
    return [...this.#versions.keys()];
  }

  /** What the cluster's identity stands for now; undefined: it is deleted. */
  get principal(): string | undefined {
    return this.#principal;
  }

  stateOf(keyId: string): KeyState | undefined {
    const version = this.#versions.get(keyId);
    if (!version) return undefined;
    return version.object === 'live' ? (version.enabled ? 'enabled' : 'disabled') : version.object;
  }

  expiryOf(keyId: string): number | undefined {
    return this.#versions.get(keyId)?.expiresOn;
  }

  /** The vault of a key; one that was never made is not there. */
  vault(keyId: string): Vault | undefined {
    return this.#vaults.get(vaultOf(keyId));
  }

  isClosed(keyId: string): boolean {
    return this.vault(keyId)?.open === false;
  }

  /** Makes the vault as well, and lets the identity use its keys, when there is none. */
  newVersion(object: string): string {
    const keyId = keyNumber(this.#versions.size + 1, object);
    if (!this.vault(keyId)) this.makeVault(keyId, [this.#principal ?? '']);
    this.#versions.set(keyId, { enabled: true, object: 'live' });
    this.revision++;
    return keyId;
  }

  makeVault(keyId: string, granted: readonly string[] = []): void {
    const permissionModel = vaultOf(keyId).startsWith('kv2') ? 'access-policy' : 'rbac';
    this.#vaults.set(vaultOf(keyId), { state: 'live', open: true, permissionModel, granted: new Set(granted) });
    this.revision++;
  }

  setEnabled(keyId: string, enabled: boolean): void {
    this.#change(keyId, { enabled });
  }

  setExpiry(keyId: string, expiresOn: number | undefined): void {
    this.#change(keyId, { expiresOn });
  }

  /** Deletes, recovers or purges the key object of a version, as far as it is in the state that this needs. */
  setObject(keyId: string, to: Version['object']): void {
    const from = { deleted: 'live', live: 'deleted', purged: 'deleted' } as const;
    for (const version of this.versionsOf(keyId))
      if (this.#versions.get(version)?.object === from[to]) this.#change(version, { object: to });
  }

  /** The versions of the same key object. */
  versionsOf(keyId: string): string[] {
    return this.keyIds.filter((version) => objectOf(version) === objectOf(keyId));
  }

  /** A deleted vault loses its role assignments, and keeps its access policies. */
  setVault(keyId: string, to: Vault['state']): void {
    const vault = this.vault(keyId);
    const from = { deleted: 'live', live: 'deleted', purged: 'deleted' } as const;
    if (vault?.state !== from[to]) return;
    vault.state = to;
    if (to === 'deleted' && vault.permissionModel === 'rbac') vault.granted.clear();
    this.revision++;
  }

  /** @returns whether that was a change */
  setOpen(keyId: string, open: boolean): boolean {
    const vault = this.vault(keyId);
    if (vault?.state !== 'live' || vault.open === open) return false;
    vault.open = open;
    this.revision++;
    return true;
  }

  /** @returns whether that was a change */
  grant(keyId: string, principal: string | undefined, gives = true): boolean {
    const vault = this.vault(keyId);
    if (vault?.state !== 'live' || principal === undefined || vault.granted.has(principal) === gives) return false;
    vault.granted[gives ? 'add' : 'delete'](principal);
    this.revision++;
    return true;
  }

  deleteIdentity(): void {
    this.#principal = undefined;
    this.revision++;
  }

  /** An identity of the same name stands for another principal. @returns whether that was a change */
  makeIdentity(): boolean {
    if (this.#principal !== undefined) return false;
    this.#principal = `principal-${++this.#principals}`;
    this.revision++;
    return true;
  }

  /** Whether a key encrypts and decrypts for a user: what the health checks of KMS v2 do all the time. */
  works(keyId: string, { principal, privately, now }: KeyUser): boolean {
    const vault = this.vault(keyId);
    const expiresOn = this.expiryOf(keyId);
    return (
      vault?.state === 'live' &&
      (vault.open || privately) &&
      this.stateOf(keyId) === 'enabled' &&
      (expiresOn === undefined || expiresOn > now) &&
      principal !== undefined &&
      principal === this.#principal &&
      vault.granted.has(principal)
    );
  }

  #change(keyId: string, change: Partial<Version>): void {
    const version = this.#versions.get(keyId);
    if (version) Object.assign(version, change);
    this.revision++;
  }
}
