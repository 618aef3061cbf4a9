/** ETag preconditions of managed clusters and agent pools, and the busy check (facts 1.1 and 1.2). */
import type { Request } from 'express';
import { AzureError, badRequest } from '../errors';
import type { ManagedCluster } from './managed-cluster';

/**
 * Checks `if-match` and `if-none-match`.
 * @throws AzureError 412 when they do not hold, 400 when they make no sense.
 */
export function checkPreconditions(request: Request, cluster: Pick<ManagedCluster, 'name' | 'etag'> | undefined): void {
  const ifMatch = unquoted(request.headers['if-match']);
  const ifNoneMatch = unquoted(request.headers['if-none-match']);
  if (ifMatch !== undefined && ifNoneMatch !== undefined) {
    throw badRequest('The headers If-Match and If-None-Match cannot be used together.', 'BadRequest', {
      shape: 'bare',
    });
  }
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch !== '*') {
      throw badRequest("The only value that If-None-Match takes is '*'.", 'BadRequest', { shape: 'bare' });
    }
    if (cluster !== undefined) throw failed(`${cluster.name} exists, and If-None-Match is '*'.`);
  }
  if (ifMatch !== undefined) {
    if (cluster === undefined) throw failed('The resource does not exist, and If-Match was given.');
    if (ifMatch !== '*' && ifMatch !== cluster.etag) {
      throw failed(`The etag given in If-Match, ${ifMatch}, is not the current one, ${cluster.etag}.`);
    }
  }
}

/** @throws AzureError 409 OperationNotAllowed while another operation runs on the cluster. */
export function checkNotBusy(cluster: ManagedCluster | undefined): void {
  if (cluster?.operation === undefined) return;
  throw new AzureError(
    409,
    'OperationNotAllowed',
    `Operation is not allowed: Another operation (${cluster.provisioningState}) is in progress, please wait for it to finish before starting a new operation. See https://aka.ms/aks-pending-operation for more details`,
    { shape: 'bare' },
  );
}

function failed(message: string): AzureError {
  return new AzureError(412, 'PreConditionFailed', message, { shape: 'bare' });
}

/** SDKs send the bare etag; HTTP writes it in quotes. Both are read. */
function unquoted(header: string | undefined): string | undefined {
  return header?.replace(/^(?:W\/)?"(.*)"$/, '$1');
}
