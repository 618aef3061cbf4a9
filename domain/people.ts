/** People and programs that ask and approve, as Entra names them. */
import { z } from 'zod';

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

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
