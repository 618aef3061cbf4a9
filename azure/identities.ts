/**
 * User-assigned managed identities, as ARM shows them.
 *
 * Does: reads which principal an identity stands for. An identity that was deleted and made again under the same name stands for
 *       another one, and grants of the old principal are worth nothing to it.
 *       Makes one, tagged with the operation that asks for it, or again without tags.
 * Never does: change or delete one. ARM has no entity tag for identities: the caller looks right before it makes one.
 */
import { z } from 'zod';
import type { ArmClient } from './arm';
import type { CallOptions } from './call-options';
import { allPages } from './arm-pages';
import { ArmError, hasNoPlace, isAbsent, isNotForUs } from './errors';
import { NONCE_TAG, OPERATION_TAG, type VersionMark } from './keys';
import { resourceName } from '../domain/resource-ids';

const API_VERSION = '2024-11-30';

const IdentityBody = z.object({
  tags: z.record(z.string(), z.string()).nullish(),
  properties: z.object({ principalId: z.string(), clientId: z.string() }),
});

const ListedIdentity = IdentityBody.extend({ id: z.string() });

/** What Azure says of an identity. */
export type IdentityLookup =
  | {
      readonly found: true;
      readonly principalId: string;
      /** What programs name the identity by when they ask for a token. */
      readonly clientId: string;
      /** The operation that made it, by its tags. */
      readonly mark: Partial<VersionMark>;
    }
  /** `missing`: there is none of this name; `unknown`: Keyturn may not look. `noGroup`: nor is there its resource group. */
  | { readonly found: false; readonly state: 'missing' | 'unknown'; readonly noGroup?: boolean; readonly why: string };

/** What Keyturn asks of managed identities. Everything throws `ArmError` or `TokenError`. */
export interface Identities {
  /** @param id ARM resource id */
  read(id: string, options?: CallOptions): Promise<IdentityLookup>;
  /** All of a subscription that Keyturn may read. */
  list(
    subscriptionId: string,
    options?: CallOptions,
  ): Promise<{ readonly resourceId: string; readonly clientId: string; readonly principalId: string }[]>;
  /** Makes one. @param mark for its tags; null sends none. @returns the object id of its principal */
  create(id: string, location: string, mark: VersionMark | null, options?: CallOptions): Promise<string>;
}

/** @param arm sends the requests */
export function createIdentities(arm: ArmClient): Identities {
  return {
    async read(id, { abortSignal } = {}) {
      const name = resourceName(id);
      try {
        const { body } = await arm.request({ method: 'GET', url: `${id}?api-version=${API_VERSION}`, abortSignal });
        const { tags, properties } = IdentityBody.parse(body);
        const mark = { operationId: tags?.[OPERATION_TAG], nonce: tags?.[NONCE_TAG] };
        return { found: true, ...properties, mark };
      } catch (error) {
        if (!(error instanceof ArmError)) throw error;
        if (isAbsent(error)) {
          const noGroup = hasNoPlace(error.code);
          return {
            found: false,
            state: 'missing',
            ...(noGroup ? { noGroup } : {}),
            why: `Azure has no managed identity ${name} (${error.code}).`,
          };
        }
        if (error.status !== 403) throw error;
        const why = `Keyturn may not read the managed identity ${name} (Microsoft.ManagedIdentity/userAssignedIdentities/read).`;
        return { found: false, state: 'unknown', why };
      }
    },

    async list(subscriptionId, { abortSignal } = {}) {
      const url = `/subscriptions/${subscriptionId}/providers/Microsoft.ManagedIdentity/userAssignedIdentities?api-version=${API_VERSION}`;
      try {
        const found = await allPages(arm, url, ListedIdentity, abortSignal);
        return found.map(({ id, properties }) => ({ resourceId: id, ...properties }));
      } catch (error) {
        if (!isNotForUs(error)) throw error;
        return [];
      }
    },

    async create(id, location, mark, { abortSignal } = {}) {
      const tags = mark && { [OPERATION_TAG]: mark.operationId, [NONCE_TAG]: mark.nonce };
      const { body } = await arm.request({
        method: 'PUT',
        url: `${id}?api-version=${API_VERSION}`,
        body: { location, ...(tags ? { tags } : {}) },
        abortSignal,
      });
      return IdentityBody.parse(body).properties.principalId;
    },
  };
}
