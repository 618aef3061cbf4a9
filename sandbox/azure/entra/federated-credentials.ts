/**
 * Federated identity credentials: which tokens of which issuer count as a managed identity.
 *
 * Needs: nothing.
 * Does: keeps them by the object id of the identity.
 * Never does: compare anything but byte for byte, as Entra does: a slash at the end of an issuer, and case, matter.
 */

/** One credential of a managed identity. */
export interface FederatedCredential {
  readonly name: string;
  readonly issuer: string;
  readonly subject: string;
  /** Exactly one. */
  readonly audiences: readonly string[];
}

/** All of them. */
export class FederatedCredentials {
  readonly #byIdentity = new Map<string, readonly FederatedCredential[]>();

  /** Those of an identity, in the order of their names. */
  of(objectId: string): readonly FederatedCredential[] {
    return this.#byIdentity.get(objectId) ?? [];
  }

  find(objectId: string, name: string): FederatedCredential | undefined {
    return this.of(objectId).find((one) => same(one.name, name));
  }

  /** Adds one, or replaces the one of this name. */
  put(objectId: string, credential: FederatedCredential): void {
    const others = this.of(objectId).filter((one) => !same(one.name, credential.name));
    const all = [...others, credential].sort((one, other) => one.name.localeCompare(other.name));
    this.#byIdentity.set(objectId, all);
  }

  remove(objectId: string, name: string): void {
    this.#byIdentity.set(
      objectId,
      this.of(objectId).filter((one) => !same(one.name, name)),
    );
  }

  /** Forgets those of an identity that was deleted. */
  removeAll(objectId: string): void {
    this.#byIdentity.delete(objectId);
  }
}

function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
