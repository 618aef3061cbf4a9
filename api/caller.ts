/**
 * The caller of a request, from its access token.
 *
 * Does: checks signature (one algorithm), issuer, audience, times and age, all of them exactly; token-claims.ts reads who it is.
 * Never does: accept an unsigned or symmetrically signed token.
 */
import { jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { approverFault, Role } from '../domain/people';
import type { TokenRules } from './auth-settings';
import { LoginRefused, refusalOf } from './login-refused';
import { ApiError } from './problem';
import { callerOf, type Caller } from './token-claims';

/** Clocks may differ by this much. */
const CLOCK_TOLERANCE_IN_SECONDS = 30;

/** Tells who sent a request, from its Authorization header. */
export type Authenticate = (authorization: string | undefined) => Promise<Caller>;

/**
 * Makes the check of access tokens. What it returns rejects with `LoginRefused`: `Unauthenticated`, `TokenExpired`,
 * `ScopeMissing`, or `IssuerUnavailable` when the signing keys cannot be fetched.
 */
export function authenticator(rules: TokenRules, keySet: JWTVerifyGetKey, clock: () => Date): Authenticate {
  return async (authorization) => {
    const token = bearerToken(authorization);
    return callerOf(await verify(token, rules, keySet, clock), rules);
  };
}

/**
 * Whether a caller may decide for a person: not a program, and not through an application that is not on the list.
 * @param options.breakGlass whether the person passes a gate alone, which takes a role of its own
 * @throws ApiError `ProgramCannotApprove`, `RoleMissing` or `ClientCannotApprove`
 */
export function requireDecider(
  { person, roles, clientId, approvalClient }: Caller,
  { breakGlass = false }: { readonly breakGlass?: boolean } = {},
): void {
  const unfit = approverFault(person, roles, { breakGlass });
  if (unfit) throw new ApiError(unfit);
  if (approvalClient) return;
  throw new ApiError({
    code: 'ClientCannotApprove',
    detail: `The access token was given to the application ${clientId ?? 'without an id'}, through which this API takes no decisions. The decision was not recorded. Use one that KEYTURN_APPROVAL_CLIENTS names.`,
  });
}

/** The caller's roles that are Keyturn's: a token may carry many others, and a decision is signed with its roles. */
export function ownRoles({ roles }: Pick<Caller, 'roles'>): string[] {
  return Object.values(Role).filter((role) => roles.includes(role));
}

function bearerToken(authorization: string | undefined): string {
  if (authorization === undefined) {
    throw new LoginRefused('missing', 'Send an access token in the header "Authorization: Bearer …".', {
      challenge: 'Bearer realm="keyturn"',
    });
  }
  const token = /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization)?.[1];
  if (token === undefined)
    throw new LoginRefused('malformed', 'The Authorization header is not "Bearer" and one signed token.');
  return token;
}

async function verify(
  token: string,
  rules: TokenRules,
  keySet: JWTVerifyGetKey,
  clock: () => Date,
): Promise<JWTPayload> {
  const { issuer, audience, algorithm, maximumAgeInSeconds, claims, tenantId } = rules;
  try {
    const { payload, protectedHeader } = await jwtVerify(token, keySet, {
      issuer,
      audience,
      algorithms: [algorithm],
      clockTolerance: CLOCK_TOLERANCE_IN_SECONDS,
      maxTokenAge: maximumAgeInSeconds,
      currentDate: clock(),
      requiredClaims: [
        'exp',
        ...(tenantId === undefined ? [] : ['tid']),
        ...(claims.subject.includes('.') ? [] : [claims.subject]),
      ],
    });
    // RFC 8725 3.11: tokens of other kinds (logout tokens, proofs) name theirs.
    if (!/^(?:application\/)?(?:at\+)?jwt$/i.test(protectedHeader.typ ?? 'JWT'))
      throw new LoginRefused('kind', 'The token says in its header that it is not an access token.');
    return payload;
  } catch (error) {
    throw refusalOf(error, token, rules);
  }
}
