/** What must hold of the network between the nodes and a vault. What ARM does not show is a warning: `csi/warnings.ts`. */
import { lineOfSight } from '../csi/line-of-sight';
import type { Rule } from '../kinds/kind';

/** A vault that is not open to all networks has a way in that can be the nodes'. */
export const nodesReachVaultRule: Rule<unknown> = {
  codes: ['VaultNotReachedByNodes'],
  check(_, { csi }) {
    const sight = csi && lineOfSight(csi);
    if (sight?.state !== 'missing') return [];
    const detail = `${sight.detail} Pods could not mount anything of it, so nothing was changed. ${sight.remedy} Then ask again.`;
    return [{ code: 'VaultNotReachedByNodes', pointer: '/parameters/vaultId', detail }];
  },
};
