/** People and programs that ask and approve, as Entra or another OpenID Connect issuer names them. */
import { z } from 'zod';
import type { Fault } from './errors';

/** The app roles of Keyturn in Entra. */
export const Role = {
  Reader: 'Kms.Reader',
  Operator: 'Kms.Operator',
  Approver: 'Kms.Approver',
  /** May pass a gate alone, in an emergency, with a reason. */
  BreakGlass: 'Kms.BreakGlass',
} as const;
/** One app role. */
export type Role = (typeof Role)[keyof typeof Role];

/**
 * An account. The identity is `tenantId` and `objectId`, for another issuer than Entra its URL and its subject; the name
 * is for reading only and may change.
 */
const Account = z.object({
  tenantId: z.string().min(1).max(100),
  objectId: z.string().min(1).max(100),
  name: z.string().max(500),
  /** `app`: a program with its own token (it may ask, never approve). `user`: a person. */
  type: z.enum(['user', 'app']),
  /** The object id of the person whose second account this is, by the policy file: an admin account, for example. */
  person: z.string().min(1).max(100).optional(),
});
type Account = z.infer<typeof Account>;

/** Who did something. */
export const Actor = Account.extend({
  /** The person who has a program ask, by a token of that person. */
  onBehalfOf: Account.optional(),
});
/** Who did something. */
export type Actor = z.infer<typeof Actor>;

/**
 * Whether two accounts are of one person or program: by tenant and object id, without regard to case, never by name. All accounts of
 * one person are the same actor.
 */
export function sameActor(a: Account, b: Account): boolean {
  return same(a.tenantId, b.tenantId) && idsOf(a).some((id) => idsOf(b).some((other) => same(id, other)));
}

/** Whether an actor is behind a request: as the requester, or as the person whom a program names. */
export function isBehind(by: Actor, requester: Actor): boolean {
  const { onBehalfOf } = requester;
  return sameActor(by, requester) || (onBehalfOf !== undefined && sameActor(by, onBehalfOf));
}

/** The requester in words. */
export function requesterName({ name, onBehalfOf }: Actor): string {
  return onBehalfOf === undefined ? name : `${name} (on behalf of ${onBehalfOf.name})`;
}

/** Whether a role is in the list of an actor's roles: as a whole entry, never as part of a text. */
export function holdsRole(roles: unknown, role: Role): boolean {
  return Array.isArray(roles) && roles.includes(role);
}

/**
 * Four eyes: whether a person may decide on what another one asked for. A program may not, nor may a person without the role, nor the
 * requester where the decision lets something happen.
 * @param options.requester who may not decide, and what another approver must do instead; absent where the requester may
 * @param options.breakGlass whether the person breaks the glass: that takes a role of its own, and the requester may
 * @returns why not; undefined when the person may
 */
export function approverFault(
  by: Actor,
  roles: unknown,
  {
    requester,
    breakGlass = false,
  }: { readonly requester?: { readonly is: Actor; readonly instead: string }; readonly breakGlass?: boolean },
): Fault | undefined {
  if (by.type !== 'user') {
    return {
      code: 'ProgramCannotApprove',
      detail: `${by.name} is a program. Sign in as a person who holds ${Role.Approver}.`,
    };
  }
  const needed = breakGlass ? Role.BreakGlass : Role.Approver;
  if (!holdsRole(roles, needed)) {
    return { code: 'RoleMissing', detail: `${by.name} does not hold the role ${needed}.` };
  }
  if (!breakGlass && requester && isBehind(by, requester.is)) {
    return {
      code: 'RequesterCannotApprove',
      detail: `${by.name} asked for this operation${whichWay(by, requester.is)}; another approver must ${requester.instead}.`,
    };
  }
  return undefined;
}

/** How the requester asked, where that is not with the account at hand. */
function whichWay(by: Actor, requester: Actor): string {
  if (same(by.objectId, requester.objectId)) return '';
  return sameActor(by, requester) ? ` with the account ${requester.name}` : ` through ${requester.name}`;
}

function idsOf({ objectId, person }: Account): string[] {
  return person === undefined ? [objectId] : [objectId, person];
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
