/** The workflows that the worker registers; names are their type names in Temporal: one for each kind, the lock, and the look at a cluster. */
export { clusterLock } from './cluster-lock';
export { inspectCluster } from './inspect-cluster';
export {
  operation as changeVault,
  operation as changeVaultAccess,
  operation as createCluster,
  operation as disableKms,
  operation as enableKms,
  operation as enableVaultDiagnostics,
  operation as provisionKms,
  operation as recoverKey,
  operation as replaceKey,
  operation as retireKey,
  operation as rewriteSecrets,
  operation as rotateKey,
  operation as upgradeToKmsV2,
} from './operation';
