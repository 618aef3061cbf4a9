/**
 * Private endpoints to vaults: who reaches which vault past its firewall.
 *
 * Needs: nothing.
 * Does: keeps endpoints, those that AKS makes for a cluster's API servers and those that a client makes by hand.
 * Never does: say who is in the network of one that was made by hand: node-networks.ts does.
 */
import { createHash } from 'node:crypto';

/** What the owner of a vault has decided about a connection. */
export type ConnectionStatus = 'Approved' | 'Pending' | 'Rejected';

/** A private endpoint, and its connection to a vault. */
export interface PrivateEndpoint {
  /** ARM id. */
  readonly id: string;
  readonly name: string;
  readonly location: string;
  readonly vaultId: string;
  /** The cluster that AKS made it for; undefined for one made by hand. */
  readonly clusterId?: string;
  /** As it was sent; AKS's has none here. */
  readonly subnetId?: string;
  readonly status: ConnectionStatus;
  readonly description: string;
}

/** All private endpoints. */
export class PrivateEndpoints {
  readonly #endpoints = new Map<string, PrivateEndpoint>();

  /** Whether a cluster reaches a vault by an approved endpoint of its own. */
  reaches(clusterId: string, vaultId: string): boolean {
    return this.of(clusterId).some((one) => same(one.vaultId, vaultId) && one.status === 'Approved');
  }

  find(id: string): PrivateEndpoint | undefined {
    return this.#endpoints.get(id.toLowerCase());
  }

  /** Those that AKS made for a cluster. */
  of(clusterId: string): readonly PrivateEndpoint[] {
    return this.all().filter((one) => one.clusterId !== undefined && same(one.clusterId, clusterId));
  }

  /** Those to a vault. */
  to(vaultId: string): readonly PrivateEndpoint[] {
    return this.all().filter((one) => same(one.vaultId, vaultId));
  }

  all(): readonly PrivateEndpoint[] {
    return [...this.#endpoints.values()];
  }

  put(endpoint: PrivateEndpoint): void {
    this.#endpoints.set(endpoint.id.toLowerCase(), endpoint);
  }

  remove({ id }: PrivateEndpoint): void {
    this.#endpoints.delete(id.toLowerCase());
  }
}

/** The name of an endpoint's connection below the vault. */
export function connectionName({ id }: PrivateEndpoint): string {
  return createHash('sha256').update(id.toLowerCase()).digest('hex').slice(0, 32);
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
