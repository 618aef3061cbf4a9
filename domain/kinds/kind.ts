/** What a kind of operation is: a procedure of the AKS documents, as parameters, rules and a plan. */
import type { z } from 'zod';
import type { CsiInside } from '../csi/facts';
import type { EncryptionState } from '../encryption';
import type { ErrorCode, Fault } from '../errors';
import type { Ledger } from '../ledger';
import type { AzureObservation, ObservedCluster } from '../observed';
import type { PlanPolicy, Warning } from '../plan/plan';
import type { PlanStep } from '../plan/steps';
import type { UpgradeRisks } from '../upgrade-risks';
import type { VnetSight } from '../vnet-integration';

/** A precondition over facts: the codes that it can answer with, and the test. */
export interface Rule<Parameters = never> {
  readonly codes: readonly ErrorCode[];
  /** @returns every violation, as one sentence each */
  readonly check: (cluster: ObservedCluster, azure: AzureObservation, parameters: Parameters) => readonly Fault[];
}

/** What a plan is made from, once no rule is violated. */
export interface PlanFacts<Parameters> {
  readonly cluster: ObservedCluster;
  readonly azure: AzureObservation;
  /** As it agrees with what Azure reports. */
  readonly ledger: Ledger;
  /** The state that the cluster is in. */
  readonly from: EncryptionState;
  /** Whether every Secret is proven to be under it. */
  readonly proven: boolean;
  /** Secrets a second that a rewrite may not exceed; null without a limit. */
  readonly perSecond: number | null;
  readonly parameters: Parameters;
  readonly policy: PlanPolicy;
  /** For kinds that need it. */
  readonly upgradeRisks?: UpgradeRisks;
  /** Of private vault access, for kinds that need it. */
  readonly vnetSight?: VnetSight;
  /** For kinds that need it. */
  readonly csiInside?: CsiInside;
}

/** What a kind makes of them. */
export interface PlannedSteps {
  readonly summary: string;
  readonly to: EncryptionState;
  readonly steps: readonly PlanStep[];
  readonly warnings: readonly Warning[];
}

/** Facts that cost reads of their own and that not every kind uses. A kind without `census` may run on a cluster that cannot be read. */
export type FactName =
  | 'census'
  | 'identity-access'
  | 'other-key-access'
  | 'upgrade-profile'
  | 'upgrade-risks'
  | 'key-users'
  | 'vault-users'
  | 'vault-diagnostics'
  | 'provisioning'
  | 'new-key'
  | 'recovery'
  | 'vnet-integration'
  | 'csi';

/** A precondition over everything that a plan is made from, the ledger included. */
export interface FactRule<Parameters = never> {
  readonly codes: readonly ErrorCode[];
  readonly check: (facts: PlanFacts<Parameters>) => readonly Fault[];
}

/** A kind of operation. Everything that API, operation, OpenAPI document and docs know of it. */
export interface Kind<Schema extends z.ZodType = z.ZodType> {
  readonly name: string;
  /** One sentence, for the API document and docs/procedures.md. */
  readonly does: string;
  /** What it never does, for those who decide whether to ask for it. */
  readonly never: string;
  /** The section of the AKS documents that it follows. */
  readonly section: string;
  /** Its cluster is not there yet: `PlanFacts.cluster` and `Rule` see it as it will look (domain/cluster-to-make.ts). Absent: it is there. */
  readonly startsWithout?: 'cluster';
  /** The member `parameters` of the request. */
  readonly parameters: Schema;
  /** Where the key that `parameters.keyId` names may be: in the vault of the current key only, or in any of this cloud. */
  readonly keyFrom: 'current-vault' | 'any-vault';
  /** The key that its plan retires; absent when it retires none. */
  readonly retires?: 'current-key' | 'requested-key';
  /** What is observed for it beside the cluster and the keys. */
  readonly needs: readonly FactName[];
  readonly rules: readonly Rule<z.infer<Schema>>[];
  /** Rules that need the ledger. */
  readonly factRules?: readonly FactRule<z.infer<Schema>>[];
  readonly plan: (facts: PlanFacts<z.infer<Schema>>) => PlannedSteps;
}

/** Checks a kind against its own types, and gives it the type that the table of kinds has. */
export function kind<Schema extends z.ZodType>(definition: Kind<Schema>): Kind {
  return definition;
}
