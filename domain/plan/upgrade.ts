/** The steps that upgrade a cluster: control plane first, then every agent pool, one minor at a time. */
import type { EncryptionState } from '../encryption';
import type { PlanStep } from './steps';

/** One version of the way, and where each pool is before it. */
export interface UpgradeStage {
  readonly from: string;
  readonly to: string;
  readonly pools: readonly { readonly name: string; readonly version: string }[];
}

/** @param state the encryption state that the cluster is in meanwhile */
export function upgrade(stages: readonly UpgradeStage[], state: EncryptionState): PlanStep[] {
  return stages.flatMap(({ from, to, pools }): PlanStep[] => [
    {
      id: `upgrade.control-plane-${idOf(to)}`,
      type: 'upgrade-control-plane',
      from,
      to,
      expect: state,
      title: `Upgrade the control plane from ${from} to ${to}`,
      reason:
        'AKS upgrades one minor version at a time, and the control plane before the agent pools. It cannot go back.',
    },
    ...pools.map(({ name, version }): PlanStep => ({
      id: `upgrade.pool-${name}-${idOf(to)}`,
      type: 'upgrade-pool',
      pool: name,
      from: version,
      to,
      expect: state,
      title: `Upgrade the agent pool ${name} from ${version} to ${to}`,
      reason: 'AKS drains and replaces each node. Pods without a disruption budget are stopped with their node.',
    })),
  ]);
}

function idOf(version: string): string {
  return version.replaceAll('.', '-');
}
