/** An operation as API, CLI, UI and evidence show it: in this one shape. */
import { z } from 'zod';
import { Acceptance, BlockedSecrets } from './acceptance';
import { Approval, Decision } from './approval';
import { Milestone } from './milestone';
import { Actor } from './people';
import { Pause, Resumption } from './pause';
import { madePlain } from './plain-text';
import { Plan } from './plan/plan';
import { StepText, writesTo } from './plan/steps';
import { Proof, RewriteReport } from './proof';
import { StoredRequest } from './request';
import { Signed } from './trust/statements';

/** Where an operation stands. The last three are final, and the only final ones (Azure's terminal states). */
export const OperationStatus = {
  Planning: 'Planning',
  AwaitingApproval: 'AwaitingApproval',
  AwaitingCluster: 'AwaitingCluster',
  Running: 'Running',
  Blocked: 'Blocked',
  Paused: 'Paused',
  Succeeded: 'Succeeded',
  Failed: 'Failed',
  Canceled: 'Canceled',
} as const;
/** Where an operation stands. */
export type OperationStatus = (typeof OperationStatus)[keyof typeof OperationStatus];

/** Whether the status is terminal. */
export function isFinal(status: OperationStatus): boolean {
  return (
    status === OperationStatus.Succeeded || status === OperationStatus.Failed || status === OperationStatus.Canceled
  );
}

/** A fault as it is stored with an operation. */
export const StoredFault = z.object({ code: z.string(), detail: z.string(), pointer: z.string().optional() });
/** A fault as it is stored with an operation. */
export type StoredFault = z.infer<typeof StoredFault>;

/** How far a step is: the part of it that changes. */
export const StepStatus = z.object({
  id: z.string(),
  /** `interrupted`: it had begun when the operation ended. `skipped`: it had not. */
  status: z.enum(['pending', 'running', 'blocked', 'done', 'interrupted', 'skipped']),
  startedAt: z.string().optional(),
  endedAt: z.string().optional(),
  /** The number of the try, from the second one on. */
  attempt: z.int().optional(),
  /** One sentence: what came out. */
  result: z.string().optional(),
});
/** How far a step is. */
export type StepStatus = z.infer<typeof StepStatus>;

/** A step as people read it, and its progress. */
export const StepState = StepText.extend({
  /** What it writes to. */
  changes: z.enum(['nothing', 'vault', 'cluster', 'kubernetes']),
  ...StepStatus.shape,
});
/** A step as people read it, and its progress. */
export type StepState = z.infer<typeof StepState>;

/** The steps of an ended operation: a step that had begun may have changed something, so it is not called skipped. */
export function stepsAtEnd(steps: readonly StepState[]): StepState[] {
  return steps.map((step) => {
    if (step.status === 'done') return step;
    return { ...step, status: step.startedAt === undefined ? 'skipped' : 'interrupted' };
  });
}

/** What every view of an ended operation has in common. */
export function viewAtEnd({
  steps,
}: Pick<Operation, 'steps'>): Pick<
  Operation,
  'approvalDeadline' | 'progress' | 'waitingFor' | 'offers' | 'blockedSecrets' | 'paused' | 'steps'
> {
  return {
    approvalDeadline: null,
    progress: null,
    waitingFor: null,
    offers: [],
    blockedSecrets: null,
    paused: null,
    steps: stepsAtEnd(steps),
  };
}

/** The steps of a plan with how far each is. @param statuses those that are not pending; others may be left out */
export function stepStates(plan: Plan | null, statuses: readonly StepStatus[]): StepState[] {
  return (plan?.steps ?? []).map(({ id, title, reason, type }) => ({
    id,
    title,
    reason,
    changes: writesTo(type),
    status: 'pending' as const,
    ...statuses.find((one) => one.id === id),
  }));
}

