/**
 * The steps that turn API Server VNet Integration on. It takes effect when the cluster is stopped and started, and AKS says to do that at
 * once: it checks that the region has room for the API servers when the integration is asked for, and reserves none.
 */
import type { EncryptionState } from '../encryption';
import { resourceName } from '../resource-ids';
import type { PlanStep } from './steps';

/**
 * @param state the encryption state that the cluster is in meanwhile
 * @param subnetId of the API servers; null: ARM reports the integration already, and only the restart is missing
 */
export function turnOnVnetIntegration(state: EncryptionState, subnetId: string | null): PlanStep[] {
  return [
    ...(subnetId === null
      ? []
      : [
          {
            id: 'vnet.enable-integration',
            type: 'enable-vnet-integration' as const,
            subnetId,
            expect: state,
            title: `Turn API Server VNet Integration on, with the subnet ${resourceName(subnetId)} for the API servers`,
            reason:
              'AKS reaches a private vault only from API servers in the network of the cluster. It cannot be turned off again.',
          },
        ]),
    {
      id: 'vnet.stop-cluster',
      type: 'stop-cluster',
      expect: state,
      title: 'Stop the cluster',
      reason:
        'The integration takes effect when the cluster is stopped and started. All workloads stop, and the API does not answer.',
    },
    {
      id: 'vnet.start-cluster',
      type: 'start-cluster',
      expect: state,
      title: 'Start the cluster',
      reason:
        'At once: AKS reserves no room for the API servers in their new place. A cancellation waits until this was asked for.',
    },
    {
      id: 'vnet.await-api-servers',
      type: 'await-api-servers',
      title: 'Wait until the API servers answer from their new place',
      reason:
        'They are new processes at another address. kube-system has no konnectivity-agent when they reach the nodes directly.',
    },
  ];
}
