/** The workflows that the worker registers; names are their type names in Temporal: one for each kind, the lock, the looks at a cluster, a plan alone, the delivery of webhooks, and the sweeper. */
export { clusterLock } from './cluster-lock';
export { examineWorker, findKeyUsers, inspectCluster, inspectCsi, inspectLedger } from './inspect-cluster';
export { planOnly } from './plan-only';
export { sweepOperations } from './sweep';
export { webhookDelivery } from './webhook-delivery';
export {
  operation as changeVault,
  operation as changeVaultAccess,
  operation as connectCsi,
  operation as createCluster,
  operation as disableKms,
  operation as disconnectCsi,
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
