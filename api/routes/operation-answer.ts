/** The answer to every request about one operation: the operation as it is now. */
import type { Request } from 'express';
import type { Operation } from '../../domain/operation';
import type { ApiDeps } from '../deps';
import { OperationView, pollHeaders, viewOf } from '../operation-view';

/** For the API document. */
export const OPERATION_NOW = [
  {
    status: 200,
    description: 'The operation as it is now.',
    schema: OperationView,
    headers: { 'Retry-After': 'Seconds to wait before asking again.' },
  },
] as const;

/** The answer itself. */
export function operationNow(
  operation: Operation,
  request: Request,
  deps: ApiDeps,
): { readonly status: 200; readonly body: OperationView; readonly headers: Record<string, string> } {
  return {
    status: 200,
    body: viewOf(operation, request, { ...deps, namespace: deps.gateway.namespace }),
    headers: pollHeaders(operation),
  };
}
