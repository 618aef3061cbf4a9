/** What the API is made from. */
import type { Logger } from 'pino';
import type { AzureObservation } from '../domain/observed';
import type { OperationRequest } from '../domain/request';
import type { AuthSettings } from './caller';
import type { OperationsGateway } from './operations-gateway';

/** Reads from Azure the cluster and the keys of a request. Writes nothing. Rejects when Azure does not answer. */
export type ObserveAzure = (
  request: OperationRequest,
  options: { readonly abortSignal: AbortSignal },
) => Promise<AzureObservation>;

/** What the API is made from. */
export interface ApiDeps {
  readonly gateway: OperationsGateway;
  readonly observeAzure: ObserveAzure;
  readonly auth: AuthSettings;
  readonly policy: { readonly approvalsRequired: number; readonly approvalTimeoutInMs: number };
  /** Where the worker writes signed evidence. */
  readonly evidenceDirectory: string;
  /** Base of links to the Temporal UI. */
  readonly temporalUiUrl?: string;
  /** The URL that clients use for the API, when their Host header does not name it. No slash at the end. */
  readonly publicUrl?: string;
  readonly logger: Logger;
  readonly clock: () => Date;
  /** Requests of one caller. Default 600 in a minute. */
  readonly rateLimit?: { readonly limit: number; readonly windowInMs: number };
  /** Aborted when the process stops: ends long polls. */
  readonly stopping?: AbortSignal;
}
