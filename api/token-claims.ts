/**
 * Who a token speaks for: reads the person or program, and its roles, from claims whose signature was checked.
 *
 * Does: tells a person's token (delegated, with the scope of this API) from a program's (app-only), and refuses any other kind.
 * Never does: trust a name. The identity is tenant and object id; `name` is for reading.
 */
import type { JWTPayload } from 'jose';
import { z } from 'zod';
import { type Actor, Role } from '../domain/people';
import type { TokenRules } from './auth-settings';
import { LoginRefused } from './login-refused';

const LONGEST_NAME = 100;
const LONGEST_ID = 100;

/** Who is asking. */
export interface Caller {
  readonly person: Actor;
  readonly roles: readonly string[];
  /** Groups that the token names; empty when nothing reads them. */
  readonly groups: readonly string[];
  /** The application that got the token. */
  readonly clientId?: string;
  /** Whether that application may carry decisions of people. */
  readonly approvalClient: boolean;
}

const Words = z.union([z.string().transform((text) => text.split(' ').filter(Boolean)), z.array(z.string())]);

const Claims = z.looseObject({
  sub: z.string().optional(),
  idtyp: z.string().optional(),
  /** Entra's and Okta's name for it. */
  scp: Words.optional(),
  /** RFC 9068. */
  scope: Words.optional(),
  /** The client: v2.0 and OpenID Connect, v1.0, RFC 9068. */
  azp: z.string().optional(),
  appid: z.string().optional(),
  client_id: z.string().optional(),
  name: z.string().optional(),
  preferred_username: z.string().optional(),
});
type Claims = z.infer<typeof Claims>;

/**
 * Reads the caller from verified claims.
 * @throws LoginRefused when the token is of another tenant or kind, or lacks the scope
 */
export function callerOf(payload: JWTPayload, rules: TokenRules): Caller {
  const parsed = Claims.safeParse(payload);
  const held = parsed.success ? rolesOf(payload, rules) : undefined;
  const subject = memberOf(payload, rules.claims.subject);
  if (!parsed.success || held === undefined || !isId(subject)) {
    throw new LoginRefused(
      'claims',
      `The claim "${rules.claims.subject}" of the access token is unusable, its roles are no list, or another claim has the wrong form: it is not a token for this API.`,
    );
  }
  const claims = parsed.data;
  if (rules.tenantId !== undefined && String(payload.tid).toLowerCase() !== rules.tenantId.toLowerCase())
    throw new LoginRefused('tenant', `The access token is of another tenant than ${rules.tenantId}.`);
  const clientId = claims.azp ?? claims.appid ?? claims.client_id;
  const type = typeOf(claims, clientId, rules);
  const objectId = rules.tenantId === undefined ? subject : subject.toLowerCase();
  const name = claims.name ?? claims.preferred_username ?? (clientId === undefined ? objectId : `app ${clientId}`);
  return {
    // Entra's ids have no case, so one person has one id however a token writes it.
    person: {
      tenantId: rules.tenantId?.toLowerCase() ?? rules.issuer,
      objectId,
      name: readable(name),
      type,
    },
    ...held,
    clientId,
    approvalClient:
      rules.approvalClients === undefined ||
      (clientId !== undefined && rules.approvalClients.includes(clientId.toLowerCase())),
  };
}

function typeOf(claims: Claims, clientId: string | undefined, rules: TokenRules): Actor['type'] {
  const scopes = claims.scp ?? claims.scope ?? [];
  const isIdToken =
    [claims.at_hash, claims.c_hash].some((hash) => hash !== undefined) ||
    claims.typ === 'ID' ||
    (scopes.length === 0 && claims.nonce !== undefined);
  if (!isIdToken && isProgram(claims, clientId, scopes, rules)) return 'app';
  if (isIdToken || scopes.length === 0) {
    throw new LoginRefused(
      'kind',
      `The token is neither a person's access token with the scope ${rules.scope} nor a program's own: an ID token, for example, is for the application that a person signs in to. Ask for an access token for ${rules.audience}.`,
    );
  }
  if (!scopes.includes(rules.scope)) {
    throw new LoginRefused(
      'scope',
      `The access token lacks the scope ${rules.scope}. Ask for it, and have the client application permitted to use it.`,
      { code: 'ScopeMissing' },
    );
  }
  return 'user';
}

/** What marks an app-only token. A token without a scope is not one for that alone: an ID token has none either. */
function isProgram(
  claims: Claims,
  clientId: string | undefined,
  scopes: readonly string[],
  { tenantId }: TokenRules,
): boolean {
  if (claims.idtyp !== undefined) return claims.idtyp === 'app';
  if (clientId === undefined || claims.sub === undefined) return false;
  // Entra: `idtyp` is an optional claim; without it, `oid` and `sub` of app-only tokens alone are equal.
  if (tenantId !== undefined)
    return scopes.length === 0 && claims.sub.toLowerCase() === String(claims.oid).toLowerCase();
  // RFC 9068 2.2 has the client as the subject; Auth0 and Keycloak have marks of their own.
  return (
    [clientId, `${clientId}@clients`].includes(claims.sub) ||
    claims.gty === 'client-credentials' ||
    claims.preferred_username === `service-account-${clientId.toLowerCase()}`
  );
}

/** Keyturn's roles that the token names, or that its groups hold, and the groups; undefined when one of the two is no list of texts. */
function rolesOf(payload: JWTPayload, { claims, groupsOf }: TokenRules): Pick<Caller, 'roles' | 'groups'> | undefined {
  const Names = z.array(z.string()).default([]);
  const named = Names.safeParse(memberOf(payload, claims.roles));
  const groups = Names.safeParse(claims.groups === undefined ? undefined : memberOf(payload, claims.groups));
  if (!named.success || !groups.success) return undefined;
  const roles = Object.values(Role).filter(
    (role) => named.data.includes(role) || groupsOf[role].some((group) => groups.data.includes(group)),
  );
  return { roles, groups: groups.data };
}

/** A claim by its name, or by its path: Keycloak's roles are at `realm_access.roles`. */
function memberOf(payload: JWTPayload, name: string): unknown {
  if (Object.hasOwn(payload, name)) return payload[name];
  let value: unknown = payload;
  for (const part of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

/** Whether a claim can be an object id: short, and without control characters. */
function isId(subject: unknown): subject is string {
  return typeof subject === 'string' && subject.length <= LONGEST_ID && /^\P{C}+$/u.test(subject);
}

/** A name without control and line-breaking characters: it is written into logs and pages. */
function readable(name: string): string {
  const clean = name.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, ' ').trim();
  return [...clean].slice(0, LONGEST_NAME).join('') || 'unnamed';
}
