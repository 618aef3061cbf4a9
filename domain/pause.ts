/** A pause of a running operation: who asked for it, when it may be asked for, and what people read meanwhile. */
import { z } from 'zod';
import type { Fault } from './errors';
import { Actor } from './people';
import { madePlain } from './plain-text';

const Reason = z.string().min(1).max(500);

/** A pause that an operator or approver asked for. */
export const Pause = z.object({
  by: Actor,
  /** ISO 8601: when it was asked for. */
  at: z.string(),
  reason: Reason.optional(),
});
/** A pause that an operator or approver asked for. */
export type Pause = z.infer<typeof Pause>;

/** The end of a pause. */
export const Resumption = z.object({ by: Actor, at: z.string() });
/** The end of a pause. */
export type Resumption = z.infer<typeof Resumption>;

/** The message that asks for a pause. It may come past the API, which lets only plain text in. */
export const PauseRequest = Pause.omit({ at: true }).extend({ reason: Reason.overwrite(madePlain).optional() });
/** The message that asks for a pause. */
export type PauseRequest = z.infer<typeof PauseRequest>;

/** The message that ends a pause. */
export const ResumeRequest = Resumption.omit({ at: true });
/** The message that ends a pause. */
export type ResumeRequest = z.infer<typeof ResumeRequest>;

/** The parts of an operation that decide. */
interface Pausable {
  readonly id: string;
  readonly status: string;
  readonly offers: readonly string[];
  readonly paused: Pause | null;
}

/** Why an operation cannot be paused; undefined when it can. */
export function pauseFault({ id, status, offers, paused }: Pausable): Fault | undefined {
  if (offers.includes('pause')) return undefined;
  const detail =
    paused === null
      ? `Operation ${id} is ${status}: nothing that it does needs a pause. Only a running operation can be paused; one that waits can be canceled.`
      : `${paused.by.name} paused operation ${id} already, at ${paused.at}. To let it go on: resume.`;
  return { code: 'NotPausable', detail };
}

/** Why there is no pause to end; undefined when there is one. */
export function resumeFault({ id, status, paused }: Pausable): Fault | undefined {
  if (paused !== null) return undefined;
  return { code: 'NotPaused', detail: `Operation ${id} is ${status} and not paused: there is nothing to resume.` };
}

/** What an operation waits for until its pause begins. */
export function pausesSoon(pause: Pause): string {
  return `the next safe point: ${asked(pause)} A change that Azure was asked for is waited for first.`;
}

/** What a paused operation waits for. */
export function pausedFor(pause: Pause): string {
  return `a person: ${asked(pause)} Nothing is written until then, and the operation keeps the lock of the cluster. Keep every key listed under keysNeeded. \`resume\` the operation, or \`cancel\` it.`;
}

function asked({ by, at, reason }: Pause): string {
  const why = reason === undefined ? '.' : `: ${reason}${/[.!?]$/.test(reason) ? '' : '.'}`;
  return `${by.name} paused the operation at ${at}${why}`;
}
