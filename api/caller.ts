/**
 * The caller: reads the person or program, and its roles, from an Entra v2.0 access token.
 *
 * Does: checks signature (RS256 only), issuer, audience, tenant and times, all of them exactly.
 * Never does: trust a name. The identity is tenant and object id; `name` is for reading.
 */
import { errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import type { Actor } from '../domain/people';
import { KeySetUnavailable } from './key-set';
import { ApiError } from './problem';

/** Clocks may differ by this much. */
const CLOCK_TOLERANCE_IN_SECONDS = 30;
const LONGEST_NAME = 100;

/** Which tokens are accepted. */
export interface AuthSettings {
  readonly issuer: string;
  readonly audience: string;
  readonly tenantId: string;
  /** Where the signing keys are; fetched through HTTPS_PROXY when that is set. */
  readonly jwksUrl: string;
  /** Looks keys up in another way than by `jwksUrl`. */
  readonly keySet?: JWTVerifyGetKey;
}

/** Who is asking. */
export interface Caller {
  readonly person: Actor;
  readonly roles: readonly string[];
}

const Claims = z.object({
  tid: z.string(),
  oid: z.string().min(1),
  roles: z.array(z.string()).default([]),
  idtyp: z.string().optional(),
  scp: z.string().optional(),
  azp: z.string().optional(),
  name: z.string().optional(),
  preferred_username: z.string().optional(),
});

/** Tells who sent a request, from its Authorization header. */
export type Authenticate = (authorization: string | undefined) => Promise<Caller>;

/**
 * Makes the check of access tokens. What it returns rejects with `ApiError`: `Unauthenticated`, `TokenExpired`, or
 * `AzureUnavailable` when the signing keys cannot be fetched.
 */
export function authenticator(
  settings: Pick<AuthSettings, 'issuer' | 'audience' | 'tenantId'>,
  keySet: JWTVerifyGetKey,
  clock: () => Date,
): Authenticate {
  return async (authorization) => {
    const token = bearerToken(authorization);
    const payload = await verify(token, settings, keySet, clock);
    const claims = Claims.safeParse(payload);
    if (!claims.success)
      throw invalidToken(
        'The access token lacks tid or oid, or its roles are no list: it is not an Entra v2.0 token for this API.',
      );
    if (claims.data.tid.toLowerCase() !== settings.tenantId.toLowerCase()) {
      throw invalidToken(`The access token is of another tenant than ${settings.tenantId}.`);
    }
    return { person: actorOf(claims.data), roles: claims.data.roles };
  };
}

function bearerToken(authorization: string | undefined): string {
  if (authorization === undefined) {
    throw new ApiError(
      { code: 'Unauthenticated', detail: 'Send an access token in the header "Authorization: Bearer …".' },
      { headers: { 'WWW-Authenticate': 'Bearer realm="keyturn"' } },
    );
  }
  const token = /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization)?.[1];
  if (token === undefined) throw invalidToken('The Authorization header is not "Bearer" and one signed token.');
  return token;
}

async function verify(
  token: string,
  { issuer, audience }: Pick<AuthSettings, 'issuer' | 'audience'>,
  keySet: JWTVerifyGetKey,
  clock: () => Date,
): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, keySet, {
      issuer,
      audience,
      algorithms: ['RS256'],
      clockTolerance: CLOCK_TOLERANCE_IN_SECONDS,
      currentDate: clock(),
      requiredClaims: ['exp', 'tid', 'oid'],
    });
    return payload;
  } catch (error) {
    throw refusal(error, { issuer, audience });
  }
}

function refusal(error: unknown, { issuer, audience }: Pick<AuthSettings, 'issuer' | 'audience'>): unknown {
  if (error instanceof KeySetUnavailable) {
    return new ApiError(
      {
        code: 'AzureUnavailable',
        detail:
          'The keys that Entra signs access tokens with cannot be fetched, so no token can be checked. Nothing was changed. Send the same request again.',
      },
      { cause: error },
    );
  }
  if (error instanceof errors.JWTExpired) {
    const expiry = new Date((error.payload.exp ?? 0) * 1000).toISOString();
    return invalidToken(`The access token expired at ${expiry}. Get a new one.`, {
      code: 'TokenExpired',
      cause: error,
    });
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    const expected: Record<string, string> = {
      iss: `The access token is of another issuer than ${issuer}. Ask Entra for a v2.0 token (requestedAccessTokenVersion 2) of the right tenant.`,
      aud: `The access token is for another audience than ${audience}.`,
      nbf: 'The access token is not valid yet. Compare the clocks.',
    };
    return invalidToken(expected[error.claim] ?? `The access token has no usable claim "${error.claim}".`, {
      cause: error,
    });
  }
  if (error instanceof errors.JOSEError) {
    return invalidToken("The signature of the access token is not one of this tenant's (RS256).", { cause: error });
  }
  return error;
}

function invalidToken(
  detail: string,
  options: { readonly code?: 'TokenExpired'; readonly cause?: unknown } = {},
): ApiError {
  // RFC 6750 3.1: an expired token is an invalid one.
  const challenge = `Bearer realm="keyturn", error="invalid_token", error_description="${detail.replaceAll(/[^ !#-[\]-~]/g, '')}"`;
  return new ApiError(
    { code: options.code ?? 'Unauthenticated', detail },
    { cause: options.cause, headers: { 'WWW-Authenticate': challenge } },
  );
}

function actorOf(claims: z.infer<typeof Claims>): Actor {
  // `idtyp` is an optional claim; without it an app-only token is known by having no delegated scope.
  const isApp = claims.idtyp === 'app' || claims.scp === undefined;
  const name =
    claims.name ?? claims.preferred_username ?? (claims.azp === undefined ? claims.oid : `app ${claims.azp}`);
  return { tenantId: claims.tid, objectId: claims.oid, name: readable(name), type: isApp ? 'app' : 'user' };
}

/** A name without control and line-breaking characters: it is written into logs and pages. */
function readable(name: string): string {
  return (
    name
      .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ')
      .trim()
      .slice(0, LONGEST_NAME) || 'unnamed'
  );
}
