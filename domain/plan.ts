/** A plan: the ordered steps of one operation, made by a pure function, identified by its digest. */
import { z } from 'zod';
import { digestOf } from './canonical';
import type { ErrorCode } from './errors';

/** The steps that procedures are made of. One word per step; a kind uses some of them. */
export const StepId = {
  Approve: 'approve',
  ProveCurrentKey: 'prove-current-key',
  CreateKeyVersion: 'create-key-version',
  TakeBaseline: 'take-baseline',
  SetKey: 'set-key',
  Converge: 'converge',
  Rewrite: 'rewrite',
  Prove: 'prove',
  VerifyKey: 'verify-key',
} as const;
/** A step's name. */
export type StepId = (typeof StepId)[keyof typeof StepId];

const stepIds = Object.values(StepId) as [StepId, ...StepId[]];

/** One step as the approver reads it. */
export const PlanStep = z.object({
  id: z.enum(stepIds),
  /** What is done, in the imperative. */
  title: z.string(),
  /** Why it is needed, and why here. */
  reason: z.string(),
  /** What it writes to: nothing, the vault, the managed cluster in ARM, or Kubernetes objects. */
  changes: z.enum(['nothing', 'vault', 'cluster', 'kubernetes']),
});
/** One step as the approver reads it. */
export type PlanStep = z.infer<typeof PlanStep>;

/** Something that an approver should know and that does not stand in the way. */
export const Warning = z.object({ code: z.string(), detail: z.string() });
/** Something that an approver should know. */
export type Warning = z.infer<typeof Warning>;

/** What will be done. Everything in it is under its digest: what is approved is what is executed (O3). */
export const Plan = z.object({
  kind: z.string(),
  cluster: z.string(),
  changeNumber: z.string(),
  /** One sentence: from which key to which. */
  summary: z.string(),
  currentKeyId: z.string(),
  /** How the cluster's Kubernetes version encrypts with a key. */
  scheme: z.enum(['kms-v1', 'kms-v2']),
  /** The key to turn to; null when a new version of the current key is made first. */
  targetKeyId: z.string().nullable(),
  /** Secrets a second that the rewrite may not exceed: the owners' tag, the vault's limit; null when neither limits it. */
  ceilingPerSecond: z.number().nullable(),
  approvalsRequired: z.int(),
  steps: z.array(PlanStep),
  warnings: z.array(Warning),
  /** `sha256:…` of the canonical JSON of all the other members. */
  digest: z.string(),
});
/** What will be done. */
export type Plan = z.infer<typeof Plan>;

/** Gives a plan its digest. */
export function sealPlan(plan: Omit<Plan, 'digest'>): Plan {
  return { ...plan, digest: digestOf(plan) };
}

/** A planner's answer: a plan, or every rule that is violated. */
export type PlanResult =
  | { readonly plan: Plan; readonly faults: readonly [] }
  | { readonly plan: null; readonly faults: readonly { code: ErrorCode; detail: string; pointer?: string }[] };
