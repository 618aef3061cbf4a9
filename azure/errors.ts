/**
 * Answers of Azure that are not a success, in one form for ARM, Key Vault and Entra ID.
 *
 * The clients' own error classes differ, and some hide the code that distinguishes a refusal from a short fault. Nothing outside
 * `azure/` needs to know them.
 */
import { RestError } from '@azure/core-rest-pipeline';
import {
  AggregateAuthenticationErrorName,
  AuthenticationErrorName,
  CredentialUnavailableErrorName,
} from '@azure/identity';
import { z } from 'zod';
import { TIMEOUT_CODE } from './http-client';

const MESSAGE_LIMIT = 1000;
/** ARM answers 409 for states that end by themselves. Source: azure-facts.md 1.1 and 1.2. */
const BUSY_CODES = new Set([
  'OperationNotAllowed',
  'EtagMismatch',
  'AnotherOperationInProgress',
  'ConcurrentOperation',
  // As in hashicorp/terraform-provider-azurerm#19968: one write for an identity at a time.
  'ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity',
]);
/**
 * ARM's codes for a subscription that is not there, or not in this tenant, whatever the status: 404, 400, and 401 for a token that is
 * good elsewhere. A request with another id is what helps, not another try.
 */
const NO_SUCH_SUBSCRIPTION: ReadonlySet<string> = new Set([
  'SubscriptionNotFound',
  'InvalidSubscriptionId',
  'InvalidAuthenticationTokenTenant',
]);
/** The code of a host name that does not exist. (`EAI_AGAIN` would be a resolver in trouble.) */
export const NO_SUCH_HOST = 'ENOTFOUND';

/** What is known of a failed call. */
export interface AzureErrorInit {
  /** HTTP status; undefined when no answer came. */
  readonly status?: number;
  /** Azure's own code, `OperationNotAllowed`, `Forbidden` …; the transport's when no answer came. */
  readonly code: string;
  readonly message: string;
  /** What was called: the URL of a vault, or method and path of ARM. */
  readonly target?: string;
  /** Key Vault's inner code, `KeyDisabled`, `ForbiddenByRbac` … */
  readonly innerCode?: string;
  readonly retryAfterInMs?: number;
  /** Whether the same request may succeed later by itself. */
  readonly retryable: boolean;
  readonly cause?: unknown;
}

/** A call that Azure did not answer with success. */
export class AzureError extends Error {
  override readonly name: string = 'AzureError';
  readonly status: number | undefined;
  readonly code: string;
  readonly target: string | undefined;
  readonly innerCode: string | undefined;
  readonly retryAfterInMs: number | undefined;
  readonly retryable: boolean;

  constructor(init: AzureErrorInit) {
    super(init.message.slice(0, MESSAGE_LIMIT), { cause: init.cause });
    this.status = init.status;
    this.code = init.code;
    this.target = init.target;
    this.innerCode = init.innerCode;
    this.retryAfterInMs = init.retryAfterInMs;
    this.retryable = init.retryable;
  }
}

/** A call to Azure Resource Manager that failed. */
export class ArmError extends AzureError {
  override readonly name = 'ArmError';
}

/** A call to a vault that failed. */
export class VaultError extends AzureError {
  override readonly name = 'VaultError';
}

/** Entra ID gave no token, so no other request was sent. */
export class TokenError extends AzureError {
  override readonly name = 'TokenError';
}

const ErrorDetail = z.object({
  code: z.string().optional(),
  message: z.string().optional(),
  innererror: z.object({ code: z.string().optional() }).nullish(),
  /** As the Key Vault client spells it. */
  innerError: z.object({ code: z.string().optional() }).nullish(),
});

/**
 * Both envelopes: `{"error":{"code","message"}}` of ARM's gateway and Key Vault, and the bare `{"code","message"}` of the
 * AKS resource provider (azure-facts.md 1.2).
 */
export function readErrorBody(body: unknown): { code?: string; message?: string; innerCode?: string } {
  const enveloped = z.object({ error: ErrorDetail }).safeParse(body);
  const detail = enveloped.success ? enveloped.data.error : ErrorDetail.safeParse(body).data;
  return { code: detail?.code, message: detail?.message, innerCode: (detail?.innererror ?? detail?.innerError)?.code };
}

/**
 * Whether a status ends by itself: no answer, 408, 412 (another client was faster: read again), 429, any 5xx, and a busy 409.
 * @param code Azure's code: 409 is busy or a plain refusal
 */
