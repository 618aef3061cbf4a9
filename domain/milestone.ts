/** One milestone of an operation, as it is stored and as its events are made from. */
import { z } from 'zod';

/** What can happen. New ones go to the end: stored milestones have the place in this list. */
export const MilestoneType = z.enum([
  'planned',
  'approval_requested',
  'approved',
  'waits_for_cluster',
  'step.started',
  'blocked',
  'retried',
  'accepted',
  'step.done',
  'succeeded',
  'failed',
  'canceled',
  'evidence_sealed',
]);
/** What can happen. */
export type MilestoneType = z.infer<typeof MilestoneType>;

/** Something that happened to an operation. It has ids and codes only: names and sentences are in the operation. */
export const Milestone = z.object({
  type: MilestoneType,
  /** ISO 8601. */
  at: z.string(),
  /** The step, by its id in the plan; of approvals, the gate. */
  step: z.string().optional(),
  /** Of a block or a retry: which try of the step, from 1. */
  attempt: z.int().optional(),
  /** Of a plan: 1 for the first. */
  revision: z.int().optional(),
  /** Of a block or an end: the code of its reason. */
  code: z.string().optional(),
  /** Of an approval or an acceptance: the object id of the approver. */
  by: z.string().optional(),
});
/** Something that happened to an operation. */
export type Milestone = z.infer<typeof Milestone>;
