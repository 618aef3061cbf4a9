/** Which operations a list has, as filters and as a query for Temporal's visibility. */
import { isFinal, OperationStatus } from '../domain/operation';
import { NOT_PLAIN } from '../domain/plain-text';
import { parseClusterId } from '../domain/resource-ids';
import { clusterAttribute, SearchAttributes } from '../workflows/messages';
import type { Grant } from './policy/decide';

/** Filters of a list. All must hold; one that is absent lets every operation pass. */
export interface Filters {
  /** ARM resource id. */
  readonly cluster?: string;
  readonly kind?: string;
  /** One of these. */
  readonly statuses?: readonly OperationStatus[];
  readonly waitingForPeople?: boolean;
  readonly changeNumber?: string;
  /** Object id in Entra. */
  readonly requester?: string;
  /** Milliseconds since 1970: asked for then or later. */
  readonly since?: number;
}

/** When operations were asked for, in milliseconds since 1970. Both ends belong to it. */
export interface Span {
  readonly since: number;
  /** Absent: until now. */
  readonly until?: number;
}

/** The statuses that only a person ends. */
const WAITING_FOR_PEOPLE: ReadonlySet<OperationStatus> = new Set([
  OperationStatus.AwaitingApproval,
  OperationStatus.Blocked,
  OperationStatus.Paused,
]);
const ALL = Object.values(OperationStatus);
/** The statuses of operations that have not ended. */
export const UNFINISHED = ALL.filter((status) => !isFinal(status));

/** Whether an operation of this status waits for a person. */
export function waitsForPeople(status: OperationStatus): boolean {
  return WAITING_FOR_PEOPLE.has(status);
}

/**
 * A text that a filter can look for. Temporal's SQL visibility does not find a value with one of the excluded characters, however it
 * is quoted; without them, quoting is simple.
 */
export const FILTER_TEXT = new RegExp(`^[^'"\\\\${NOT_PLAIN}]+$`, 'u');

/**
 * The query for the operations that pass the filters and were asked for within the span; undefined when there can be none.
 * @param types the types of workflows that are operations
 * @param options.within what the caller may read; absent when that is everything
 * @param options.without ids of workflows to leave out
 * @throws Error for a text that cannot be looked for: the caller checks them with FILTER_TEXT
 */
export function visibilityQuery(
  types: readonly string[],
  filters: Filters,
  span: Span,
  { within, without = [] }: { readonly within?: readonly Grant[]; readonly without?: readonly string[] } = {},
): string | undefined {
  const statuses = statusesOf(filters);
  if (statuses.length === 0 || within?.length === 0) return undefined;
  const { kind, cluster, change, requester, requestedAt } = SearchAttributes;
  const clusterId = filters.cluster === undefined ? undefined : parseClusterId(filters.cluster);
  const equals = (name: string, value: string | undefined): string[] =>
    value === undefined ? [] : [`${name} = ${quoted(value)}`];
  return [
    oneOf('WorkflowType', types),
    // One operation may have several runs; only the last one is not continued.
    `ExecutionStatus != 'ContinuedAsNew'`,
    ...equals(kind.name, filters.kind),
    ...equals(cluster.name, clusterId && clusterAttribute(clusterId)),
    ...equals(change.name, filters.changeNumber),
    ...equals(requester.name, filters.requester?.toLowerCase()),
    ...(statuses.length === ALL.length ? [] : [statusQuery(statuses)]),
    ...(within === undefined ? [] : [`(${within.map(grantQuery).join(' OR ')})`]),
    `${requestedAt.name} > '${halfAfter(span.since - 1)}'`,
    ...(span.until === undefined ? [] : [`${requestedAt.name} < '${halfAfter(span.until)}'`]),
    ...(without.length === 0 ? [] : [`WorkflowId NOT IN (${without.map(quoted).join(', ')})`]),
  ].join(' AND ');
}

/** Whether an operation passes the filters on its status. */
export function statusesOf({ statuses = ALL, waitingForPeople }: Filters): OperationStatus[] {
  return statuses.filter((status) => waitingForPeople === undefined || waitsForPeople(status) === waitingForPeople);
}

/**
 * A workflow that was ended from outside could not write that: its operation has Failed (stored-operation.ts), while the search
 * attribute still says what it did before.
 */
function statusQuery(statuses: readonly OperationStatus[]): string {
  const { name } = SearchAttributes.status;
  const final = statuses.filter(isFinal);
  const unfinished = statuses.filter((status) => !isFinal(status));
  const parts = [
    ...(final.length === 0 ? [] : [oneOf(name, final)]),
    ...(unfinished.length === 0 ? [] : [`(CloseTime IS NULL AND ${oneOf(name, unfinished)})`]),
    ...(final.includes(OperationStatus.Failed) ? [`(CloseTime IS NOT NULL AND ${oneOf(name, UNFINISHED)})`] : []),
  ];
  return `(${parts.join(' OR ')})`;
}

/** The operations of one grant. */
function grantQuery({ kinds, scope }: Grant): string {
  const { kind, cluster } = SearchAttributes;
  const parts = [
    ...(kinds === undefined ? [] : [oneOf(kind.name, kinds)]),
    ...(scope === undefined ? [] : [scopeQuery(cluster.name, scope)]),
  ];
  if (parts.length === 0) throw new Error('A grant of everything needs no query.');
  return parts.length === 1 ? parts.join('') : `(${parts.join(' AND ')})`;
}

/** The attribute of a cluster is subscription, resource group and name, with slashes between them. */
function scopeQuery(name: string, scope: string): string {
  const id = parseClusterId(scope);
  if (id) return `${name} = ${quoted(clusterAttribute(id))}`;
  const [, , subscription = '', , group] = scope.toLowerCase().split('/');
  return `${name} STARTS_WITH ${quoted(`${[subscription, ...(group === undefined ? [] : [group])].join('/')}/`)}`;
}

function oneOf(name: string, values: readonly string[]): string {
  return `${name} IN (${values.map(quoted).join(', ')})`;
}

function quoted(value: string): string {
  if (!FILTER_TEXT.test(value)) throw new Error('This text cannot be looked for.');
  return `'${value}'`;
}

/**
 * Half a millisecond after a time. SQLite compares times as texts, "05.12" with "05.120", and takes equal ones for different: a limit
 * that no time equals is compared well by every store.
 */
function halfAfter(time: number): string {
  return new Date(time).toISOString().replace('Z', '5Z');
}
