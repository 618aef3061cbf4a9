/** Pieces of the cluster: its state, the add-on, and what is inside. */
import type { ObservedCluster } from '../../../domain/observed';
import { goodCluster } from '../fixtures';
import { OTHER_CLIENT, withClass, withCluster, withInside, type Connection } from './connected';
import type { Inspected, Piece } from './piece';

const NOT_OF_A_CONNECTION: Inspected = {
  silent: 'It is no part of the connection: the cluster itself is shown elsewhere.',
};
const state = (
  what: string,
  code: 'ClusterNotRunning' | 'ClusterNotSucceeded' | 'LocalAccountsDisabled' | 'NodesScaledToZero',
  change: Partial<ObservedCluster>,
  names: string,
): Piece => ({
  what,
  removed: (whole) => withCluster(whole, change),
  planned: { refused: code },
  names,
  inspected: NOT_OF_A_CONNECTION,
});
const missing = (what: string, sentence: string): Piece => ({
  what,
  removed: (whole) => withInside(whole, { missing: [sentence] }),
  planned: { refused: 'SecretsProviderIncomplete' },
  names: sentence,
  inspected: 'broken',
});
const differing = (
  what: string,
  removed: (whole: Connection) => Connection,
  names: Piece['names'],
  inspected: Inspected,
): Piece => ({
  what: `the ${what} that the class names`,
  removed,
  planned: { refused: 'SecretProviderClassDiffers' },
  names,
  inspected,
});
const ANOTHER: Inspected = { silent: 'It is another connection, which may work.' };

export const OF_CLUSTERS: readonly Piece[] = [
  state('a cluster that runs', 'ClusterNotRunning', { powerState: 'Stopped' }, 'Stopped'),
  state('a cluster that Azure brought to its end', 'ClusterNotSucceeded', { provisioningState: 'Failed' }, 'Failed'),
  state('local accounts', 'LocalAccountsDisabled', { localAccountsDisabled: true }, 'Local accounts'),
  state(
    'nodes',
    'NodesScaledToZero',
    { agentPools: goodCluster().agentPools.map((pool) => ({ ...pool, count: 0 })) },
    'node',
  ),
  {
    what: 'the add-on',
    removed: (whole) =>
      withCluster(whole, {
        // AKS removes its identity with it; this is the moment before.
        secretsProvider: { enabled: false, pollInterval: null },
      }),
    planned: { made: 'enable-secrets-provider' },
    names: 'azure-keyvault-secrets-provider',
    inspected: 'broken',
    inspectedAs: 'The add-on is off',
  },
  {
    what: 'the rotation that is asked for',
    removed: (whole) => ({ ...whole, parameters: { ...whole.parameters, rotationPollInterval: '7m' } }),
    planned: { refused: 'SecretsProviderDiffers' },
    names: 'with rotation every 2m, and 7m is asked for',
    inspected: { silent: 'It asks for nothing. The answer has `rotationPollInterval`.' },
  },
  {
    what: 'a driver that no other installation fights with',
    removed: (whole) => withInside(whole, { otherInstallations: ['csi/by-helm'] }),
    planned: { refused: 'CsiDriverInstalledOtherwise' },
    names: 'csi/by-helm',
    inspected: 'broken',
  },
  missing(
    'the CustomResourceDefinition',
    'The cluster does not know the kind SecretProviderClass (CustomResourceDefinition x).',
  ),
  missing('the CSIDriver', 'The cluster has no CSIDriver secrets-store.csi.k8s.io.'),
  missing('a daemon set of the add-on', 'The cluster has no daemon set kube-system/aks-secrets-store-csi-driver.'),
  {
    what: 'a node on which the driver is ready',
    removed: (whole) => withInside(whole, { notReady: ['The daemon set kube-system/aks-x is ready on 0 of 1 nodes.'] }),
    planned: { same: 'It passes by itself.' },
    names: 'kube-system/aks-x',
    inspected: 'broken',
  },
  {
    what: 'the namespace',
    removed: (whole) => withInside(whole, { namespaceFound: false, classes: [], serviceAccount: undefined }),
    planned: { refused: 'NamespaceNotFound' },
    names: 'no namespace apps',
    inspected: { silent: 'Its classes went with it.' },
  },
  {
    what: 'the class',
    removed: (whole) => withInside(whole, { classes: [] }),
    planned: { made: 'create-secret-provider-class' },
    names: 'apps/web',
    inspected: { silent: 'There is no connection.' },
  },
  {
    what: 'a member of the class that the provider needs',
    removed: (whole) =>
      withInside(whole, {
        classes: whole.inside.classes.map((one) => ({
          ...one,
          content: undefined,
          problems: ['tenantID is not provided.'],
        })),
      }),
    planned: { refused: 'SecretProviderClassDiffers' },
    names: 'tenantID is not provided.',
    inspected: 'broken',
  },
  differing('vault', (whole) => withClass(whole, { vaultName: 'kv-other' }), 'kv-other', ANOTHER),
  differing('tenant', (whole) => withClass(whole, { tenantId: 'tenant-2' }), 'tenant-2', 'broken'),
  differing('cloud', (whole) => withClass(whole, { cloudName: 'AzureChinaCloud' }), 'AzureChinaCloud', 'broken'),
  differing(
    'identity',
    (whole) => withClass(whole, { identity: { mode: 'managed-identity', clientId: OTHER_CLIENT } }),
    OTHER_CLIENT,
    ANOTHER,
  ),
  differing(
    'object',
    (whole) => withClass(whole, { objects: [{ ...whole.object, objectName: 'another' }] }),
    ({ object }) => `it lacks ${object.objectType} ${object.objectName} as wanted`,
    ANOTHER,
  ),
  differing(
    'permission of the file',
    (whole) => withClass(whole, { objects: [{ ...whole.object, filePermission: '0400' }] }),
    ({ object }) => `${object.objectType} ${object.objectName}`,
    ANOTHER,
  ),
];
