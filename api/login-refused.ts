/** Why a token is not accepted: the one form of every refused login. */
import { decodeJwt, errors } from 'jose';
import type { ErrorCode } from '../domain/errors';
import { KeySetUnavailable } from './key-set';
import { ApiError } from './problem';
import type { TokenRules } from './auth-settings';

/** Microsoft Graph's id and URL, the two forms of its `aud`. */
const GRAPH = ['00000003-0000-0000-c000-000000000000', 'https://graph.microsoft.com'];
/** Claims that say whose token it is, none of which is a secret. */
const SHOWN_CLAIMS = ['iss', 'aud', 'tid', 'oid', 'sub', 'azp', 'appid', 'idtyp', 'ver'] as const;
const LONGEST_SHOWN = 200;

/** A word for the log: what about the token is wrong. */
export type LoginFault =
  | 'missing'
  | 'malformed'
  | 'signature'
  | 'issuer'
  | 'audience'
  | 'tenant'
  | 'time'
  | 'age'
  | 'claims'
  | 'kind'
  | 'scope'
  | 'keys';

/** A request that is refused because of its token. */
export class LoginRefused extends ApiError {
  constructor(
    readonly fault: LoginFault,
    detail: string,
    options: {
      readonly code?: ErrorCode;
      readonly cause?: unknown;
      readonly challenge?: string;
      readonly retryAfterInSeconds?: number;
    } = {},
  ) {
    const { code = 'Unauthenticated', cause, retryAfterInSeconds } = options;
    super({ code, detail }, { cause, retryAfterInSeconds, headers: challengeOf(code, detail, options.challenge) });
    this.name = 'LoginRefused';
  }
}

function challengeOf(code: ErrorCode, detail: string, challenge?: string): Record<string, string> {
  if (code === 'IssuerUnavailable') return {};
  // RFC 6750 3.1: an expired token is an invalid one.
  const error = code === 'ScopeMissing' ? 'insufficient_scope' : 'invalid_token';
  const description = detail.replaceAll(/[^ !#-[\]-~]/g, '');
  return {
    'WWW-Authenticate': challenge ?? `Bearer realm="keyturn", error="${error}", error_description="${description}"`,
  };
}

/** What a token claims about itself, for the log. Nothing of it is verified; its signature is left out. */
export function claimedBy(authorization: string | undefined): Record<string, string> | undefined {
  const claims = unverifiedClaims(authorization?.split(' ').at(-1) ?? '');
  if (claims === undefined) return undefined;
  return Object.fromEntries(
    SHOWN_CLAIMS.filter((name) => claims[name] !== undefined).map((name) => [
      name,
      String(claims[name]).slice(0, LONGEST_SHOWN),
    ]),
  );
}

/** What jose found wrong with a token, in words. Other errors come back as they are. */
export function refusalOf(error: unknown, token: string, rules: TokenRules): unknown {
  if (error instanceof KeySetUnavailable) {
    return new LoginRefused(
      'keys',
      'The keys that the issuer signs access tokens with cannot be fetched, so this token cannot be checked. Nothing was changed. Send the same request again.',
      { code: 'IssuerUnavailable', cause: error, retryAfterInSeconds: error.retryAfterInSeconds },
    );
  }
  if (error instanceof errors.JWTExpired) {
    if (error.claim === 'iat') {
      return new LoginRefused(
        'age',
        `The access token was issued at ${timeOf(error.payload.iat)}, and this API takes tokens for ${rules.maximumAgeInSeconds} s. Get a new one.`,
        { code: 'TokenExpired', cause: error },
      );
    }
    return new LoginRefused('time', `The access token expired at ${timeOf(error.payload.exp)}. Get a new one.`, {
      code: 'TokenExpired',
      cause: error,
    });
  }
  if (error instanceof errors.JWTClaimValidationFailed) return claimRefusal(error.claim, error.payload, rules) ?? error;
  if (error instanceof errors.JOSEError) {
    // A Graph token's signature never fits, and its audience says more.
    const elsewhere = claimRefusal(wrongAddress(unverifiedClaims(token), rules), unverifiedClaims(token), rules);
    return (
      elsewhere ??
      new LoginRefused(
        'signature',
        `The signature of the access token is not one of the issuer's (${rules.algorithm}).`,
        {
          cause: error,
        },
      )
    );
  }
  return error;
}

function claimRefusal(
  claim: string | undefined,
  claims: Readonly<Record<string, unknown>> | undefined,
  { issuer, audience, tenantId }: TokenRules,
): LoginRefused | undefined {
  switch (claim) {
    case undefined:
      return undefined;
    case 'iss':
      return new LoginRefused(
        'issuer',
        `The access token is of another issuer than ${issuer}.${tenantId === undefined ? '' : ' Ask Entra for a v2.0 token (requestedAccessTokenVersion 2) of the right tenant.'}`,
      );
    case 'aud':
      return new LoginRefused(
        'audience',
        `The access token is for ${GRAPH.includes(String(claims?.aud).replace(/\/$/, '')) ? 'Microsoft Graph' : 'another audience'}, and this API needs one for ${audience}. Ask for the scope of this API.`,
      );
    case 'nbf':
      return new LoginRefused('time', 'The access token is not valid yet. Compare the clocks.');
    case 'iat':
      return claims?.iat === undefined
        ? new LoginRefused('claims', 'The access token has no usable claim "iat".')
        : new LoginRefused('time', 'The access token was issued in the future. Compare the clocks.');
    default:
      return new LoginRefused('claims', `The access token has no usable claim "${claim}".`);
  }
}

function wrongAddress(
  claims: Readonly<Record<string, unknown>> | undefined,
  { issuer, audience }: TokenRules,
): 'iss' | 'aud' | undefined {
  if (claims === undefined) return undefined;
  if (typeof claims.aud === 'string' && claims.aud !== audience) return 'aud';
  return typeof claims.iss === 'string' && claims.iss !== issuer ? 'iss' : undefined;
}

function unverifiedClaims(token: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return decodeJwt(token);
  } catch {
    return undefined;
  }
}

function timeOf(seconds: unknown): string {
  const time = new Date(Number(seconds) * 1000);
  return Number.isNaN(time.getTime()) ? 'an unknown time' : time.toISOString();
}
