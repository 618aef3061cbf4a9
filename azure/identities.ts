/**
 * User-assigned managed identities, as ARM shows them.
 *
 * Does: reads which principal an identity stands for. An identity that was deleted and made again under the same name stands for
 *       another one, and grants of the old principal are worth nothing to it.
 * Does: makes one again that was deleted.
 * Never does: change or delete one.
 */
import { z } from 'zod';
import type { ArmClient } from './arm';
import type { CallOptions } from './call-options';
import { ArmError } from './errors';

const API_VERSION = '2024-11-30';

const IdentityBody = z.object({ properties: z.object({ principalId: z.string() }) });

/** What Azure says of an identity. */
export type IdentityLookup =
  | { readonly found: true; readonly principalId: string }
  /** `missing`: there is none of this name; `unknown`: Keyturn may not look. */
  | { readonly found: false; readonly state: 'missing' | 'unknown'; readonly why: string };

/** What Keyturn asks of managed identities. Everything throws `ArmError` or `TokenError`. */
export interface Identities {
  /** @param id ARM resource id */
  read(id: string, options?: CallOptions): Promise<IdentityLookup>;
  /** Makes the identity; one that is there stays as it is, but for its tags. @returns its principal */
  make(id: string, location: string, options?: CallOptions): Promise<{ principalId: string }>;
}

/** @param arm sends the requests */
export function createIdentities(arm: ArmClient): Identities {
  return {
    async make(id, location, { abortSignal } = {}) {
      const request = {
        method: 'PUT',
        url: `${id}?api-version=${API_VERSION}`,
        body: { location },
        abortSignal,
      } as const;
      const { body } = await arm.request(request);
      return { principalId: IdentityBody.parse(body).properties.principalId };
    },

    async read(id, { abortSignal } = {}) {
      const name = id.split('/').at(-1) ?? id;
      try {
        const { body } = await arm.request({ method: 'GET', url: `${id}?api-version=${API_VERSION}`, abortSignal });
        return { found: true, principalId: IdentityBody.parse(body).properties.principalId };
      } catch (error) {
        if (!(error instanceof ArmError)) throw error;
        if (error.status === 404) {
          return { found: false, state: 'missing', why: `Azure has no managed identity ${name} (${error.code}).` };
        }
        if (error.status !== 403) throw error;
        const why = `Keyturn may not read the managed identity ${name} (Microsoft.ManagedIdentity/userAssignedIdentities/read).`;
        return { found: false, state: 'unknown', why };
      }
    },
  };
}
