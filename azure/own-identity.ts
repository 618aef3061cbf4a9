/** Who Keyturn is in Azure, and in which tenant a subscription is. */
import type { TokenCredential } from '@azure/core-auth';
import { z } from 'zod';
import type { Cloud } from '../domain/clouds';
import { OwnError } from '../domain/own-error';
import type { ArmClient } from './arm';
import type { CallOptions } from './call-options';
import { armScope } from './credentials';
import { ArmError, isNotForUs, parseJson, translateError } from './errors';

const API_VERSION = '2022-12-01';

const Claims = z.object({ oid: z.string(), tid: z.string() });
const Subscription = z.object({ tenantId: z.string() });

/** What Keyturn asks about itself. Everything throws `ArmError` or `TokenError`. */
export interface OwnIdentity {
  /** The object id that grants name: from the claims of the token, as Microsoft Graph would need a right of its own. */
  objectId(options?: CallOptions): Promise<string>;
  /** The tenant of a subscription, where its vaults must be. */
  tenantOf(subscriptionId: string, options?: CallOptions): Promise<string>;
}

/** Makes the client; asks for no token yet. */
export function createOwnIdentity(cloud: Cloud, arm: ArmClient, credential: TokenCredential): OwnIdentity {
  const claims = async ({ abortSignal }: CallOptions): Promise<z.infer<typeof Claims>> => {
    const token = await credential.getToken(armScope(cloud), { abortSignal }).catch((error: unknown) => {
      throw translateError(error, ArmError, cloud.resourceManager, abortSignal);
    });
    const [, payload = ''] = token?.token.split('.') ?? [];
    const parsed = Claims.safeParse(parseJson(Buffer.from(payload, 'base64url').toString('utf8')));
    if (!parsed.success) throw new OwnError('The access token of Keyturn for ARM names no object id and tenant.');
    return parsed.data;
  };
  return {
    objectId: async (options = {}) => (await claims(options)).oid,

    async tenantOf(subscriptionId, options = {}) {
      try {
        const url = `/subscriptions/${subscriptionId}?api-version=${API_VERSION}`;
        const { body } = await arm.request({ method: 'GET', url, abortSignal: options.abortSignal });
        return Subscription.parse(body).tenantId;
      } catch (error) {
        // Without the right to read the subscription: the tenant that Keyturn signs in to is the subscription's but for delegated ones.
        if (!isNotForUs(error)) throw error;
        return (await claims(options)).tid;
      }
    },
  };
}
