/**
 * Federated credentials of user-assigned identities, in ARM (Microsoft.ManagedIdentity): whose tokens stand for the identity.
 *
 * Does: lists those of an identity, makes one, deletes one.
 * Never does: overwrite one: ARM has no entity tag for them, so the caller reads right before. Azure takes one write for an identity at a
 *             time, and refuses others with a 409 that ends by itself.
 */
import { z } from 'zod';
import type { FederatedCredential } from '../domain/csi/facts';
import type { ArmClient } from './arm';
import { allPages } from './arm-pages';
import type { CallOptions } from './call-options';

const API_VERSION = '2024-11-30';

const Credential = z.looseObject({
  name: z.string(),
  properties: z.looseObject({
    issuer: z.string(),
    // A flexible credential has an expression in its place: it has no subject that a token could be compared with.
    subject: z.string().nullish(),
    audiences: z.array(z.string()).nullish(),
  }),
});

/** What Keyturn asks of federated credentials. Everything throws `ArmError` or `TokenError`. */
export interface FederatedCredentials {
  /** All of an identity. @param identityId ARM id */
  list(identityId: string, options?: CallOptions): Promise<FederatedCredential[]>;
  create(identityId: string, credential: FederatedCredential, options?: CallOptions): Promise<void>;
  /** One that is gone is no error. */
  delete(identityId: string, name: string, options?: CallOptions): Promise<void>;
}

/** @param arm sends the requests */
export function createFederatedCredentials(arm: ArmClient): FederatedCredentials {
  const urlOf = (identityId: string, name?: string): string => {
    const list = `${identityId}/federatedIdentityCredentials`;
    return `${name === undefined ? list : `${list}/${encodeURIComponent(name)}`}?api-version=${API_VERSION}`;
  };
  return {
    async list(identityId, { abortSignal } = {}) {
      return (await allPages(arm, urlOf(identityId), Credential, abortSignal)).map(observed);
    },

    async create(identityId, { name, ...properties }, { abortSignal } = {}) {
      await arm.request({ method: 'PUT', url: urlOf(identityId, name), body: { properties }, abortSignal });
    },

    async delete(identityId, name, { abortSignal } = {}) {
      await arm.request({ method: 'DELETE', url: urlOf(identityId, name), abortSignal });
    },
  };
}

function observed({
  name,
  properties: { issuer, subject, audiences },
}: z.infer<typeof Credential>): FederatedCredential {
  return { name, issuer, subject: subject ?? '', audiences: audiences ?? [] };
}
