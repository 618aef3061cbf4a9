/**
 * Failures of activities, as Temporal and people see them: a code of the error table as the failure's type, and a sentence.
 * Non-retryable means that a person must decide; Temporal retries everything else.
 */
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { ZodError } from 'zod';
import { ArmError, AzureError, TokenError, VaultError } from '../azure/errors';
import type { ErrorCode } from '../domain/errors';
import { OwnError } from '../domain/own-error';
import { SignerUnavailable } from '../evidence/signer';
import { KubeError } from './kubernetes/errors';

/** A failure that only a person can end: the operation becomes blocked. */
export function needsPerson(code: ErrorCode, message: string, cause?: unknown): ApplicationFailure {
  return ApplicationFailure.create({ type: code, message, nonRetryable: true, cause: asError(cause) });
}

/** A failure that ends by itself: Temporal retries. @param retryInMs how long the other side asked to wait */
export function tryAgain(code: ErrorCode, message: string, retryInMs?: number, cause?: unknown): ApplicationFailure {
  return ApplicationFailure.create({
    type: code,
    message,
    nonRetryable: false,
    cause: asError(cause),
    ...(retryInMs === undefined ? {} : { nextRetryDelay: Math.max(1, Math.round(retryInMs)) }),
  });
}

/** The name of an activity in its failures, and the code of a refusal by each service. */
export interface FailureContext {
  /** What the activity does, to complete "… failed": `Setting the cluster's key`. */
  readonly doing: string;
  /** The code of a refusal by ARM; `ArmRequestRefused` when absent. */
  readonly armRefusal?: ErrorCode;
  /** The code of a refusal by a vault; `VaultRequestRefused` when absent. */
  readonly vaultRefusal?: ErrorCode;
  /** What a refusal by a vault means for the keys, and what to do: the end of its sentence. */
  readonly afterVaultRefusal?: string;
}

/**
 * Makes the failure that Temporal stores from anything that an activity threw. Cancellations, and failures that have a code
 * already, pass unchanged.
 */
export function toFailure(error: unknown, context: FailureContext): unknown {
  const { doing } = context;
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  if (error instanceof AzureError) return azureFailure(error, context);
  // Also what a vault refuses: what was done is not lost because a right or a key is missing, and both can be given back.
  if (error instanceof SignerUnavailable)
    return tryAgain('EvidenceKeyUnavailable', `${doing} failed: ${error.message}`, error.retryAfterInMs, error);
  if (error instanceof KubeError) return kubernetesFailure(error, doing);
  return tryAgain('InternalError', `${doing} failed: ${unexpected(error)}`, undefined, error);
}

function azureFailure(
  error: AzureError,
  { doing, armRefusal = 'ArmRequestRefused', vaultRefusal = 'VaultRequestRefused', afterVaultRefusal }: FailureContext,
): ApplicationFailure {
  const sentence = `${doing} failed: ${sentenceOf(error)}`;
  if (error instanceof TokenError || error.retryable) {
    return tryAgain('AzureUnavailable', sentence, error.retryAfterInMs, error);
  }
  // A token that ARM does not accept is fixed outside of Keyturn, like a token that Entra ID does not give.
  if (error.status === 401) return tryAgain('AzureUnavailable', sentence, error.retryAfterInMs, error);
  if (error instanceof VaultError) {
    const advice = afterVaultRefusal === undefined ? '' : ` ${afterVaultRefusal}`;
    return needsPerson(vaultRefusal, `${sentence}${advice}`, error);
  }
  if (error instanceof ArmError) return needsPerson(armRefusal, sentence, error);
  return tryAgain('InternalError', sentence, undefined, error);
}

function kubernetesFailure(error: KubeError, doing: string): ApplicationFailure {
  const sentence = `${doing} failed: ${error.message}`;
  if (error.storageFull) return needsPerson('ClusterStorageFull', `${sentence} ${STORAGE_FULL}`, error);
  if (error.transient) return tryAgain('ClusterUnavailable', sentence, error.retryAfterInMs, error);
  return needsPerson('ClusterAccessRefused', sentence, error);
}

