/**
 * Secrets of Keyturn's own in vaults: what rotation is proven with.
 *
 * Does: makes versions that carry a mark, lists those, and soft-deletes the secret.
 * Never does: read a value. A vault answers a write with the value that was written; of each answer only ids and tags are taken, and so
 *             requests are raw: what a typed client gives back has the value in it.
 */
import type { TokenCredential } from '@azure/core-auth';
import {
  bearerTokenAuthenticationPolicy,
  createHttpHeaders,
  createPipelineFromOptions,
  createPipelineRequest,
  type HttpClient,
} from '@azure/core-rest-pipeline';
import { z } from 'zod';
import type { Cloud } from '../domain/clouds';
import type { CallOptions } from './call-options';
import {
  isTransient,
  noSuchHost,
  parseJson,
  parseRetryAfter,
  readErrorBody,
  saysNoSuchHost,
  translateError,
  VaultError,
} from './errors';
import { NONCE_TAG, OPERATION_TAG, type VersionMark } from './keys';

const API_VERSION = '7.4';
/** The secret is being deleted and not yet shown as deleted. */
const BEING_DELETED = 'ObjectIsBeingDeleted';

/** A secret by its name. */
export interface SecretPlace {
  readonly vaultName: string;
  readonly secretName: string;
}

/** A version that is to be made. */
export interface NewSecret {
  readonly value: string;
  /** Policies may ask for an expiry, and for a content type. */
  readonly expiresOn: Date;
  readonly contentType: string;
}

/** What Keyturn asks of vaults about its own secrets. Everything throws `VaultError` or `TokenError`. */
export interface Secrets {
  /** The versions that carry the mark, in no order; none when there is no such secret. */
  marked(place: SecretPlace, mark: VersionMark, options?: CallOptions): Promise<string[]>;
  /** Makes a version, enabled until `expiresOn`, tagged with the mark. @returns the version */
  set(place: SecretPlace, secret: NewSecret, mark: VersionMark, options?: CallOptions): Promise<string>;
  /** Soft-deletes the secret with all its versions. @returns false when there is none */
  delete(place: SecretPlace, options?: CallOptions): Promise<boolean>;
}

const Item = z.object({ id: z.string(), tags: z.record(z.string(), z.string()).nullish() });
const Page = z.object({ value: z.array(Item), nextLink: z.string().nullish() });

/** Makes the client; sends nothing yet. */
export function createSecrets(cloud: Cloud, credential: TokenCredential, http: HttpClient): Secrets {
  const pipeline = createPipelineFromOptions({ retryOptions: { maxRetries: 0 }, redirectOptions: { maxRetries: 0 } });
  const scopes = `https://${cloud.vaultSuffix}/.default`;
  pipeline.addPolicy(bearerTokenAuthenticationPolicy({ credential, scopes }), { phase: 'Sign' });

  const send = async (
    method: 'GET' | 'PUT' | 'DELETE',
    url: URL,
    { abortSignal }: CallOptions,
    body?: unknown,
  ): Promise<unknown> => {
    abortSignal?.throwIfAborted();
    const request = createPipelineRequest({
      url: url.href,
      method,
      abortSignal,
      headers: createHttpHeaders({
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      }),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const response = await pipeline.sendRequest(http, request).catch((error: unknown) => {
      throw translateError(error, VaultError, url.origin, abortSignal);
    });
    const json = parseJson(response.bodyAsText);
    if (response.status >= 200 && response.status <= 299) return json;
    if (saysNoSuchHost(response.headers.get('proxy-status'))) throw noSuchHost(VaultError, url.origin);
    const { code = `Http${response.status}`, message, innerCode } = readErrorBody(json);
    throw new VaultError({
      status: response.status,
      code,
      innerCode,
      message: message ?? `${url.origin} was answered with HTTP ${response.status}.`,
      retryAfterInMs: parseRetryAfter(response.headers.get('retry-after')),
      retryable: isTransient(response.status, code),
    });
  };
  const urlOf = ({ vaultName, secretName }: SecretPlace, below = ''): URL =>
    new URL(
      `https://${vaultName.toLowerCase()}.${cloud.vaultSuffix}/secrets/${secretName}${below}?api-version=${API_VERSION}`,
    );

  return {
    async marked(place, { operationId, nonce }, options = {}) {
      const found: string[] = [];
      const first = urlOf(place, '/versions');
      try {
        for (let url: URL | undefined = first; url !== undefined;) {
          const page: z.infer<typeof Page> = Page.parse(await send('GET', url, options));
          for (const { id, tags } of page.value) {
            if (tags?.[OPERATION_TAG] === operationId && tags[NONCE_TAG] === nonce) found.push(versionOf(id));
          }
          // The token goes to this vault only.
          url = page.nextLink && new URL(page.nextLink).origin === first.origin ? new URL(page.nextLink) : undefined;
        }
      } catch (error) {
        if (error instanceof VaultError && error.status === 404) return [];
        throw error;
      }
      return found;
    },

    async set(place, { value, expiresOn, contentType }, { operationId, nonce }, options = {}) {
      const tags = { [OPERATION_TAG]: operationId, [NONCE_TAG]: nonce };
      const attributes = { exp: Math.floor(expiresOn.getTime() / 1_000) };
      const body = { value, contentType, attributes, tags };
      return versionOf(Item.parse(await send('PUT', urlOf(place), options, body)).id);
    },

    async delete(place, options = {}) {
      try {
        await send('DELETE', urlOf(place), options);
        return true;
      } catch (error) {
        if (!(error instanceof VaultError)) throw error;
        if (error.status === 409 && error.innerCode === BEING_DELETED) return true;
        if (error.status === 404) return false;
        throw error;
      }
    },
  };
}

function versionOf(id: string): string {
  return id.split('/').at(-1) ?? '';
}
