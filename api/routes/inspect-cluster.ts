/** GET /v1/clusters/{ARM path}/encryption: how the encryption of a cluster stands. No operation, and nothing is written. */
import { z } from 'zod';
import { Inspection } from '../../domain/inspection';
import { Role } from '../../domain/people';
import { parseClusterId } from '../../domain/resource-ids';
import type { ApiDeps } from '../deps';
import { ApiError } from '../problem';
import { route, type Route } from '../route';

const Params = z.object({
  subscription: z.string().meta({ description: 'Subscription id.' }),
  resourceGroup: z.string(),
  name: z.string().meta({ description: 'Name of the managed cluster.' }),
});

/** The route. */
export function getClusterEncryption({ gateway }: ApiDeps): Route {
  return route({
    method: 'get',
    path: '/v1/clusters/subscriptions/{subscription}/resourceGroups/{resourceGroup}/providers/Microsoft.ContainerService/managedClusters/{name}/encryption',
    operationId: 'getClusterEncryption',
    summary: 'See how the encryption of a cluster stands',
    description:
      'KMS and its scheme, both key slots and the health of their keys, the identity and its rights, what is proven, which keys must stay, the load of the vault at rest, and findings: what is wrong, and which kind of operation repairs it. Nothing is written, and no Secret is looked at.',
    roles: [Role.Reader, Role.Operator, Role.Approver],
    params: Params,
    answers: [{ status: 200, description: 'As it is now.', schema: Inspection }],
    codes: ['InvalidClusterId', 'ClusterNotFound', 'AzureUnavailable', 'TemporalUnavailable', 'WorkerUnavailable'],
    handle: async ({ params: { subscription, resourceGroup, name } }) => {
      const cluster = `/subscriptions/${subscription}/resourceGroups/${resourceGroup}/providers/Microsoft.ContainerService/managedClusters/${name}`;
      const id = parseClusterId(cluster);
      if (id === undefined) {
        const detail =
          'The path is not the ARM resource id of a managed cluster, between /v1/clusters and /encryption.';
        throw new ApiError({ code: 'InvalidClusterId', detail });
      }
      const inspected = await gateway.inspect(id.resourceId);
      if (inspected.found) return { status: 200, body: inspected.inspection };
      throw new ApiError({ code: 'ClusterNotFound', detail: `${cluster}: ${inspected.why}` });
    },
  });
}
