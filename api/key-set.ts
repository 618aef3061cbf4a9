/**
 * The keys that Entra signs tokens with.
 *
 * Does: fetches the tenant's key set when a token needs it, keeps it for 10 minutes, asks again for an unknown key (at most
 * every 30 s), and goes through the proxy that HTTPS_PROXY names: the `fetch` of Node 20 does not.
 */
import { createRemoteJWKSet, customFetch, errors, type FetchImplementation, type JWTVerifyGetKey } from 'jose';
import { EnvHttpProxyAgent, fetch as undiciFetch } from 'undici';
import type { Cloud } from '../domain/clouds';

const TIMEOUT_IN_MS = 5_000;

/** The key set cannot be fetched now, so no token can be checked. */
export class KeySetUnavailable extends Error {
  constructor(
    readonly url: string,
    options: { readonly cause: unknown },
  ) {
    super(`The signing keys at ${url} cannot be fetched.`, options);
    this.name = 'KeySetUnavailable';
  }
}

/** Where a tenant's keys are. */
export function keySetUrl(cloud: Cloud, tenantId: string): string {
  return `${cloud.authorityHost}/${tenantId}/discovery/v2.0/keys`;
}

/**
 * The `iss` of a tenant's v2.0 tokens. In China it is not the host that one signs in at: the metadata document of
 * login.chinacloudapi.cn names login.partner.microsoftonline.cn as the issuer.
 */
export function issuerOf(cloud: Cloud, tenantId: string): string {
  const host = cloud.name === 'AzureChinaCloud' ? 'https://login.partner.microsoftonline.cn' : cloud.authorityHost;
  return `${host}/${tenantId}/v2.0`;
}

/** Looks keys up in a remote key set. The function rejects with `KeySetUnavailable`, or as jose does when no key fits. */
export function remoteKeySet(url: string): JWTVerifyGetKey {
  const agent = new EnvHttpProxyAgent({ connect: { timeout: TIMEOUT_IN_MS } });
  const proxied: FetchImplementation = async (resource, { headers, method, redirect, signal }) => {
    const response = await undiciFetch(resource, {
      headers: [...headers],
      method,
      redirect,
      signal,
      dispatcher: agent,
    });
    // Node's own Response, which jose expects: undici's is another class.
    return new Response(await response.text(), { status: response.status });
  };
  const keys = createRemoteJWKSet(new URL(url), {
    cooldownDuration: 30_000,
    cacheMaxAge: 600_000,
    timeoutDuration: TIMEOUT_IN_MS,
    [customFetch]: proxied,
  });
  return async (header, token) => {
    try {
      return await keys(header, token);
    } catch (error) {
      if (isAboutTheToken(error)) throw error;
      throw new KeySetUnavailable(url, { cause: error });
    }
  };
}

function isAboutTheToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  );
}
