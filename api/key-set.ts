/**
 * The keys that the issuer signs tokens with.
 *
 * Does: fetches the issuer's key set when a token needs it, keeps it for 10 minutes, asks again for an unknown key (at most
 * every 30 s), and goes through the proxy that HTTPS_PROXY names: the `fetch` of Node 20 does not. While the issuer does not
 * answer, the last known keys are used for a bounded time, and the issuer is asked at most every 10 s.
 * Never does: fetch for a key that it knows, or follow a redirect.
 */
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  jwksCache,
  type FetchImplementation,
  type JWKSCacheInput,
  type JWTVerifyGetKey,
} from 'jose';
import { EnvHttpProxyAgent, fetch as undiciFetch } from 'undici';
import { z } from 'zod';
import type { Cloud } from '../domain/clouds';

const TIMEOUT_IN_MS = 5_000;
const UNKNOWN_KEY_COOLDOWN_IN_MS = 30_000;
const FAILURE_COOLDOWN_IN_MS = 10_000;
const FRESH_IN_MS = 600_000;
const DEFAULT_KEPT_IN_MS = 4 * 3_600_000;

/** The key set cannot be fetched now, so a token cannot be checked. */
export class KeySetUnavailable extends Error {
  /** After how many seconds the issuer is asked again. */
  readonly retryAfterInSeconds?: number;

  constructor(
    readonly url: string,
    options: { readonly cause: unknown; readonly retryAfterInSeconds?: number },
  ) {
    super(`The signing keys at ${url} cannot be fetched.`, options);
    this.name = 'KeySetUnavailable';
    this.retryAfterInSeconds = options.retryAfterInSeconds;
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

/** Where an issuer's OpenID Connect metadata is (OpenID Connect Discovery 1.0, section 4). */
function metadataUrl(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
}

/**
 * Looks keys up in a remote key set. The function rejects with `KeySetUnavailable`, or as jose does when no key fits.
 * @param source the URL of the key set, or the issuer whose metadata names it
 * @param options.keptInMs how long after the last answer its keys are used while the issuer does not answer. Default 4 h
 * @param options.onFailure is told of each failed fetch, at most every 10 s
 */
export function remoteKeySet(
  source: string | { readonly issuer: string },
  options: { readonly keptInMs?: number; readonly onFailure?: (error: KeySetUnavailable) => void } = {},
): JWTVerifyGetKey {
  const { keptInMs = DEFAULT_KEPT_IN_MS, onFailure } = options;
  const url = typeof source === 'string' ? source : metadataUrl(source.issuer);
  const cache: Partial<Extract<JWKSCacheInput, { uat: number }>> = {};
  const keys = createRemoteJWKSet(new URL(url), {
    cooldownDuration: UNKNOWN_KEY_COOLDOWN_IN_MS,
    cacheMaxAge: FRESH_IN_MS,
    timeoutDuration: TIMEOUT_IN_MS,
    [jwksCache]: cache as JWKSCacheInput,
    [customFetch]: typeof source === 'string' ? proxiedFetch() : discoveringFetch(source.issuer),
  });
  let failure: { readonly at: number; readonly cause: unknown } | undefined;

  const unavailable = ({ at, cause }: NonNullable<typeof failure>): KeySetUnavailable =>
    new KeySetUnavailable(url, {
      cause,
      retryAfterInSeconds: Math.max(1, Math.ceil((at + FAILURE_COOLDOWN_IN_MS - Date.now()) / 1000)),
    });

  /** A key of the last answer. An unknown one may be new, so it says nothing against the token. */
  const lastKnown = async (
    failed: NonNullable<typeof failure>,
    ...[header, token]: Parameters<JWTVerifyGetKey>
  ): Promise<Awaited<ReturnType<JWTVerifyGetKey>>> => {
    const { uat, jwks } = cache;
    if (uat === undefined || jwks === undefined || Date.now() >= uat + keptInMs) throw unavailable(failed);
    try {
      return await createLocalJWKSet(jwks)(header, token);
    } catch (error) {
      throw error instanceof errors.JWKSNoMatchingKey ? unavailable(failed) : error;
    }
  };

  return async (header, token) => {
    if (failure !== undefined && Date.now() < failure.at + FAILURE_COOLDOWN_IN_MS)
      return await lastKnown(failure, header, token);
    try {
      return await keys(header, token);
    } catch (error) {
      if (isAboutTheToken(error)) throw error;
      const failed = { at: Date.now(), cause: error };
      failure = failed;
      onFailure?.(unavailable(failed));
      return await lastKnown(failed, header, token);
    }
  };
}

/** `fetch` through the proxy of the environment. */
function proxiedFetch(): FetchImplementation {
  const agent = new EnvHttpProxyAgent({ connect: { timeout: TIMEOUT_IN_MS } });
  return async (resource, { headers, method, redirect, signal }) => {
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
}

const Metadata = z.looseObject({ issuer: z.string(), jwks_uri: z.url({ protocol: /^https?$/ }) });

/** Fetches the metadata of an issuer, and answers with the key set that it names. */
function discoveringFetch(issuer: string): FetchImplementation {
  const proxied = proxiedFetch();
  return async (resource, options) => {
    const answer = await proxied(resource, options);
    if (answer.status !== 200) return answer;
    const metadata = Metadata.parse(await answer.json());
    if (metadata.issuer !== issuer) throw new Error(`The metadata at ${resource} is of another issuer.`);
    // The keys come over no weaker connection than the metadata.
    if (resource.startsWith('https:') && !metadata.jwks_uri.startsWith('https:'))
      throw new Error(`The metadata at ${resource} names a key set without https.`);
    return await proxied(metadata.jwks_uri, options);
  };
}

function isAboutTheToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  );
}
