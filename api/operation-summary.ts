/** An operation as a list shows it: what a person needs to choose one. The plan is in the operation itself. */
import type { Request } from 'express';
import { z } from 'zod';
import { Operation } from '../domain/operation';
import type { ListedOperation } from '../domain/operation-memo';
import { StoredRequest } from '../domain/request';
import { waitsForPeople } from './list-query';
import { OperationLinks, linksOf, type LinkSettings } from './operation-view';

/** An operation as a list shows it. */
export const OperationSummary = z
  .object({
    ...Operation.pick({ id: true, kind: true, status: true }).shape,
    waitingForPeople: z
      .boolean()
      .meta({ description: 'Whether only a person ends the wait: the operation waits for approval, or is blocked.' }),
    ...Operation.pick({ reason: true, waitingFor: true }).shape,
    ...StoredRequest.pick({ cluster: true, change: true }).shape,
    ...Operation.pick({ requestedBy: true, requestedAt: true, approvalDeadline: true, endedAt: true, offers: true })
      .shape,
    links: OperationLinks.pick({ self: true, temporalUi: true }),
  })
  .meta({ id: 'OperationSummary', description: 'An operation as a list shows it.' });
/** An operation as a list shows it. */
export type OperationSummary = z.infer<typeof OperationSummary>;

/** The summary of an operation. */
export function summaryOf(operation: ListedOperation, request: Request, settings: LinkSettings): OperationSummary {
  const { cluster, change } = operation.request;
  // The schema drops what a summary does not have.
  return OperationSummary.parse({
    ...operation,
    links: linksOf(operation.id, request, settings),
    waitingForPeople: waitsForPeople(operation.status),
    cluster,
    change,
  });
}