/** How far a long step is. */
export const StepProgress = z.object({
  step: z.string(),
  done: z.int(),
  total: z.int(),
  perSecond: z.number().optional(),
  /** What is left at that rate, in seconds. */
  etaInSeconds: z.number().optional(),
});
/** How far a long step is. */
export type StepProgress = z.infer<typeof StepProgress>;

/** What a finished operation gave: a summary of its outputs. */
export const OperationResult = z.object({
  /** The key that was current before; null is plaintext. */
  previousKeyId: z.string().nullable(),
  /** The key that is current now; null is plaintext. */
  currentKeyId: z.string().nullable(),
  /** The key that is ready for use, when the operation provided one: name it in the next request. */
  keyId: z.string().optional(),
  /** Counts of the rewrite; null when the proof alone had to patch Secrets. */
  rewrite: RewriteReport.omit({ refusedSecrets: true }).nullable(),
  /** The proof, in counts. The Secrets by name are in the outputs of the evidence. Null when the plan had none to make. */
  proof: Proof.omit({ unprovenSecrets: true, receipt: true }).nullable(),
});
/** What a finished operation gave. */
export type OperationResult = z.infer<typeof OperationResult>;

/** A person's request for the end of an operation. Unsigned, it came through Temporal itself and may name anybody. */
export const Cancellation = z.object({
  by: Actor,
  comment: z.string().max(500).optional(),
  ...Signed.partial().shape,
});
/** A person's request for the end of an operation. */
export type Cancellation = z.infer<typeof Cancellation>;

/** The message that cancels. It may come past the API, which lets only plain text in. */
export const CancellationMessage = Cancellation.extend({
  comment: z.string().max(500).overwrite(madePlain).optional(),
});

/** An operation. Times are ISO 8601 in UTC. */
export const Operation = z.object({
  id: z.string(),
  kind: z.string(),
  status: z.enum(OperationStatus),
  /** Why the status is what it is, where that needs a reason: a refusal, a block, an expiry. The first of `faults`. */
  reason: StoredFault.nullable(),
  /** Every rule that was violated or thing that failed. */
  faults: z.array(StoredFault),
  request: StoredRequest,
  requestedBy: Actor,
  requestedAt: z.string(),
  endedAt: z.string().nullable(),
  plan: Plan.nullable(),
  /** 1 for the first plan; one more each time the plan changed and approval was asked for again. */
  planRevision: z.int(),
  approvals: z.array(Approval),
  /** The decision of an approver against the plan; null when there was none. */
  denial: Decision.nullable(),
  /** The request for the end that counted; null when there was none. */
  cancellation: Cancellation.nullable(),
  /** When the wait for approval ends; null when the operation does not wait for approval. */
  approvalDeadline: z.string().nullable(),
  steps: z.array(StepState),
  progress: StepProgress.nullable(),
  /** One sentence: what the operation waits for, and who can end the wait. */
  waitingFor: z.string().nullable(),
  /** Keys that must stay enabled, unexpired and undeleted as things stand now. */
  keysNeeded: z.array(z.string()),
  /** What the operation accepts now. */
  offers: z.array(z.enum(['approve', 'deny', 'retry', 'accept', 'pause', 'resume', 'cancel'])),
  /** The Secrets that a blocked step waits for; null when it waits for something else, or nothing is blocked. */
  blockedSecrets: BlockedSecrets.nullable(),
  /** The acceptance of Secrets that are not under the target; null when there was none. */
  acceptance: Acceptance.nullable(),
  /** The pause that an operator or approver asked for; null when there is none. The status is `Paused` from the next safe point on. */
  paused: Pause.nullable(),
  /** Who ended the last pause; null when there was none. */
  resumed: Resumption.nullable(),
  result: OperationResult.nullable(),
  /** The signed evidence, once it is sealed. */
  evidence: z.object({ file: z.string(), digest: z.string(), signingKeyId: z.string() }).nullable(),
  /** What has happened so far, in order: domain/events.ts makes the events from it. Absent while nothing has. */
  milestones: z.array(Milestone).optional(),
});
/** An operation. */
export type Operation = z.infer<typeof Operation>;
