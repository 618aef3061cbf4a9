/** The rules that kinds name: each is its codes, a sentence for each violation, and a test. */
export { AFTER_FAILED_KMS, clusterRule, clusterRules, kmsOffRule, kmsOnRule, repairableClusterRules } from './cluster';
export { identityAccessRule, identityAccessWarnings, vaultOpenRule } from './identity-access';
export {
  currentKeyRule,
  keyProblems,
  keyWarnings,
  nextKeyRule,
  otherVaultRule,
  requestedKeyRule,
  sameVaultRule,
} from './key';
export { keySuitedRule, vaultNameRule, vaultSuitedRule } from './provisioning';
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
  vnetIntegrationRule,
} from './private-vault';
export { settingNotOverwrittenRule, vaultSeenRule, workspaceFoundRule } from './vault-diagnostics';
export { kmsV1Rule, kmsV2Rule, poolsInStepRule, upgradeOfferedRule } from './upgrade';
