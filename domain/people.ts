/** People and programs that ask and approve, as Entra names them. */
import { z } from 'zod';

/** The app roles of Keyturn in Entra. */
export const Role = { Reader: 'Kms.Reader', Operator: 'Kms.Operator', Approver: 'Kms.Approver' } as const;
/** One app role. */
export type Role = (typeof Role)[keyof typeof Role];

/** Who did something. The identity is `tenantId` and `objectId`; the name is for reading only and may change. */
export const Person = z.object({
  tenantId: z.string(),
  objectId: z.string(),
  name: z.string(),
  /** `app`: a program with a token of its own (it may ask, never approve). `user`: a person. */
  type: z.enum(['user', 'app']),
});
/** Who did something. */
export type Person = z.infer<typeof Person>;

/** Whether two are the same: by tenant and object id, never by name. */
export function samePerson(a: Person, b: Person): boolean {
  return a.tenantId === b.tenantId && a.objectId === b.objectId;
}
