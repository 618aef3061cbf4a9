/**
 * What follows from the policy. Pure: the same policy, caller and cluster always give the same answer.
 *
 * Does: allows what a rule gives; what no rule gives is refused. Without a policy the roles of the token decide, on every cluster.
 * Never does: take a right away: rules only add up, so that their order means nothing.
 */
import { parseClusterId } from '../../domain/resource-ids';
import { covers, EVERYWHERE, fittingScopes, widest } from '../../domain/scope';
import { ALL, type Policy, type Right } from './policy';

/** Who asks, as the token says. */
export interface Subject {
  readonly objectId: string;
  readonly roles: readonly string[];
  readonly groups: readonly string[];
}

/** What is asked about. */
export interface Target {
  /** ARM resource id of the cluster, or of another resource that a plan for it changes. */
  readonly cluster: string;
  /** Absent: whatever kind. */
  readonly kind?: string;
}

/** Operations that a caller may read. */
export interface Grant {
  /** Absent: all. */
  readonly kinds?: readonly string[];
  /** The ARM id of a subscription, resource group or cluster, in lower case. Absent: everywhere. */
  readonly scope?: string;
}

/** Which right includes which: one who may not read what they decide on, decides blindly. */
const INCLUDED_IN: Readonly<Record<Right, readonly Right[]>> = {
  request: ['request'],
  approve: ['approve'],
  'break-glass': ['break-glass'],
  read: ['read', 'request', 'approve', 'break-glass'],
};
/** A program's request needs more approvals: the person who had it ask may be one of the approvers. */
const MORE_FOR_PROGRAMS = 1;
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** Whether a caller has a right. */
export function mayDo(policy: Policy | undefined, who: Subject, right: Right, { cluster, kind }: Target): boolean {
  if (policy === undefined) return true;
  return rulesFor(policy, who, right).some(
    ({ kinds, scopes }) => (kind === undefined || has(kinds, kind)) && scopes.some((scope) => covers(scope, cluster)),
  );
}

/** All that a caller may read; undefined when that is everything. */
export function readable(policy: Policy | undefined, who: Subject): readonly Grant[] | undefined {
  if (policy === undefined) return undefined;
  const grants = rulesFor(policy, who, 'read').flatMap(({ kinds, scopes }) =>
    scopes.filter(coversClusters).map((scope): Grant => {
      const ofKinds = kinds.includes(ALL) ? {} : { kinds: [...kinds].sort() };
      return { ...ofKinds, ...(scope === ALL ? {} : { scope: scope.toLowerCase() }) };
    }),
  );
  if (grants.some(({ kinds, scope }) => kinds === undefined && scope === undefined)) return undefined;
  return grants.filter(
    (grant, index) => grants.findIndex((one) => JSON.stringify(one) === JSON.stringify(grant)) === index,
  );
}

/**
 * Where a caller may ask for a kind, as it travels with the request: what the plan changes outside the cluster must lie there.
 * @returns the scopes, and how many more there was no room for
 */
export function requestScopes(
  policy: Policy | undefined,
  who: Subject,
  { cluster, kind }: Required<Target>,
): { readonly scopes: readonly string[]; readonly left: number } {
  if (policy === undefined) return { scopes: [EVERYWHERE], left: 0 };
  const all = rulesFor(policy, who, 'request').flatMap(({ kinds, scopes }) => (has(kinds, kind) ? scopes : []));
  // A right on one cluster is none on anything else.
  const elsewhere = widest(all).filter((scope) => parseClusterId(scope) === undefined);
  const scopes = fittingScopes(elsewhere, cluster);
  return { scopes, left: elsewhere.length - scopes.length };
}

/** Whether there can be a cluster in a scope: not in a vault. */
function coversClusters(scope: string): boolean {
  return parseClusterId(scope) !== undefined || !scope.toLowerCase().includes('/providers/');
}

/** Whether an operation is among those. */
export function isReadable(grants: readonly Grant[] | undefined, { cluster, kind }: Required<Target>): boolean {
  if (grants === undefined) return true;
  return grants.some(({ kinds = [ALL], scope = ALL }) => has(kinds, kind) && covers(scope, cluster));
}

/** How many approvals a request needs: never fewer than any party asks for. */
export function approvalsFor(
  policy: Policy | undefined,
  request: Required<Target> & {
    /** Of the cluster, as ARM has them. */
    readonly tags: Readonly<Record<string, string>>;
    /** Whether a program asks, and names no person. */
    readonly byProgram: boolean;
    /** What the request wants at least. */
    readonly asked?: number;
    /** The setting of the service. */
    readonly atLeast: number;
  },
): number {
  const { cluster, kind, tags, byProgram, asked = 1, atLeast } = request;
  const { required = 1, more = [] } = policy?.approvals ?? {};
  const special = more
    .filter(
      (rule) =>
        has(rule.kinds ?? [ALL], kind) &&
        (rule.scopes ?? [ALL]).some((scope) => covers(scope, cluster)) &&
        Object.entries(rule.tags ?? {}).every(([name, value]) => hasTag(tags, name, value)),
    )
    .map((rule) => rule.required);
  const byPolicy = Math.max(required, atLeast, ...special) + (byProgram ? MORE_FOR_PROGRAMS : 0);
  return Math.max(byPolicy, asked);
}

/** The object id of the person whose second account this is; undefined when the policy names none. */
export function personOf(policy: Policy | undefined, objectId: string): string | undefined {
  return policy?.people.find(({ accounts }) =>
    accounts.some((account) => account.toLowerCase() === objectId.toLowerCase()),
  )?.id;
}

function rulesFor(policy: Policy, who: Subject, right: Right): Policy['rules'] {
  return policy.rules.filter(({ may, who: { roles = [], groups = [], ids = [] } }) => {
    const isMeant =
      roles.some((role) => who.roles.includes(role)) ||
      groups.some((group) => who.groups.some((one) => sameId(one, group))) ||
      ids.some((id) => sameId(id, who.objectId));
    return isMeant && INCLUDED_IN[right].some((one) => may.includes(one));
  });
}

function has(kinds: readonly string[], kind: string): boolean {
  return kinds.includes(ALL) || kinds.includes(kind);
}

/** ARM compares names of tags without regard to case. A value of other case counts too: that gives more approvals, never fewer. */
function hasTag(tags: Readonly<Record<string, string>>, name: string, value: string): boolean {
  return Object.entries(tags).some(
    ([one, given]) => one.toLowerCase() === name.toLowerCase() && given.toLowerCase() === value.toLowerCase(),
  );
}

/** Ids of Entra have no case. Another issuer may tell "team" from "Team". */
function sameId(a: string, b: string): boolean {
  return a === b || (UUID.test(a) && UUID.test(b) && a.toLowerCase() === b.toLowerCase());
}
