/**
 * Lists of operations, from Temporal's visibility.
 *
 * Needs: the search attributes of operations (workflows/messages.ts). No worker is needed: the memo of each comes with the list.
 * Never does: decide anything. A list lags behind, so it is for people to look at.
 */
import type { Client } from '@temporalio/client';
import { executionInfoFromRaw } from '@temporalio/client/lib/helpers';
import type { Operation } from '../domain/operation';
import { SearchAttributes } from '../workflows/messages';
import { UNFINISHED, visibilityQuery, type Filters, type Span } from './list-query';
import { newestFirst, type Place } from './newest-first';
import type { OperationsPage, WantedPage } from './operations-gateway';
import { ApiError } from './problem';
import { storedOperation, type DescribedWorkflow } from './stored-operation';
import { unknownAttributes } from './temporal-faults';

/** Memos have up to 32 kB each. */
const READ_AT_ONCE = 100;

/** What lists are read with. */
export interface ListDeps {
  readonly client: Client;
  /** Runs a call with a deadline. */
  readonly call: <T>(work: () => Promise<T>) => Promise<T>;
  /** The types of workflows that are operations. */
  readonly types: readonly string[];
  readonly clock: () => Date;
}

/** A workflow as the list has it, by the time it was asked for. */
interface Listed extends Place {
  readonly workflow: DescribedWorkflow;
}

/** One page. @throws ApiError `TemporalUnavailable`; `WorkerUnavailable` when no worker ever registered the search attributes */
export async function listOperations(
  deps: ListDeps,
  { filters, size, after, within }: WantedPage,
): Promise<OperationsPage> {
  const query = (span: Span): string | undefined => visibilityQuery(deps.types, filters, span, within);
  const store = {
    count: async (span: Span) => {
      const asked = query(span);
      return asked === undefined ? 0 : (await call(() => deps.client.workflow.count(asked))).count;
    },
    list: async (span: Span) => {
      const asked = query(span);
      return asked === undefined ? [] : await listed(asked);
    },
  };
  const page = { size, oldest: filters.since ?? 0, after, now: deps.clock().getTime() };
  const { entries, next } = await newestFirst(store, page);
  const read = entries.map(({ id, workflow }) => ({ id, operation: readable(workflow) }));
  return {
    operations: read.flatMap(({ operation }) => (operation === undefined ? [] : [operation])),
    unreadable: read.flatMap(({ id, operation }) => (operation === undefined ? [id] : [])),
    ...(next === undefined ? {} : { next }),
  };

  async function call<T>(work: () => Promise<T>): Promise<T> {
    const { client } = deps;
    try {
      return await deps.call(work);
    } catch (error) {
      throw unknownAttributes(error, client.options.namespace, 'Operations cannot be listed.') ?? error;
    }
  }

  async function listed(asked: string): Promise<Listed[]> {
    const { client } = deps;
    const { namespace, loadedDataConverter } = client.options;
    const all: Listed[] = [];
    let nextPageToken: Uint8Array | undefined;
    do {
      const answer = await call(() =>
        client.workflowService.listWorkflowExecutions({
          namespace,
          query: asked,
          pageSize: READ_AT_ONCE,
          nextPageToken,
        }),
      );
      for (const raw of answer.executions) {
        const { typedSearchAttributes, ...info } = await executionInfoFromRaw(raw, loadedDataConverter, raw, namespace);
        const at = typedSearchAttributes.get(SearchAttributes.requestedAt)?.getTime();
        // The query asks for it, so that it is there. A list has no pending activities: it shows no live progress.
        if (at !== undefined) all.push({ id: info.workflowId, at, workflow: { ...info, raw: {} } });
      }
      nextPageToken = answer.nextPageToken;
    } while (nextPageToken.length > 0);
    return all;
  }
}

/** How many operations have not ended. @throws ApiError `TemporalUnavailable`, `WorkerUnavailable` */
export async function countOpen(
  { client, call, types }: ListDeps,
  filters: Pick<Filters, 'requester' | 'cluster'>,
): Promise<number> {
  const query = visibilityQuery(types, { ...filters, statuses: UNFINISHED }, { since: 0 });
  if (query === undefined) return 0;
  try {
    return (await call(() => client.workflow.count(query))).count;
  } catch (error) {
    throw unknownAttributes(error, client.options.namespace, 'Nothing was started.') ?? error;
  }
}

function readable(workflow: DescribedWorkflow): Operation | undefined {
  try {
    return storedOperation(workflow).operation;
  } catch (error) {
    // One record of another version must not take the whole list away.
    if (error instanceof ApiError && error.code === 'InternalError') return undefined;
    throw error;
  }
}
