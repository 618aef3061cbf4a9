/** GET /v1/clusters/{ARM path}/encryption, /csi and /ledger: how a cluster stands. No operation, and nothing is written. */
import { z } from 'zod';
import { CsiInspection } from '../../domain/csi/inspection';
import { Inspection } from '../../domain/inspection';
import { Role } from '../../domain/people';
import { LedgerReport } from '../../domain/ledger-report';
import { CLUSTER_ID_PARTS, parseClusterId } from '../../domain/resource-ids';
import type { ApiDeps } from '../deps';
import { notInArm } from '../../domain/observed';
import { mayLookAt } from '../policy/authorize';
import { ApiError } from '../problem';
import { route, type Route } from '../route';

const Params = z.object({
  subscription: z.string().meta({ pattern: `^${CLUSTER_ID_PARTS.subscription}$`, description: 'Subscription id.' }),
  resourceGroup: z.string().meta({ pattern: `^${CLUSTER_ID_PARTS.resourceGroup}$` }),
  name: z.string().meta({ pattern: `^${CLUSTER_ID_PARTS.name}$`, description: 'Name of the managed cluster.' }),
});

/** What a look gave. */
type Looked = { readonly found: true; readonly inspection: object } | { readonly found: false; readonly why: string };

/** What is looked at: the end of the path, its texts, and who looks. */
interface Look {
  readonly of: 'encryption' | 'csi' | 'ledger';
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  readonly schema: z.ZodType;
  readonly look: (cluster: string) => Promise<Looked>;
}

/** How the encryption of a cluster stands. */
export function getClusterEncryption(deps: ApiDeps): Route {
  return lookRoute(deps, {
    of: 'encryption',
    operationId: 'getClusterEncryption',
    summary: 'See how the encryption of a cluster stands',
    description:
      'KMS and its scheme, both key slots and the health of their keys, the identity and its rights, what is proven, which keys must stay, the load of the vault at rest, and findings: what is wrong, and which kind of operation repairs it. Nothing is written, and no Secret is looked at.',
    schema: Inspection,
    look: (cluster) => deps.gateway.inspect(cluster),
  });
}

/** What connects its pods with vaults. */
export function getClusterCsi(deps: ApiDeps): Route {
  return lookRoute(deps, {
    of: 'csi',
    operationId: 'getClusterCsi',
    summary: 'See what connects the pods of a cluster with vaults',
    description:
      'The add-on for secrets of vaults, the OIDC issuer, and each SecretProviderClass: its vault, who reads it and how, who made it, which pods mount it, and what is broken. Nothing is written, and no value is read.',
    schema: CsiInspection,
    look: (cluster) => deps.gateway.inspectCsi(cluster),
  });
}

/** The key generations that Keyturn has recorded in it. */
export function getClusterLedger(deps: ApiDeps): Route {
  return lookRoute(deps, {
    of: 'ledger',
    operationId: 'getClusterLedger',
    summary: 'Read the ledger of a cluster',
    description:
      'The key generations in the order in which they were used, as the ledger in the cluster has them, and how far signed evidence confirms it. `generations` is null when there is no ledger. Nothing is written.',
    schema: LedgerReport,
    look: (cluster) => deps.gateway.inspectLedger(cluster),
  });
}

function lookRoute(deps: ApiDeps, { of, look, schema, ...texts }: Look): Route {
  return route({
    method: 'get',
    path: `/v1/clusters/subscriptions/{subscription}/resourceGroups/{resourceGroup}/providers/Microsoft.ContainerService/managedClusters/{name}/${of}`,
    ...texts,
    roles: [Role.Reader, Role.Operator, Role.Approver],
    params: Params,
    answers: [{ status: 200, description: 'As it is now.', schema }],
    codes: ['InvalidClusterId', 'ClusterNotFound', 'AzureUnavailable', 'TemporalUnavailable', 'WorkerUnavailable'],
    handle: async ({ caller, params: { subscription, resourceGroup, name } }) => {
      const cluster = `/subscriptions/${subscription}/resourceGroups/${resourceGroup}/providers/Microsoft.ContainerService/managedClusters/${name}`;
      const id = parseClusterId(cluster);
      if (id === undefined) {
        const detail = `The path is not the ARM resource id of a managed cluster, between /v1/clusters and /${of}.`;
        throw new ApiError({ code: 'InvalidClusterId', detail });
      }
      const inspected: Looked = mayLookAt(deps, caller, id.resourceId)
        ? await look(id.resourceId)
        : { found: false, why: notInArm('ResourceNotFound') };
      if (inspected.found) return { status: 200, body: inspected.inspection };
      throw new ApiError({ code: 'ClusterNotFound', detail: `${cluster}: ${inspected.why}` });
    },
  });
}
