/**
 * What the instance metadata service (IMDS) of a node answers: tokens of the identities that are assigned to its machine.
 *
 * Needs: the machines of clusters, the token service.
 * Does: picks the identity as IMDS does, and mints its token.
 * Never does: HTTP. Who serves nodes asks here.
 */
import type { ServicePrincipal } from '../entra/directory';
import { APP_TOKEN_LIFETIME_IN_SECONDS, isKnownResource, type TokenService } from '../entra/tokens';
import type { Clusters } from './clusters';
import type { NodeMachine, NodeMachines } from './node-machines';

/** Which identity is asked for; IMDS picks when nothing is named. */
export interface IdentityChoice {
  readonly clientId?: string;
  readonly objectId?: string;
  /** ARM id of a user-assigned identity. */
  readonly resourceId?: string;
  /** The agent pool of the node; the first one when absent. */
  readonly pool?: string;
}

/** The body of a token answer, numbers as strings. */
export interface InstanceToken {
  readonly access_token: string;
  readonly client_id: string;
  readonly expires_in: string;
  readonly expires_on: string;
  readonly ext_expires_in: string;
  readonly not_before: string;
  readonly resource: string;
  readonly token_type: 'Bearer';
}

/** A refusal of IMDS: `{"error": …, "error_description": …}`. */
export class InstanceMetadataError extends Error {
  constructor(
    readonly status: number,
    /** `invalid_request`, … */
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = 'InstanceMetadataError';
  }

  /** The JSON body. */
  toBody(): { readonly error: string; readonly error_description: string } {
    return { error: this.code, error_description: this.message };
  }
}

/** IMDS of every cluster. */
export class InstanceIdentities {
  readonly #clusters: Clusters;
  readonly #machines: NodeMachines;
  readonly #tokens: TokenService;

  constructor(sources: {
    readonly clusters: Clusters;
    readonly machines: NodeMachines;
    readonly tokens: TokenService;
  }) {
    this.#clusters = sources.clusters;
    this.#machines = sources.machines;
    this.#tokens = sources.tokens;
  }

  /**
   * A token for a resource, `https://vault.azure.net`, of an identity of the cluster's nodes.
   * @param clusterId ARM id, in any case
   * @throws InstanceMetadataError in IMDS's words
   */
  async tokenFor(clusterId: string, choice: IdentityChoice, resource: string): Promise<InstanceToken> {
    const principal = this.#principal(this.#machine(clusterId, choice.pool), choice);
    if (!isKnownResource(resource)) {
      const text = `AADSTS500011: The resource principal named ${resource} was not found in the tenant.`;
      throw new InstanceMetadataError(400, 'invalid_resource', text);
    }
    const now = Math.floor(Date.now() / 1000);
    const lifetime = APP_TOKEN_LIFETIME_IN_SECONDS;
    return {
      access_token: await this.#tokens.mintAppToken(principal, resource),
      client_id: principal.appId,
      expires_in: String(lifetime),
      expires_on: String(now + lifetime),
      ext_expires_in: String(lifetime),
      not_before: String(now),
      resource,
      token_type: 'Bearer',
    };
  }

  #principal(machine: NodeMachine, { clientId, objectId, resourceId }: IdentityChoice): ServicePrincipal {
    const assigned = this.#machines.userAssigned(machine);
    const system = this.#machines.systemAssigned(machine);
    if (clientId !== undefined || objectId !== undefined || resourceId !== undefined) {
      const named = assigned.find(
        ({ id, principal }) =>
          same(principal.appId, clientId) || same(principal.objectId, objectId) || same(id, resourceId),
      )?.principal;
      if (named !== undefined) return named;
      if (system !== undefined && (same(system.appId, clientId) || same(system.objectId, objectId))) return system;
      throw new InstanceMetadataError(400, 'invalid_request', 'Identity not found');
    }
    if (system !== undefined) return system;
    const [only, ...others] = assigned;
    if (only === undefined) throw new InstanceMetadataError(400, 'invalid_request', 'Identity not found');
    if (others.length > 0) {
      // As in Hexadite/acs-keyvault-agent#43; reports of the provider: secrets-store-csi-driver-provider-azure#853.
      throw new InstanceMetadataError(
        400,
        'invalid_request',
        'Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request',
      );
    }
    return only.principal;
  }

  #machine(clusterId: string, pool: string | undefined): NodeMachine {
    const cluster = this.#clusters.all().find(({ id }) => same(id, clusterId));
    const machines = cluster === undefined ? [] : this.#machines.of(cluster);
    const found = machines.find((one) => pool === undefined || one.pool['name'] === pool);
    if (found === undefined) throw new InstanceMetadataError(404, 'not_found', `There is no node of ${clusterId}.`);
    return found;
  }
}

function same(one: string, other: string | undefined): boolean {
  return other !== undefined && one.toLowerCase() === other.toLowerCase();
}