const STORAGE_FULL =
  "The cluster's etcd is full (mvcc: database space exceeded): no client can store anything. Nothing is lost: what is stored stays readable, what was rewritten stays so, and a retry goes on from there. " +
  'Keep every key listed under keysNeeded. Delete what fills etcd (old events, custom resources, Helm releases), and ask Azure support to compact and defragment etcd and to clear its alarm. When the cluster accepts writes again, retry; a lower rate leaves etcd more time to compact (tag keyturn-rewrites-per-second).';

/** How AKS says that the cluster's identity may not use the key. Source: azure-docs#98954. */
const IDENTITY_REFUSED = 'AzureKeyVaultKmsValidateIdentityPermissionCustomerError';

/** The sentence of a change that AKS refused for want of rights of the cluster's identity; undefined for another reason. */
export function identityRefusal(code: string | undefined): string | undefined {
  if (code !== IDENTITY_REFUSED) return undefined;
  return (
    "AKS says that the cluster's identity may not encrypt and decrypt with the key " +
    `(${IDENTITY_REFUSED}). The cluster keeps the encryption that it had, and every key stays needed. A role or access policy that was ` +
    'just given takes up to ten minutes to work; AKS says the same of a vault that is not open to all networks, and of a key that is not ' +
    'RSA or does not permit encrypt and decrypt. Give the identity the right to encrypt and decrypt (Key Vault Crypto User), or wait, then retry.'
  );
}

/** Azure's code, inner code and message in one sentence. */
export function sentenceOf(error: AzureError): string {
  const codes = error.innerCode === undefined ? error.code : `${error.code}/${error.innerCode}`;
  const status = error.status === undefined ? '' : `HTTP ${error.status}, `;
  return `${error.message} (${status}${codes})`;
}

/**
 * What may be shown of an unexpected error: our own sentence, or the kind of error and its code. The message of a parser or a
 * library may quote what it read (S1).
 */
function unexpected(error: unknown): string {
  if (error instanceof OwnError) return error.message;
  if (error instanceof ZodError) return 'An answer does not have the form that Keyturn expects.';
  if (!(error instanceof Error)) return 'The code threw something that is not an error.';
  const { code, syscall } = error as NodeJS.ErrnoException;
  const facts = [kindOf(error), code, syscall].filter((fact) => typeof fact === 'string' && WORD.test(fact));
  return `An unexpected error (${facts.join(', ')}). Its place in the code is in the failure's cause.`;
}

/** The name of a class, a code, a system call. */
const WORD = /^[A-Za-z][A-Za-z0-9_]{0,60}$/;

function kindOf(error: Error): string {
  return WORD.test(error.constructor.name) ? error.constructor.name : 'Error';
}

/**
 * Causes are stored in Temporal's history. The message is kept when Keyturn wrote it; of any other error only its kind and its
 * place in the code, never the request or response that SDK errors carry.
 */
function asError(cause: unknown): Error | undefined {
  if (!(cause instanceof Error)) return undefined;
  const ours = [AzureError, KubeError, OwnError, SignerUnavailable].some((kind) => cause instanceof kind);
  const plain = new Error(ours ? cause.message.slice(0, 1000) : unexpected(cause));
  plain.name = kindOf(cause);
  // A stack begins with the message, which may have lines that look like places.
  const { stack = '' } = cause;
  const places = stack.includes(cause.message) ? stack.slice(stack.indexOf(cause.message) + cause.message.length) : '';
  plain.stack = `${plain.name}: ${plain.message}${places}`;
  return plain;
}

/** Whether an error says that the API servers did not converge. */
export function isNotConverged(error: unknown): boolean {
  const code: ErrorCode = 'NotConverged';
  return error instanceof ApplicationFailure && error.type === code;
}