export function isTransient(status: number | undefined, code: string): boolean {
  if (status === undefined || status === 408 || status === 412 || status === 429 || status >= 500) return true;
  return status === 409 && BUSY_CODES.has(code);
}

/** Whether an error says that the caller has no right, or that there is no such thing: ARM often does not tell which. */
export function isNotForUs(error: unknown): error is AzureError {
  return error instanceof AzureError && (error.status === 403 || isAbsent(error));
}

/** Whether an error says that there is no such thing: no answer of a later try would be another one. */
export function isAbsent(error: AzureError): boolean {
  return error.status === 404 || NO_SUCH_SUBSCRIPTION.has(error.code);
}

/** Whether ARM's code says that there is no place for a resource: neither its resource group, nor perhaps its subscription. */
export function hasNoPlace(code: string): boolean {
  return code === 'ResourceGroupNotFound' || NO_SUCH_SUBSCRIPTION.has(code);
}

/**
 * Whether an answer is that of a proxy for a name that does not exist. Source: RFC 9209, 2.3.2 (`dns_error` with `rcode`). Without that
 * header a status does not say it: proxies answer 502, 503 or 504 for an outage, too.
 * @param proxyStatus the header `Proxy-Status`
 */
export function saysNoSuchHost(proxyStatus: string | undefined | null): boolean {
  return /;\s*error=dns_error\b/.test(proxyStatus ?? '') && /;\s*rcode="?NXDOMAIN\b/i.test(proxyStatus ?? '');
}

/**
 * Reads `Retry-After`: seconds or an HTTP date.
 * @returns milliseconds; undefined when there is no such header or it is not understood
 */
export function parseRetryAfter(header: string | undefined | null, now = Date.now()): number | undefined {
  if (header === undefined || header === null || header.trim() === '') return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/**
 * Makes an `AzureError` from the error of an Azure SDK client.
 * @param target what was called, for the message
 * @param signal the caller's: an abort by the caller is rethrown as its reason
 */
export function translateError(
  error: unknown,
  kind: typeof ArmError | typeof VaultError,
  target: string,
  signal?: AbortSignal,
): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof AzureError || !(error instanceof Error)) return error;
  if (isTokenFault(error)) {
    return new TokenError({
      status: 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : undefined,
      code: error.name,
      target: `Entra ID, for a token for ${target}`,
      message: `Entra ID gave Keyturn no token for ${target}. Check AZURE_TENANT_ID, AZURE_CLIENT_ID and the credential. ${error.message}`,
      // An operator fixes a wrong secret outside of Keyturn, and the next try uses it: no decision is needed.
      retryable: true,
      cause: error,
    });
  }
  if (!(error instanceof RestError)) return error;
  if (error.statusCode === undefined) {
    const code = transportCode(error);
    const what = code === TIMEOUT_CODE ? 'did not answer in time' : 'was not reached';
    return new kind({ code, target, message: `${target} ${what}: ${error.message}`, retryable: true, cause: error });
  }
  if (saysNoSuchHost(error.response?.headers.get('proxy-status'))) return noSuchHost(kind, target, error);
  const body = readErrorBody(parseJson(error.response?.bodyAsText) ?? error.details);
  const code = body.code ?? error.code ?? `Http${error.statusCode}`;
  return new kind({
    status: error.statusCode,
    code,
    target,
    innerCode: body.innerCode,
    // A client that cannot read an answer quotes it whole, and an answer may be a kubeconfig.
    message: body.message ?? `${target} answered HTTP ${error.statusCode} in a form that is not understood.`,
    retryAfterInMs: parseRetryAfter(error.response?.headers.get('retry-after')),
    retryable: isTransient(error.statusCode, code),
    cause: error,
  });
}

/** The same error as without a proxy: no answer came. @param cause undefined where no client threw */
export function noSuchHost(kind: typeof ArmError | typeof VaultError, target: string, cause?: unknown): AzureError {
  const message = `${target} was not reached: a proxy says that its name does not resolve.`;
  return new kind({ code: NO_SUCH_HOST, target, message, retryable: true, cause });
}

/** JSON when it is JSON; undefined otherwise. */
export function parseJson(text: string | null | undefined): unknown {
  if (text === null || text === undefined || text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function isTokenFault({ name }: Error): boolean {
  return [AuthenticationErrorName, AggregateAuthenticationErrorName, CredentialUnavailableErrorName].includes(name);
}

/** `ENOTFOUND`, `ECONNREFUSED` … from wherever the pipeline put it. */
function transportCode(error: RestError): string {
  const { cause } = error;
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code;
  return error.code ?? 'REQUEST_SEND_ERROR';
}
