/** Preconditions of clusters. */
import type { ObservedCluster } from '../../../domain/observed';
import { NO_KMS, withCluster, type Asked, type Precondition } from './asked';

const NO_CLUSTER_YET = 'There is no cluster yet.';
const VAULT_ONLY = 'It changes a vault, and neither the cluster nor a Secret of it.';

const row = (
  what: string,
  code: string,
  change: Partial<ObservedCluster>,
  exempt: Readonly<Record<string, string>>,
): Precondition => ({
  what,
  code,
  exempt: { 'create-cluster': NO_CLUSTER_YET, ...exempt },
  violated: (asked: Asked) => withCluster(asked, change),
});

const OUTSIDE = { 'provision-kms': VAULT_ONLY, 'enable-vault-diagnostics': VAULT_ONLY };
const pools = (...counts: number[]): Pick<ObservedCluster, 'agentPools'> => ({
  agentPools: counts.map((count, index) => ({
    name: `p${index}`,
    version: '1.26.6',
    wantedVersion: '1.26.6',
    count,
    mode: index === 0 ? 'System' : 'User',
  })),
});

/** Their rows. */
export const OF_CLUSTERS: readonly Precondition[] = [
  row(
    'a user-assigned identity',
    'ClusterIdentityUnsupported',
    { identityType: 'SystemAssigned', identities: [] },
    {
      ...NO_KMS,
      'create-cluster': 'The request names a user-assigned identity; it can name no other.',
      'enable-vault-diagnostics': 'It gives the identity nothing, and AKS has taken KMS with it.',
    },
  ),
  row('a cluster that runs', 'ClusterNotRunning', { powerState: 'Stopped' }, OUTSIDE),
  row(
    'a cluster that did not fail',
    'ClusterNotSucceeded',
    { provisioningState: 'Failed' },
    {
      ...OUTSIDE,
      'recover-key': 'A key that does not work makes AKS fail: this is what it repairs.',
    },
  ),
  row('a cluster that Azure is not changing', 'ClusterNotSucceeded', { provisioningState: 'Updating' }, OUTSIDE),
  {
    ...row('nodes', 'NodesScaledToZero', pools(0, 0), {
      ...OUTSIDE,
      'create-cluster': 'The request names one node or more.',
      'disconnect-csi': 'What it removes needs no node.',
      'recover-key': 'Without its key a cluster may get no nodes: the repair comes first.',
    }),
    kept: (asked) => withCluster(asked, pools(1, 0)) ?? asked,
  },
  row(
    'encryption that AKS does not manage itself',
    'PlatformManagedEncryption',
    { platformManagedEncryption: true },
    NO_KMS,
  ),
];
