/** How the provider comes to a token, in each of its identity modes, and what it says when it gets none. */
import type { InstanceTokens, PodTokens } from './contract';
import { TokenRefused } from './contract';
import type { MountRequest } from './parameters';
import { authenticationFailed, type Credential } from './vault-reader';

/** Who gives tokens. */
export interface TokenSources {
  readonly podTokens: PodTokens;
  readonly instanceTokens: InstanceTokens;
}

/** The credential of a mount. Source: the provider's pkg/auth, and azidentity. */
export function credentialOf({ identity, tenantId, cloud }: MountRequest, sources: TokenSources): Credential {
  switch (identity.kind) {
    case 'workload':
      return async (challenge) => {
        if (challenge.tenantId.toLowerCase() !== tenantId.toLowerCase()) {
          throw new Error(
            `ClientAssertionCredential isn't configured to acquire tokens for tenant ${JSON.stringify(challenge.tenantId)}. To enable acquiring tokens for this tenant add it to the AdditionallyAllowedTenants on the credential options, or add "*" to allow acquiring tokens for any tenant`,
          );
        }
        const { clientId, assertion } = identity;
        const { resource } = challenge;
        const { loginHost } = cloud;
        try {
          return await sources.podTokens.exchange(assertion, { clientId, tenantId, resource, loginHost });
        } catch (error) {
          if (!(error instanceof TokenRefused)) throw error;
          throw authenticationFailed('ClientAssertionCredential', '', error);
        }
      };
    case 'vm':
      return async ({ resource }) => {
        const { clientId } = identity;
        try {
          return await sources.instanceTokens.tokenFor({ clientId, resource });
        } catch (error) {
          if (!(error instanceof TokenRefused)) throw error;
          if (clientId === undefined) {
            throw new Error(
              `ManagedIdentityCredential: failed to authenticate a system assigned identity. The endpoint responded with ${error.body}`,
              { cause: error },
            );
          }
          const reason = "the requested identity isn't assigned to this resource";
          throw authenticationFailed('ManagedIdentityCredential', reason, error, 'managed-id');
        }
      };
    case 'pod':
      return async ({ resource }) => {
        const url = `http://localhost:2579/host/token/?resource=${resource}`;
        throw new Error(`Get ${JSON.stringify(url)}: dial tcp [::1]:2579: connect: connection refused`);
      };
    case 'token-proxy':
      return async () => {
        throw new Error('identity binding proxy transport not initialized (call SetProxyTransport during startup)');
      };
  }
}
