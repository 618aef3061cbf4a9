/** Lists in pages, as ARM gives them: short ones, so that a client that forgets `nextLink` is found out. */
import type { Request } from 'express';
import { badRequest } from '../errors';
import type { JsonObject } from '../json';

const ITEMS_PER_PAGE = 2;
const TOKEN = '$skiptoken';

/** The page that a request asks for, and the link to the next one when there is more. @throws AzureError 400 */
export function pageOf<T>(request: Request, items: readonly T[]): JsonObject {
  const { query, hostname, path } = request;
  const token = query[TOKEN] ?? '0';
  const start = Number(token);
  if (typeof token !== 'string' || !Number.isInteger(start) || start < 0) {
    throw badRequest(`The ${TOKEN} is not one that the service gave out.`, 'InvalidSkipToken');
  }
  const end = start + ITEMS_PER_PAGE;
  const value = items.slice(start, end);
  if (end >= items.length) return { value };
  const next = new URLSearchParams({ 'api-version': versionOf(request), [TOKEN]: String(end) });
  return { value, nextLink: `https://${hostname}${path}?${next.toString()}` };
}

function versionOf({ query }: Request): string {
  const version = query['api-version'];
  return typeof version === 'string' ? version : '';
}
