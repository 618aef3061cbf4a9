/** Private endpoints in ARM (Microsoft.Network), as far as the network goes that they are in. Reads only. */
import { z } from 'zod';
import type { ArmClient } from './arm';
import type { CallOptions } from './call-options';
import { isNotForUs } from './errors';

const API_VERSION = '2024-05-01';
const ENDPOINT_ID =
  /^\/subscriptions\/[-0-9a-f]{36}\/resourceGroups\/[^/?#]+\/providers\/Microsoft\.Network\/privateEndpoints\/[^/?#]+$/i;

const Endpoint = z.looseObject({
  properties: z.looseObject({ subnet: z.looseObject({ id: z.string().nullish() }).nullish() }),
});

/** What Keyturn asks of private endpoints. Everything throws `ArmError` or `TokenError`. */
export interface PrivateEndpoints {
  /** ARM id of the subnet that an endpoint is in; undefined where Keyturn may not read it: it may be anywhere in Azure. */
  subnetOf(endpointId: string, options?: CallOptions): Promise<string | undefined>;
}

/** @param arm sends the requests */
export function createPrivateEndpoints(arm: ArmClient): PrivateEndpoints {
  return {
    async subnetOf(endpointId, { abortSignal } = {}) {
      // The id is what the vault says. Those of Azure's own services are no ARM ids.
      if (!ENDPOINT_ID.test(endpointId)) return undefined;
      try {
        const url = `${endpointId}?api-version=${API_VERSION}`;
        const { body } = await arm.request({ method: 'GET', url, abortSignal });
        return Endpoint.parse(body).properties.subnet?.id ?? undefined;
      } catch (error) {
        if (!isNotForUs(error)) throw error;
        return undefined;
      }
    },
  };
}
