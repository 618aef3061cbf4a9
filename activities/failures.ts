/**
 * What goes wrong in an activity, as Temporal and people see it: a code of the error table as the failure's type, and a
 * sentence. Non-retryable means that a person must decide; everything else Temporal tries again.
 */
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { ArmError, AzureError, TokenError, VaultError } from '../azure/errors';
import type { ErrorCode } from '../domain/errors';
import { KubeError } from './kubernetes/errors';

/** A failure that only a person can end: the operation becomes blocked with it. */
export function needsPerson(code: ErrorCode, message: string, cause?: unknown): ApplicationFailure {
  return ApplicationFailure.create({ type: code, message, nonRetryable: true, cause: asError(cause) });
}

/** A failure that time ends. @param retryInMs how long the other side asked to wait */
export function tryAgain(code: ErrorCode, message: string, retryInMs?: number, cause?: unknown): ApplicationFailure {
  return ApplicationFailure.create({
    type: code,
    message,
    nonRetryable: false,
    cause: asError(cause),
    ...(retryInMs === undefined ? {} : { nextRetryDelay: Math.max(1, Math.round(retryInMs)) }),
  });
}

/** What an activity is called in its failures, and what a refusal of each service means for it. */
export interface FailureContext {
  /** What was being done, to complete "… failed": `Setting the cluster's key`. */
  readonly doing: string;
  /** The code of a refusal by ARM; `ArmRequestRefused` when absent. */
  readonly armRefusal?: ErrorCode;
}

/**
 * Turns anything that an activity threw into the failure that Temporal stores. Cancellation and failures that have their
 * code already pass as they are.
 */
export function toFailure(error: unknown, { doing, armRefusal = 'ArmRequestRefused' }: FailureContext): unknown {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  if (error instanceof AzureError) return azureFailure(error, doing, armRefusal);
  if (error instanceof KubeError) return kubernetesFailure(error, doing);
  const message = error instanceof Error ? error.message : String(error);
  return tryAgain('InternalError', `${doing} failed: ${message}`, undefined, error);
}

function azureFailure(error: AzureError, doing: string, armRefusal: ErrorCode): ApplicationFailure {
  const sentence = `${doing} failed: ${sentenceOf(error)}`;
  if (error instanceof TokenError || error.retryable) {
    return tryAgain('AzureUnavailable', sentence, error.retryAfterInMs, error);
  }
  // A token that ARM does not take is repaired outside, as one that Entra ID does not give.
  if (error.status === 401) return tryAgain('AzureUnavailable', sentence, error.retryAfterInMs, error);
  if (error instanceof VaultError) return needsPerson('CreateKeyRefused', sentence, error);
  if (error instanceof ArmError) return needsPerson(armRefusal, sentence, error);
  return tryAgain('InternalError', sentence, undefined, error);
}

function kubernetesFailure(error: KubeError, doing: string): ApplicationFailure {
  const sentence = `${doing} failed: ${error.message}`;
  if (error.transient) return tryAgain('ClusterUnavailable', sentence, error.retryAfterInMs, error);
  return needsPerson('ClusterAccessRefused', sentence, error);
}

/** Azure's code, inner code and message in one sentence. */
export function sentenceOf(error: AzureError): string {
  const codes = error.innerCode === undefined ? error.code : `${error.code}/${error.innerCode}`;
  const status = error.status === undefined ? '' : `HTTP ${error.status}, `;
  return `${error.message} (${status}${codes})`;
}

/** Causes end up in Temporal's history: only their message may, never the request or response that SDK errors carry. */
function asError(cause: unknown): Error | undefined {
  if (!(cause instanceof Error)) return undefined;
  const plain = new Error(cause.message.slice(0, 1000));
  plain.name = cause.name;
  plain.stack = cause.stack;
  return plain;
}

/** Whether an error says that the API servers did not converge. */
export function isNotConverged(error: unknown): boolean {
  const code: ErrorCode = 'NotConverged';
  return error instanceof ApplicationFailure && error.type === code;
}
