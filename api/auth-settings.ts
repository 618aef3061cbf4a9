/** Which access tokens the API accepts: environment variables, with Entra's values as defaults. */
import type { JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import type { Cloud } from '../domain/clouds';
import { Role } from '../domain/people';
import { oneOf, text, wholeNumber } from '../settings/environment';
import { issuerOf, keySetUrl } from './key-set';

/** Signatures with the issuer's private key. Symmetric ones and `none` are not among them: anybody could make those. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const;
/** The issuer stands where Entra's people have their tenant, which has this much room. */
const LONGEST_ISSUER = 100;

/** What a token must be like, and how it is read. */
export interface TokenRules {
  /** The `iss`, exactly. */
  readonly issuer: string;
  readonly audience: string;
  /** Entra: the tenant that `tid` must name. Absent for other issuers, whose people belong to the issuer. */
  readonly tenantId?: string;
  readonly algorithm: (typeof ALGORITHMS)[number];
  /** The scope that a person's token must have. */
  readonly scope: string;
  /** Since `iat`. */
  readonly maximumAgeInSeconds: number;
  /** Client ids whose tokens may carry a decision, in lower case. Absent: every client's. */
  readonly approvalClients?: readonly string[];
  /** Names of claims; a dot leads into an object. */
  readonly claims: { readonly subject: string; readonly roles: string; readonly groups?: string };
  /** Groups whose members hold a role. */
  readonly groupsOf: Readonly<Record<Role, readonly string[]>>;
}

/** Which tokens are accepted, and where the keys are that sign them. */
export interface AuthSettings extends TokenRules {
  /** Fetched through HTTPS_PROXY when that is set. Absent: the issuer's metadata names it. */
  readonly jwksUrl?: string;
  /** How long the last known keys are used while the issuer does not answer. */
  readonly keysKeptInMs: number;
  /** Looks keys up in another way than by `jwksUrl`. */
  readonly keySet?: JWTVerifyGetKey;
}

/** The variables of this file. */
export const AuthVariables = {
  KEYTURN_AUTH_ISSUER: url()
    .max(LONGEST_ISSUER, { error: `must have ${LONGEST_ISSUER} characters at most` })
    .optional(),
  KEYTURN_AUTH_KEYS_URL: url().optional(),
  KEYTURN_AUTH_ALGORITHM: oneOf(ALGORITHMS, 'RS256'),
  KEYTURN_AUTH_SCOPE: text('access_as_user'),
  KEYTURN_AUTH_MAX_AGE_SECONDS: wholeNumber({ min: 60, max: 86_400, fallback: 43_200 }),
  KEYTURN_AUTH_KEYS_KEPT_SECONDS: wholeNumber({ min: 600, max: 86_400, fallback: 14_400 }),
  KEYTURN_AUTH_SUBJECT_CLAIM: z.string().optional(),
  KEYTURN_AUTH_ROLES_CLAIM: text('roles'),
  KEYTURN_AUTH_GROUPS_CLAIM: text('groups'),
  KEYTURN_AUTH_READER_GROUPS: list(),
  KEYTURN_AUTH_OPERATOR_GROUPS: list(),
  KEYTURN_AUTH_APPROVER_GROUPS: list(),
  KEYTURN_AUTH_BREAK_GLASS_GROUPS: list(),
  KEYTURN_APPROVAL_CLIENTS: list(),
};

/**
 * What the variables say. Without an issuer of their own, tokens are Entra's.
 * @param options.readsGroups whether groups are of use though no role is given to any
 */
export function authSettings(
  variables: z.infer<z.ZodObject<typeof AuthVariables>>,
  {
    cloud,
    tenantId,
    audience,
    readsGroups,
  }: { readonly cloud: Cloud; readonly tenantId?: string; readonly audience: string; readonly readsGroups: boolean },
): AuthSettings {
  const groupsOf = {
    [Role.Reader]: variables.KEYTURN_AUTH_READER_GROUPS,
    [Role.Operator]: variables.KEYTURN_AUTH_OPERATOR_GROUPS,
    [Role.Approver]: variables.KEYTURN_AUTH_APPROVER_GROUPS,
    [Role.BreakGlass]: variables.KEYTURN_AUTH_BREAK_GLASS_GROUPS,
  };
  const approvalClients = variables.KEYTURN_APPROVAL_CLIENTS.map((client) => client.toLowerCase());
  const own = variables.KEYTURN_AUTH_ISSUER;
  return {
    issuer: own ?? issuerOf(cloud, tenantId ?? ''),
    audience,
    tenantId: own === undefined ? tenantId : undefined,
    jwksUrl: variables.KEYTURN_AUTH_KEYS_URL ?? (own === undefined ? keySetUrl(cloud, tenantId ?? '') : undefined),
    keysKeptInMs: variables.KEYTURN_AUTH_KEYS_KEPT_SECONDS * 1000,
    algorithm: variables.KEYTURN_AUTH_ALGORITHM,
    scope: variables.KEYTURN_AUTH_SCOPE,
    maximumAgeInSeconds: variables.KEYTURN_AUTH_MAX_AGE_SECONDS,
    approvalClients: approvalClients.length === 0 ? undefined : approvalClients,
    claims: {
      subject: variables.KEYTURN_AUTH_SUBJECT_CLAIM ?? (own === undefined ? 'oid' : 'sub'),
      roles: variables.KEYTURN_AUTH_ROLES_CLAIM,
      groups:
        Object.values(groupsOf).flat().length === 0 && !readsGroups ? undefined : variables.KEYTURN_AUTH_GROUPS_CLAIM,
    },
    groupsOf,
  };
}

/** An https URL, exactly as it is written: an issuer may end in a slash. */
function url(): z.ZodString {
  return z.string().refine(isSafeUrl, { error: 'must be an https URL without user, query and fragment' });
}

function isSafeUrl(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, hostname, search, hash, username, password } = new URL(value);
  const loopback = ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);
  return (
    (protocol === 'https:' || (protocol === 'http:' && loopback)) && `${search}${hash}${username}${password}` === ''
  );
}

/** Words with commas between them. */
function list(): z.ZodType<readonly string[], string | undefined> {
  return z
    .string()
    .default('')
    .transform((words) =>
      words
        .split(',')
        .map((word) => word.trim())
        .filter((word) => word !== ''),
    );
}
