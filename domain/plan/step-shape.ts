/** What every step of a plan has, and how the types of steps are written down. */
import { z } from 'zod';

/** A step's id, unique in its plan: `approve`, `rotate.set-kms`. */
export const StepId = z.string().regex(/^[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)?$/);
/** A step's id, unique in its plan. */
export type StepId = z.infer<typeof StepId>;

/** What people read of a step. */
export const StepText = z.object({
  id: StepId,
  /** What is done, in the imperative. */
  title: z.string(),
  /** Why it is needed, and why here. */
  reason: z.string(),
});

/** One type of step, with the inputs that its performer works with. */
export function stepShape<Type extends string, Inputs extends z.ZodRawShape>(
  type: Type,
  inputs: Inputs,
): z.ZodObject<typeof StepText.shape & { type: z.ZodLiteral<Type> } & Inputs> {
  return z.object({ ...StepText.shape, type: z.literal(type), ...inputs });
}
