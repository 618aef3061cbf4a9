/**
 * Lists of operations, from Temporal's visibility.
 *
 * Needs: the search attributes of operations (workflows/messages.ts). No worker is needed: the memo of each comes with the list.
 * Never does: decide anything. A list lags behind, so it is for people to look at.
 */
import type { Client } from '@temporalio/client';
import { executionInfoFromRaw } from '@temporalio/client/lib/helpers';
import { defaultPayloadConverter } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';
import { ZodError } from 'zod';
import { canonicalJson } from '../domain/canonical';
import { isFinal } from '../domain/operation';
import { LISTED_FIELDS, listedInMemo, type ListedOperation } from '../domain/operation-memo';
import { SearchAttributes } from '../workflows/messages';
import { UNFINISHED, visibilityQuery, type Filters, type Span } from './list-query';
import { newestFirst, type Place, type Store } from './newest-first';
import type { OperationsPage, WantedPage } from './operations-gateway';
import { ApiError } from './problem';
import { storedOperation } from './stored-operation';
import { unknownAttributes } from './temporal-faults';

/** Memos have up to 32 kB each. */
const READ_AT_ONCE = 100;
const REACHES_KEPT = 200;

/** What lists are read with. */
export interface ListDeps {
  readonly client: Client;
  /** Runs a call with a deadline. */
  readonly call: <T>(work: () => Promise<T>) => Promise<T>;
  /** The types of workflows that are operations. */
  readonly types: readonly string[];
  readonly clock: () => Date;
  readonly reaches: Reaches;
}

/** How far back the first page of each kind of list reached: hints for the next time, in milliseconds since 1970. */
export class Reaches {
  readonly #known = new Map<string, number>();

  of(list: string): number | undefined {
    return this.#known.get(list);
  }

  /** Keeps those of the last few kinds of lists. */
  keep(list: string, reached: number): void {
    this.#known.delete(list);
    this.#known.set(list, reached);
    for (const [first] of this.#known) if (this.#known.size > REACHES_KEPT) this.#known.delete(first);
  }
}

type RawWorkflow = temporal.api.workflow.v1.IWorkflowExecutionInfo;

/** A workflow as the list has it, by the time it was asked for. Its memo is decoded only when it is on the page. */
interface Listed extends Place {
  readonly raw: RawWorkflow;
}

/** `WORKFLOW_EXECUTION_STATUS_RUNNING` of Temporal's API. */
const RUNNING = 1;

/** One page. @throws ApiError `TemporalUnavailable`; `WorkerUnavailable` when no worker ever registered the search attributes */
export async function listOperations(
  deps: ListDeps,
  { filters, size, after, within }: WantedPage,
): Promise<OperationsPage> {
  const { client } = deps;
  const query = (span: Span, without?: readonly string[]): string | undefined =>
    visibilityQuery(deps.types, filters, span, { within, without });
  const store: Store<Listed> = {
    count: async (span) => {
      const asked = query(span);
      return asked === undefined ? 0 : (await call(() => client.workflow.count(asked))).count;
    },
    list: async (span) => {
      const asked = query(span);
      const all: Listed[] = [];
      let token: Uint8Array | undefined;
      do {
        const read = asked === undefined ? { entries: [] } : await pageOf(asked, READ_AT_ONCE, token);
        all.push(...read.entries);
        token = read.token;
      } while (token !== undefined);
      return all;
    },
    some: async (span, { most, without }) => {
      const asked = query(span, without);
      if (asked === undefined) return { entries: [], all: true };
      const { entries, token } = await pageOf(asked, most);
      return { entries, all: token === undefined };
    },
  };
  // Without a time, which every reader may choose: a list from now on is another one each time.
  const { since: oldest = 0, ...others } = filters;
  const list = canonicalJson([others, within, size]);
  const page = { size, oldest, after, now: deps.clock().getTime() };
  const { entries, next, reached } = await newestFirst(store, {
    ...page,
    ...(after === undefined ? { reached: deps.reaches.of(list) } : {}),
  });
  if (after === undefined && reached !== undefined) deps.reaches.keep(list, reached);
  const read = await Promise.all(entries.map(async ({ id, raw }) => ({ id, operation: await readable(client, raw) })));
  return {
    operations: read.flatMap(({ operation }) => (operation === undefined ? [] : [operation])),
    unreadable: read.flatMap(({ id, operation }) => (operation === undefined ? [id] : [])),
    ...(next === undefined ? {} : { next }),
  };

  async function call<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await deps.call(work);
    } catch (error) {
      throw unknownAttributes(error, client.options.namespace, 'Operations cannot be listed.') ?? error;
    }
  }

  /** @returns `token` is absent when nothing follows */
  async function pageOf(
    asked: string,
    pageSize: number,
    nextPageToken?: Uint8Array,
  ): Promise<{ readonly entries: readonly Listed[]; readonly token?: Uint8Array }> {
    const { namespace } = client.options;
    const answer = await call(() =>
      client.workflowService.listWorkflowExecutions({ namespace, query: asked, pageSize, nextPageToken }),
    );
    const token = answer.nextPageToken;
    return { entries: answer.executions.flatMap(listed), ...(token.length === 0 ? {} : { token }) };
  }
}

/** The query asks for the time, so that it is there. */
function listed(raw: RawWorkflow): Listed[] {
  const id = raw.execution?.workflowId;
  const time = raw.searchAttributes?.indexedFields?.[SearchAttributes.requestedAt.name];
  const at = time ? Date.parse(defaultPayloadConverter.fromPayload<string>(time)) : NaN;
  return id && !Number.isNaN(at) ? [{ id, at, raw }] : [];
}

/** How many operations have not ended. @throws ApiError `TemporalUnavailable`, `WorkerUnavailable` */
export async function countOpen(
  { client, call, types }: Pick<ListDeps, 'client' | 'call' | 'types'>,
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

/** What the list shows of a workflow; undefined when its record cannot be read. */
async function readable({ options }: Client, raw: RawWorkflow): Promise<ListedOperation | undefined> {
  const { namespace, loadedDataConverter } = options;
  try {
    const fields = raw.memo?.fields ?? {};
    // The SDK would make some promises for each field, 500 of them on a page.
    const wanted = LISTED_FIELDS.flatMap((name) =>
      fields[name] ? [[name, defaultPayloadConverter.fromPayload<unknown>(fields[name])] as const] : [],
    );
    const operation = listedInMemo(Object.fromEntries(wanted));
    if (Number(raw.status) === RUNNING || isFinal(operation.status)) return operation;
    // Ended from outside: what that means is said from the whole view. A list has no pending activities: it shows no live progress.
    const info = await executionInfoFromRaw(raw, loadedDataConverter, raw, namespace);
    return storedOperation({ ...info, raw: {} }).operation;
  } catch (error) {
    // One record of another version must not take the whole list away.
    if (error instanceof ZodError || (error instanceof ApiError && error.code === 'InternalError')) return undefined;
    throw error;
  }
}
