/** What kinds with private vault access have in common: a request may have them turn API Server VNet Integration on first. */
import { z } from 'zod';
import type { PlanStep } from '../plan/steps';
import type { Warning } from '../plan/plan';
import { turnOnVnetIntegration } from '../plan/vnet-integration';
import { resourceName } from '../resource-ids';
import type { WithVnetIntegration } from '../vnet-integration';
import type { PlanFacts } from './kind';
import { subnetId, vnetIntegrationGate } from './steps';

/** The members of requests that ask for it. */
export const vnetParameters = {
  enableVnetIntegration: z.boolean().default(false).meta({
    description:
      'Whether Keyturn turns API Server VNet Integration on, where private vault access needs it and the cluster lacks it. It cannot be turned off again, and the cluster is stopped and started. Default: false.',
  }),
  apiServerSubnetId: subnetId(
    'ARM resource id of the subnet of the API servers, in the network of the nodes. Needed with `enableVnetIntegration`.',
  ),
};

/** The parts of a plan; empty when the request does not ask for it. */
export interface VnetParts {
  /** The beginning of a summary, with a blank at its end. */
  readonly first: string;
  readonly gates: readonly PlanStep[];
  readonly steps: readonly PlanStep[];
  readonly warnings: readonly Warning[];
}

/** What is planned before anything else. The rules have seen that it is needed. */
export function vnetIntegration(facts: PlanFacts<WithVnetIntegration>): VnetParts {
  const { cluster, from, parameters } = facts;
  if (parameters.enableVnetIntegration !== true) return { first: '', gates: [], steps: [], warnings: [] };
  const { apiServerSubnetId = '' } = parameters;
  const subnet = resourceName(apiServerSubnetId);
  const isOn = cluster.vnetIntegration === true;
  return {
    first: `First ${isOn ? 'bring API Server VNet Integration into effect' : 'turn API Server VNet Integration on'}, by a stop and a start of the cluster. `,
    gates: [vnetIntegrationGate(facts)],
    steps: turnOnVnetIntegration(from, isOn ? null : apiServerSubnetId),
    warnings: warnings(facts, isOn ? null : subnet),
  };
}

function warnings({ cluster, from }: Pick<PlanFacts<unknown>, 'cluster' | 'from'>, subnet: string | null): Warning[] {
  const name = resourceName(cluster.resourceId);
  const keys =
    from.mode === 'on'
      ? ' API servers that start read Secrets with the keys of both slots: every key listed under keysNeeded must be enabled, unexpired and reachable.'
      : '';
  return [
    {
      code: 'ClusterIsStopped',
      detail: `${name} is stopped and started: every workload and the API are down, for minutes. Pods that no controller owns are gone afterwards, and AKS may update the node images of all agent pools. AKS warns that a region without room may keep a stopped cluster from starting: the operation is then blocked with a stopped cluster, and a retry asks again. Keyturn's identity needs the rights to stop and to start the cluster, and does not check that it has them.${keys}`,
    },
    {
      code: 'ApiServerAddressChanges',
      detail:
        'The API server gets another IP address and keeps its host name. Firewall rules, network security groups and kubeconfigs that name the address must be changed; private endpoints that people made to the API server of a private cluster must be made again.',
    },
    ...(subnet === null
      ? []
      : [
          {
            code: 'VnetIntegrationIsFinal',
            detail: `API Server VNet Integration cannot be turned off, also not when a later step fails or the operation is canceled. AKS refuses it unless the cluster's identity may join the subnet ${subnet} and that of the nodes (Network Contributor there), the subnet is delegated to Microsoft.ContainerService/managedClusters, and the region has room. Keyturn checks none of that. Where AKS made the network of the cluster, the subnet must be in that network, in the node resource group, and goes with the cluster.`,
          },
        ]),
  ];
}
