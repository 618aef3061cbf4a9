/**
 * The person who has a program ask: a program names them with an access token of theirs, in a header of its own. That person may then
 * not approve, and the request needs no approver more.
 *
 * Does: checks the token as it checks every other one.
 * Never does: take the person's roles: the rights are the program's.
 */
import type { Request } from 'express';
import { z } from 'zod';
import type { Authenticate } from './caller';
import { LoginRefused } from './login-refused';
import { ApiError } from './problem';
import type { Caller } from './token-claims';

/** The header. */
export const ON_BEHALF_OF = 'Keyturn-On-Behalf-Of';

/** For the API document. */
export const documentedOnBehalfOf = z.object({
  [ON_BEHALF_OF]: z.string().optional().meta({
    description:
      'From a program: `Bearer` and an access token, for this API, of the person who has it ask. That person cannot approve. Without it the request of a program needs one approval more.',
  }),
});

/**
 * The caller, with the person whom the request names.
 * @throws LoginRefused when the token is not accepted, or is no person's; ApiError `InvalidRequest` when no program sends it
 */
export async function withInitiator(caller: Caller, request: Request, authenticate: Authenticate): Promise<Caller> {
  const header = request.get(ON_BEHALF_OF);
  if (header === undefined) return caller;
  if (caller.person.type !== 'app') {
    throw new ApiError({
      code: 'InvalidRequest',
      detail: `The header ${ON_BEHALF_OF} is for programs. A person asks with their own access token. Nothing was changed.`,
    });
  }
  const { person } = await authenticate(header).catch((error: unknown) => {
    if (!(error instanceof LoginRefused)) throw error;
    const { code, cause, retryAfterInSeconds } = error;
    const detail = `In the header ${ON_BEHALF_OF}: ${error.faults[0].detail}`;
    throw new LoginRefused(error.fault, detail, { code, cause, retryAfterInSeconds });
  });
  if (person.type !== 'user') {
    throw new LoginRefused('kind', `In the header ${ON_BEHALF_OF}: the token is a program's, and must be a person's.`);
  }
  return { ...caller, person: { ...caller.person, onBehalfOf: person } };
}
