/** A long-running operation in ARM, as evidence keeps it. */
import { z } from 'zod';

/** The long-running operation in ARM that changed the cluster. */
export const ArmOperation = z.object({
  /** Absent when the worker died between the request and its answer; then the cluster itself was polled. */
  operationUrl: z.string().optional(),
  status: z.string(),
  startedAt: z.string().optional(),
  endedAt: z.string().optional(),
  /** `cluster`: the operation showed no end, and the cluster's own state was taken instead. Absent when the operation ended. */
  decidedBy: z.literal('cluster').optional(),
});
/** The long-running operation in ARM. */
export type ArmOperation = z.infer<typeof ArmOperation>;
