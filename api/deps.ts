/** What the API is made from. */
import type { Logger } from 'pino';
import type { AzureObservation } from '../domain/observed';
import type { OperationRequest } from '../domain/request';
import type { AuditTrail } from '../evidence/audit-log';
import type { RecordStore } from '../evidence/store';
import type { AuthSettings } from './auth-settings';
import type { StatementSigner } from '../trust/sign';
import type { DeliveriesGateway } from './deliveries-gateway';
import type { OpenLimits } from './open-operations';
import type { OperationsGateway } from './operations-gateway';
import type { PolicySource } from './policy/policy-file';

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
  /** Signs requests and decisions: workers believe nothing else. */
  readonly signer: StatementSigner;
  readonly policy: { readonly approvalsRequired: number; readonly approvalTimeoutInMs: number };
  /** The policy file. Without one the roles of the token decide, on every cluster. */
  readonly access?: PolicySource;
  /** Where the worker writes signed evidence. */
  readonly store: RecordStore;
  /** Where every request that may change something is told before the operation is, and every refusal. */
  readonly audit: AuditTrail;
  /** Base of links to the Temporal UI. */
  readonly temporalUiUrl?: string;
  /** The URL that clients use for the API, when their Host header does not name it. No slash at the end. */
  readonly publicUrl?: string;
  readonly logger: Logger;
  readonly clock: () => Date;
  /** Requests of one caller. Default 600 in a minute. */
  readonly rateLimit?: { readonly limit: number; readonly windowInMs: number };
  /** Webhooks: which endpoints there are, and what was delivered to them. */
  readonly webhooks?: { readonly endpoints: readonly string[]; readonly deliveries: DeliveriesGateway };
  /** Operations that may be open at the same time. Default: `DEFAULT_OPEN_LIMITS`. */
  readonly openLimits?: OpenLimits;
  /** Aborted when the process stops: ends long polls. */
  readonly stopping?: AbortSignal;
}
