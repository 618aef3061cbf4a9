/** The rules that kinds name: each is its codes, a sentence for each violation, and a test. */
export { AFTER_FAILED_KMS, clusterRule, clusterRules, kmsOffRule, kmsOnRule, repairableClusterRules } from './cluster';
export { identityAccessRule, identityAccessWarnings, otherKeyAccessRule, vaultOpenRule } from './identity-access';
export {
  currentKeyRule,
  keyProblems,
  keyWarnings,
  nextKeyRule,
  otherVaultRule,
  requestedKeyRule,
  sameVaultRule,
} from './key';
export { newKeyRule, provisioningRules } from './provisioning';
export { expiryRule, recoverableRule } from './recovery';
export { currentKeyUnusedElsewhereRule, keyLeftItsSlotsRule, keyUnusedRule, retiredKeyFoundRule } from './retirement';
export { clusterAbsentRule, firstKeyRule, firstVaultRule, identitySeenRule, subnetsRule } from './new-cluster';
export {
  accessDiffersRule,
  privateVaultRule,
  privateVaultWarnings,
  vaultAnswersForNewVersionRule,
  vaultAnswersRule,
  vaultUnusedByOthersRule,
} from './private-vault';
export { settingNotOverwrittenRule, vaultSeenRule, workspaceFoundRule } from './vault-diagnostics';
export { vnetInEffectRule, vnetIntegrationOnRule, vnetIntegrationRule } from './vnet-integration';
export { kmsV1Rule, kmsV2Rule, poolsInStepRule, upgradeOfferedRule } from './upgrade';
export { vaultProtectedRule, vaultTenantRule, withPresentAccess } from './vault';
export {
  addOnRule,
  classOf,
  csiIdentityRule,
  csiTenantRule,
  csiVaultRule,
  driverCompleteRule,
  federatedCredentialRule,
  insideOf,
  namespaceRule,
  noOtherDriverRule,
  providerClassRule,
  serviceAccountRule,
  serviceConnectionRule,
  wantedClass,
} from './csi';
export { nodesReachVaultRule } from './csi-network';
export { classUnusedRule, connectionUnusedRule } from './csi-removal';
