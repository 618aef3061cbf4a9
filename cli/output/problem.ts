/** Problem documents of the API (RFC 9457) as one clear text: what is wrong, its code, and what to do. */
import { z } from 'zod';
import { CommandFailed, exitCodeOf } from '../exit-codes';
import { cleanLine } from './clean';

const Problem = z.looseObject({
  status: z.int(),
  code: z.string(),
  title: z.string(),
  detail: z.string(),
  requestId: z.string().optional(),
  retryAfter: z.number().optional(),
  errors: z.array(z.looseObject({ code: z.string(), detail: z.string(), pointer: z.string().optional() })).optional(),
});

/** What helps against a code, where the detail of the answer cannot know the command. */
const HINTS: Readonly<Record<string, string>> = {
  Unauthenticated: 'Run "keyturn login", or set KEYTURN_TOKEN to an access token for this API.',
  TokenExpired: 'Run "keyturn login", or set KEYTURN_TOKEN to a new access token.',
  ClusterBusy: 'Use --when-busy wait to wait for its end.',
  PlanDigestMismatch: 'Read the plan as it is now with "keyturn show", then decide again.',
  BlockedListChanged: 'Read the list as it is now with "keyturn show", then decide again.',
  EvidenceNotReady: 'Follow the operation with "keyturn watch".',
  WorkerUnavailable: 'See what is missing with "keyturn doctor".',
  TemporalUnavailable: 'See what is missing with "keyturn doctor".',
};

/** The failure of a command that the API answered with a problem. @param body the answer, parsed where it is JSON */
export function problemFailure(status: number, body: unknown): CommandFailed {
  const parsed = Problem.safeParse(body);
  if (!parsed.success) {
    const text = `The answer has the HTTP status ${status} and is no problem document. Check KEYTURN_URL: is it the API of Keyturn?`;
    return new CommandFailed(text, exitCodeOf(status, ''));
  }
  const problem = parsed.data;
  return new CommandFailed(problemText(problem), exitCodeOf(status, problem.code), body);
}

function problemText({
  code,
  title,
  detail,
  errors = [],
  requestId,
  retryAfter,
  status,
}: z.infer<typeof Problem>): string {
  const details = errors.length > 1 ? errors : [{ code, detail, pointer: errors[0]?.pointer }];
  const lines = details.map((one) => {
    const at = one.pointer === undefined ? '' : ` (at ${one.pointer})`;
    return `  ${one.code}: ${cleanLine(one.detail)}${cleanLine(at) === '' ? '' : ` ${cleanLine(at)}`}`;
  });
  return [
    cleanLine(title),
    ...lines,
    ...(HINTS[code] === undefined ? [] : [`  ${HINTS[code]}`]),
    ...(retryAfter === undefined ? [] : [`  Try again after ${retryAfter} s.`]),
    ...(status >= 500 && requestId !== undefined ? [`  Request ${cleanLine(requestId)}`] : []),
  ].join('\n');
}
