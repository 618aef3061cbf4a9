/**
 * Raw requests to Azure Resource Manager.
 *
 * Needs: a token credential.
 * Does: sends one request and gives back status, headers and JSON, so that nothing of a resource is lost on the way (the
 *       typed clients drop members that they do not know).
 * Never does: retry (Temporal owns retries), follow a redirect, or send the token to another host than the cloud's ARM.
 */
import type { TokenCredential } from '@azure/core-auth';
import {
  bearerTokenAuthenticationPolicy,
  createHttpHeaders,
  createPipelineFromOptions,
  createPipelineRequest,
  type HttpClient,
} from '@azure/core-rest-pipeline';
import type { Cloud } from '../domain/clouds';
import { armScope } from './credentials';
import { ArmError, isTransient, parseJson, parseRetryAfter, readErrorBody, translateError } from './errors';

/** One request. */
export interface ArmRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  /** A path below the ARM endpoint with its query, or an absolute URL that ARM itself gave. */
  readonly url: string;
  /** Sent as JSON when given. */
  readonly body?: unknown;
  /** Sent as it is: ARM's entity tags go unquoted (azure-facts.md 1.1). */
  readonly ifMatch?: string;
  /** `*`: only if there is no such resource. */
  readonly ifNoneMatch?: '*';
  readonly abortSignal?: AbortSignal;
}

/** A successful answer. */
export interface ArmResponse {
  readonly status: number;
  /** @returns undefined when there is no such header */
  header(name: string): string | undefined;
  /** The parsed JSON; undefined when the answer has none. */
  readonly body: unknown;
}

/** Requests to one cloud's ARM. */
export interface ArmClient {
  /**
   * @throws ArmError for every answer that is not 2xx and for no answer
   * @throws TokenError when Entra ID gave no token
   * @throws the signal's reason when the caller aborted
   */
  request(request: ArmRequest): Promise<ArmResponse>;
  /** Whether an absolute URL is one of this ARM's, so that the token may go there. */
  owns(url: string): boolean;
}

/** Makes the client; asks for no token yet. */
export function createArmClient(cloud: Cloud, credential: TokenCredential, http: HttpClient): ArmClient {
  const pipeline = createPipelineFromOptions({ retryOptions: { maxRetries: 0 }, redirectOptions: { maxRetries: 0 } });
  pipeline.addPolicy(bearerTokenAuthenticationPolicy({ credential, scopes: armScope(cloud) }), { phase: 'Sign' });
  const origin = new URL(cloud.resourceManager).origin;
  const owns = (url: string): boolean => URL.canParse(url) && new URL(url).origin === origin;

  return {
    owns,
    async request({ method, url, body, ifMatch, ifNoneMatch, abortSignal }) {
      const target = url.startsWith('/') ? `${cloud.resourceManager}${url}` : url;
      if (!owns(target))
        throw new Error(`${new URL(target).origin} is not the ARM of ${cloud.name}: nothing was sent there.`);
      abortSignal?.throwIfAborted();
      const request = createPipelineRequest({
        url: target,
        method,
        abortSignal,
        headers: createHttpHeaders({
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
          ...(ifNoneMatch === undefined ? {} : { 'if-none-match': ifNoneMatch }),
        }),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const what = `${method} ${new URL(target).pathname}`;
      const response = await pipeline.sendRequest(http, request).catch((error: unknown) => {
        throw translateError(error, ArmError, what, abortSignal);
      });
      const json = parseJson(response.bodyAsText);
      if (response.status < 200 || response.status > 299) {
        const fault = readErrorBody(json);
        const code = fault.code ?? `Http${response.status}`;
        throw new ArmError({
          status: response.status,
          code,
          target: what,
          message: fault.message ?? `${what} was answered with HTTP ${response.status}.`,
          retryAfterInMs: parseRetryAfter(response.headers.get('retry-after')),
          retryable: isTransient(response.status, code),
        });
      }
      return { status: response.status, header: (name) => response.headers.get(name), body: json };
    },
  };
}
