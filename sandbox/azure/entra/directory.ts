/**
 * The tenant's directory: who exists, and who may do everything.
 *
 * Needs: nothing.
 * Does: registers service principals (apps and managed identities) and finds them by application or object id.
 * Never does: issue tokens.
 */
import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';

/** Something that can hold a role: an app registration's service principal, or a managed identity's. */
export interface ServicePrincipal {
  readonly kind: 'application' | 'managedIdentity';
  readonly displayName: string;
  /** Application (client) id: `appid` in tokens. */
  readonly appId: string;
  /** Object id: `oid` in tokens, `principalId` in role assignments. */
  readonly objectId: string;
  /** Client secret; managed identities have none. */
  readonly secret?: string;
  /** Every right on ARM and on every vault, but to sign with keys: a short cut that Azure does not have. */
  readonly administrator: boolean;
  /** App roles on Keyturn's API, as the `roles` claim of app-only tokens. */
  readonly appRoles: readonly string[];
}

/** A person of the tenant. People have no rights in ARM and in vaults here; they sign in to Keyturn's API. */
export interface Person {
  readonly objectId: string;
  readonly displayName: string;
  readonly userPrincipalName: string;
}

/** One Entra tenant. */
export class Directory {
  readonly #byAppId = new Map<string, ServicePrincipal>();
  readonly #byObjectId = new Map<string, ServicePrincipal>();
  readonly #people = new Map<string, Person>();

  constructor(readonly tenantId: string) {}

  /** Registers an application with a client secret. */
  registerApplication(
    displayName: string,
    options: { readonly administrator?: boolean; readonly appRoles?: readonly string[] } = {},
  ): ServicePrincipal & { readonly secret: string } {
    const principal = {
      kind: 'application' as const,
      displayName,
      appId: randomUUID(),
      objectId: randomUUID(),
      secret: randomBytes(24).toString('base64url'),
      administrator: options.administrator ?? false,
      appRoles: options.appRoles ?? [],
    };
    this.#add(principal);
    return principal;
  }

  /** Registers the principal of a user-assigned managed identity. */
  registerManagedIdentity(displayName: string): ServicePrincipal {
    const principal: ServicePrincipal = {
      kind: 'managedIdentity',
      displayName,
      appId: randomUUID(),
      objectId: randomUUID(),
      administrator: false,
      appRoles: [],
    };
    this.#add(principal);
    return principal;
  }

  registerPerson(person: Person): void {
    this.#people.set(person.objectId, person);
  }

  people(): readonly Person[] {
    return [...this.#people.values()];
  }

  servicePrincipals(): readonly ServicePrincipal[] {
    return [...this.#byObjectId.values()];
  }

  /** Whether a service principal or a person has this object id. */
  has(objectId: string): boolean {
    return this.findByObjectId(objectId) !== undefined || this.#people.has(objectId.toLowerCase());
  }

  /** Forgets a principal: its tokens and its rights end. */
  remove({ appId, objectId }: ServicePrincipal): void {
    this.#byAppId.delete(appId);
    this.#byObjectId.delete(objectId);
  }

  findByAppId(appId: string): ServicePrincipal | undefined {
    return this.#byAppId.get(appId.toLowerCase());
  }

  findByObjectId(objectId: string): ServicePrincipal | undefined {
    return this.#byObjectId.get(objectId.toLowerCase());
  }

  #add(principal: ServicePrincipal): void {
    this.#byAppId.set(principal.appId, principal);
    this.#byObjectId.set(principal.objectId, principal);
  }
}

/** Compares secrets without telling, by its duration, where they differ. */
export function sameSecret(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
