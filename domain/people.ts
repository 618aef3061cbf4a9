/** People and programs that ask and approve, as Entra names them. */
import { z } from 'zod';
import type { Fault } from './errors';

/** The app roles of Keyturn in Entra. */
export const Role = { Reader: 'Kms.Reader', Operator: 'Kms.Operator', Approver: 'Kms.Approver' } as const;
/** One app role. */
export type Role = (typeof Role)[keyof typeof Role];

/** Who did something. The identity is `tenantId` and `objectId`; the name is for reading only and may change. */
export const Actor = z.object({
  tenantId: z.string().min(1).max(100),
  objectId: z.string().min(1).max(100),
  name: z.string().max(500),
  /** `app`: a program with its own token (it may ask, never approve). `user`: a person. */
  type: z.enum(['user', 'app']),
});
/** Who did something. */
export type Actor = z.infer<typeof Actor>;

/** Whether two actors are the same: by tenant and object id, without regard to case, never by name. */
export function sameActor(a: Actor, b: Actor): boolean {
  return same(a.tenantId, b.tenantId) && same(a.objectId, b.objectId);
}

/** Whether a role is in the list of an actor's roles: as a whole entry, never as part of a text. */
export function holdsRole(roles: unknown, role: Role): boolean {
  return Array.isArray(roles) && roles.includes(role);
}

/**
 * Four eyes: whether a person may decide on what another one asked for. A program may not, nor may a person without the role, nor the
 * requester where the decision lets something happen.
 * @param options.requester who may not decide, and what another approver must do instead; absent where the requester may
 * @returns why not; undefined when the person may
 */
export function approverFault(
  by: Actor,
  roles: unknown,
  { requester }: { readonly requester?: { readonly is: Actor; readonly instead: string } },
): Fault | undefined {
  if (by.type !== 'user') {
    return {
      code: 'ProgramCannotApprove',
      detail: `${by.name} is a program. Sign in as a person who holds ${Role.Approver}.`,
    };
  }
  if (!holdsRole(roles, Role.Approver)) {
    return { code: 'RoleMissing', detail: `${by.name} does not hold the role ${Role.Approver}.` };
  }
  if (requester && sameActor(by, requester.is)) {
    return {
      code: 'RequesterCannotApprove',
      detail: `${by.name} asked for this operation; another approver must ${requester.instead}.`,
    };
  }
  return undefined;
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
