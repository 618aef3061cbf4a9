/** What activities are asked with, and what they answer. */
import type { Change } from '../../domain/change/change';
import type { ChangeAnswer } from '../../domain/change/window';
import type { Convergence } from '../../domain/convergence';
import type { CsiInspection } from '../../domain/csi/inspection';
import type { Delivered } from '../../domain/delivery';
import type { MadeKeys } from '../../domain/encryption';
import type { Fault } from '../../domain/errors';
import type { Inspection } from '../../domain/inspection';
import type { LedgerReport } from '../../domain/ledger-report';
import type { PlanResult } from '../../domain/plan/plan';
import type { StepId } from '../../domain/plan/steps';
import type { Proof } from '../../domain/proof';
import type { Receipt } from '../../domain/trust/receipts';
import type { DecisionFacts, RequestFacts, StatementSignature } from '../../domain/trust/statements';

/** The plan that an operation carries out, by its digest. The operation is the workflow that asks for the activity. */
export interface PlanReference {
  readonly planDigest: string;
}

/**
 * The step of that plan that an activity carries out. The activity reads the plan where the operation shows it, compares the
 * digest, and takes what it writes from the step: what was not approved cannot be asked for.
 */
export interface StepReference extends PlanReference {
  readonly step: StepId;
  /** The key ids that earlier steps made. */
  readonly made: MadeKeys;
}

/** One attempt of a step: each has objects of names of its own. */
export interface StepAttemptReference extends StepReference {
  /** 1 at first; one more each time a person asked for another try. */
  readonly attempt: number;
}

/** A request as the API signed it; it is of the operation that asks for the activity. */
export type SignedRequest = Omit<RequestFacts, 'operationId'> & { readonly signature?: StatementSignature };

/** A decision as the API signed it. */
export type SignedDecision = DecisionFacts & { readonly signature: StatementSignature };

/** What a rewrite or a proof is judged by, beside its step: what its convergence gave. */
export interface PassInput extends StepReference {
  readonly convergence: Convergence;
}

/** What steps of a retirement are judged by, beside the step. */
export interface RetirementInput extends StepReference {
  /** The last proof: a cluster that is older than its list was restored from a backup. */
  readonly proof: Proof;
  /** What the vault said when the operation had disabled the version; absent before. */
  readonly disabled?: Disabled;
}

/** A key version that was disabled. */
export interface Disabled {
  readonly keyId: string;
  /** When the vault says that the version was changed, ISO 8601. */
  readonly updatedOn?: string;
  readonly receipt?: Receipt;
}

/** What the rules of a kind say of a request. */
export interface RulesChecked {
  readonly faults: readonly Fault[];
  /** The provisioning state, when all that is wrong is that Azure is changing the cluster; null otherwise. */
  readonly busy: string | null;
  /** The cluster whose Secrets are to be looked at; null when the faults make that pointless. */
  readonly cluster: string | null;
  /** Secrets a second that a pass may ask for; null without a limit. */
  readonly perSecond: number | null;
  /** Names what ARM says of that cluster and its KMS: another text after every change. Absent where no Secrets are to be looked at. */
  readonly state?: string;
}

/** What a look at the connections of a cluster with vaults gives. */
export type CsiInspected =
  { readonly found: true; readonly inspection: CsiInspection } | { readonly found: false; readonly why: string };

/** What a look at a cluster says. */
export type Inspected =
  { readonly found: true; readonly inspection: Inspection } | { readonly found: false; readonly why: string };

/** What a look at the ledger of a cluster says. */
export type LedgerInspected =
  { readonly found: true; readonly inspection: LedgerReport } | { readonly found: false; readonly why: string };

/** What the planner says of a request. */
export type PlanMade = PlanResult & {
  /** As in `RulesChecked`: Azure may have begun to change the cluster since the rules were checked. */
  readonly busy?: string | null;
};

/** The heartbeat of `takeCensus`, `rewriteSecrets` and `proveSecrets`; the API reads it for live progress. */
export interface PassProgress {
  readonly done: number;
  readonly total: number;
  readonly perSecond: number;
  /** What is left at that rate; absent while nothing is done. */
  readonly etaInSeconds?: number;
}

/** The heartbeat of `awaitConvergence`, `awaitClusterChange` and `awaitClusterIdle`; the API reads it for what is waited for. */
export interface WaitProgress {
  /** Completes "waiting for …": the API servers by name, where they can be known; what Azure reports. */
  readonly waitsFor: string;
}

/** What came of the delivery of an event. */
export type EventDelivered =
  | { readonly kind: 'delivered'; readonly sequence: number; readonly delivered: Delivered }
  | {
      readonly kind: 'none';
      /** The place of the last event that there is. */
      readonly sequence: number;
      /** Whether none can follow. */
      readonly last: boolean;
    };
/** What a change system is asked. */
export interface ChangeQuestion {
  /** Null while a plan is made. */
  readonly operation: string | null;
  readonly kind: string;
  readonly cluster: string;
  readonly change: Change;
  /** The digest of the plan, and the step that is to begin; null before there is a plan. */
  readonly plan: string | null;
  readonly step: { readonly id: StepId; readonly title: string } | null;
}

/** What it said, and seconds until it may be asked again. */
export interface ChangeChecked {
  readonly answer: ChangeAnswer;
  readonly askEvery: number;
}
