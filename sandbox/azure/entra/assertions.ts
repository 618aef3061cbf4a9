/**
 * Workload identity federation: a token of another issuer in the place of a secret.
 *
 * Needs: the directory, federated credentials, the published keys of issuers.
 * Does: finds the credential that the assertion matches byte for byte, then verifies the signature against the keys that the issuer
 *       publishes now, and the times.
 * Never does: accept an issuer, subject or audience that is only similar. The texts are Entra's, as people have quoted them
 *       (azure-workload-identity#340, #1200, #1232; Azure/login#379, #515).
 */
import {
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  jwtVerify,
  type JWK,
  type JWTPayload,
} from 'jose';
import type { Directory, ServicePrincipal } from './directory';
import { applicationNotFound, EntraError } from './entra-error';
import type { FederatedCredential, FederatedCredentials } from './federated-credentials';

/** The one value of `client_assertion_type`. */
export const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const DOCUMENT = 'https://learn.microsoft.com/entra/workload-id/workload-identity-federation';
const CLOCK_TOLERANCE_IN_SECONDS = 300;

/** The keys that an issuer publishes now; undefined when nothing answers at its address. */
export type IssuerKeys = (issuer: string) => Promise<readonly JWK[] | undefined>;

/** What assertions are checked with. */
export interface AssertionSources {
  readonly directory: Directory;
  readonly federations: FederatedCredentials;
  readonly issuerKeys: IssuerKeys;
}

/** Who an assertion speaks for. @throws EntraError for the first thing that is wrong */
export async function principalOfAssertion(
  { directory, federations, issuerKeys }: AssertionSources,
  clientId: string,
  assertion: string,
): Promise<ServicePrincipal> {
  const { claims, keyId } = parsed(assertion);
  const principal = directory.findByAppId(clientId);
  if (principal === undefined) throw applicationNotFound(clientId, directory.tenantId);
  const credentials = federations.of(principal.objectId);
  if (credentials.length === 0) {
    throw new EntraError(
      401,
      'invalid_client',
      70025,
      `The client '${principal.appId}'(${principal.displayName}) has no configured federated identity credentials.`,
    );
  }
  checkMatch(credentials, claims);
  const issuer = claims.iss ?? '';
  const keys = await issuerKeys(issuer);
  if (keys === undefined) {
    throw new EntraError(400, 'invalid_request', 50166, 'Request to External OIDC endpoint failed.');
  }
  await verify(assertion, { keys, keyId, issuer, claims });
  return principal;
}

function parsed(assertion: string): { claims: JWTPayload; keyId: string } {
  try {
    return { claims: decodeJwt(assertion), keyId: decodeProtectedHeader(assertion).kid ?? '' };
  } catch {
    throw new EntraError(401, 'invalid_client', 50027, 'JWT token is invalid or malformed.');
  }
}

/** Issuer, then subject, then audience: what differs first is what Entra names. */
function checkMatch(credentials: readonly FederatedCredential[], { iss = '', sub = '', aud }: JWTPayload): void {
  const byIssuer = credentials.filter(({ issuer }) => issuer === iss);
  if (byIssuer.length === 0) throw noMatch(700211, 'issuer', iss, 'Please check');
  const bySubject = byIssuer.filter(({ subject }) => subject === sub);
  if (bySubject.length === 0) {
    if (byIssuer.some(({ subject }) => subject.toLowerCase() === sub.toLowerCase())) {
      const hint =
        'The subject matches with case-insensitive comparison, but not with case-sensitive comparison. Check';
      throw noMatch(7002138, 'subject', sub, hint);
    }
    throw noMatch(700213, 'subject', sub, 'Check');
  }
  const audiences = Array.isArray(aud) ? aud : [aud ?? ''];
  if (bySubject.some((one) => audiences.some((audience) => one.audiences.includes(audience)))) return;
  throw noMatch(700212, 'audience', audiences.join(','), 'Please check');
}

function noMatch(code: number, what: string, value: string, check: string): EntraError {
  return new EntraError(
    401,
    'invalid_client',
    code,
    `No matching federated identity record found for presented assertion ${what} '${value}'. ${check} your federated identity credential Subject, Audience and Issuer against the presented assertion. ${DOCUMENT}`,
  );
}

async function verify(
  assertion: string,
  {
    keys,
    keyId,
    issuer,
    claims,
  }: { readonly keys: readonly JWK[]; readonly keyId: string; readonly issuer: string; readonly claims: JWTPayload },
): Promise<void> {
  try {
    await jwtVerify(assertion, createLocalJWKSet({ keys: [...keys] }), {
      algorithms: ['RS256'],
      clockTolerance: CLOCK_TOLERANCE_IN_SECONDS,
    });
  } catch (error) {
    if (error instanceof errors.JWTExpired || error instanceof errors.JWTClaimValidationFailed) {
      throw new EntraError(
        401,
        'invalid_client',
        700024,
        `Client assertion is not within its valid time range. Current time: ${new Date().toISOString()}, assertion valid from ${timeOf(claims.nbf ?? claims.iat)}, expiry time of assertion ${timeOf(claims.exp)}. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials .`,
      );
    }
    if (error instanceof errors.JWKSNoMatchingKey) {
      throw new EntraError(
        401,
        'invalid_client',
        7000272,
        `The certificate with identifier ${keyId} used to sign the federated credential could not be found in the metadata of identity provider ${issuer}. Please validate that your Identity Provider's metadata exposes the key used to sign the incoming token.`,
      );
    }
    throw new EntraError(401, 'invalid_client', 700027, 'Client assertion failed signature validation.');
  }
}

function timeOf(seconds: number | undefined): string {
  return seconds === undefined ? '(none)' : new Date(seconds * 1000).toISOString();
}
