/**
 * Connections of a cluster that Service Connector makes, in ARM (Microsoft.ServiceLinker/linkers).
 *
 * Does: lists those of a cluster, and asks for one to a vault as `az aks connection create keyvault --enable-csi` does. Azure then turns
 *       the add-on on and lets its identity read the vault. Deletes one, which takes neither back.
 * Never does: overwrite one: ARM has no entity tag for them, so the caller reads right before. Wait.
 */
import { z } from 'zod';
import type { ServiceConnection } from '../domain/csi/facts';
import type { ArmClient, ArmResponse } from './arm';
import { allPages } from './arm-pages';
import type { CallOptions } from './call-options';

/** The one that az 2.x speaks. */
const API_VERSION = '2024-07-01-preview';

const Linker = z.looseObject({
  name: z.string(),
  properties: z.looseObject({
    provisioningState: z.string().nullish(),
    targetService: z
      .looseObject({
        id: z.string().nullish(),
        resourceProperties: z.looseObject({ connectAsKubernetesCsiDriver: z.boolean().nullish() }).nullish(),
      })
      .nullish(),
  }),
});

/** A connection, and how far Azure is with it. */
export interface ObservedConnection extends ServiceConnection {
  /** `Accepted`, `Succeeded`, `Failed` or another word of Azure's. */
  readonly provisioningState: string;
}

/** A connection to make. */
export interface NewConnection {
  readonly cluster: string;
  readonly name: string;
  readonly vaultId: string;
  /** Namespace of what Service Connector makes in the cluster. */
  readonly namespace: string;
}

/** What Keyturn asks of Service Connector. Everything throws `ArmError` or `TokenError`. */
export interface ServiceConnections {
  /** All of a cluster. @param cluster ARM id */
  list(cluster: string, options?: CallOptions): Promise<ObservedConnection[]>;
  /** @returns the URL of ARM's long-running operation, when ARM gave one that is its own */
  create(connection: NewConnection, options?: CallOptions): Promise<{ operationUrl?: string }>;
  /** One that is gone is no error. */
  delete(cluster: string, name: string, options?: CallOptions): Promise<{ operationUrl?: string }>;
}

/** The body that asks for a connection: that of az. */
export function connectionBody({ vaultId, namespace }: Pick<NewConnection, 'vaultId' | 'namespace'>): unknown {
  return {
    properties: {
      targetService: {
        type: 'AzureResource',
        id: vaultId,
        resourceProperties: { type: 'KeyVault', connectAsKubernetesCsiDriver: true },
      },
      // Without an id Service Connector takes the identity of the add-on.
      authInfo: { authType: 'userAssignedIdentity' },
      clientType: 'none',
      scope: namespace,
    },
  };
}

/** @param arm sends the requests */
export function createServiceConnections(arm: ArmClient): ServiceConnections {
  const urlOf = (cluster: string, name?: string): string => {
    const list = `${cluster}/providers/Microsoft.ServiceLinker/linkers`;
    return `${name === undefined ? list : `${list}/${encodeURIComponent(name)}`}?api-version=${API_VERSION}`;
  };
  const started = (response: ArmResponse): { operationUrl?: string } => {
    const operationUrl = response.header('azure-asyncoperation');
    return operationUrl !== undefined && arm.owns(operationUrl) ? { operationUrl } : {};
  };
  return {
    async list(cluster, { abortSignal } = {}) {
      return (await allPages(arm, urlOf(cluster), Linker, abortSignal)).map(observed);
    },

    async create({ cluster, name, ...target }, { abortSignal } = {}) {
      const body = connectionBody(target);
      return started(await arm.request({ method: 'PUT', url: urlOf(cluster, name), body, abortSignal }));
    },

    async delete(cluster, name, { abortSignal } = {}) {
      return started(await arm.request({ method: 'DELETE', url: urlOf(cluster, name), abortSignal }));
    },
  };
}

function observed({ name, properties }: z.infer<typeof Linker>): ObservedConnection {
  const { targetService, provisioningState } = properties;
  return {
    name,
    targetId: targetService?.id ?? '',
    byCsiDriver: targetService?.resourceProperties?.connectAsKubernetesCsiDriver === true,
    provisioningState: provisioningState ?? 'Succeeded',
  };
}
