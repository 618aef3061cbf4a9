/** Page tokens: opaque to clients, and good for one list with the filters that it was begun with. */
import { z } from 'zod';
import { digestOf } from '../domain/canonical';
import type { Filters } from './list-query';
import type { Place } from './newest-first';
import { ApiError } from './problem';

/** Milliseconds of a time that a text can be made of: up to the year 9999. */
const LATEST = 253_402_300_799_999;
const Content = z.strictObject({
  v: z.literal(1),
  at: z.int().min(0).max(LATEST),
  id: z.string().max(64),
  filters: z.string(),
});

/** The token for what follows a place. */
export function pageToken({ at, id }: Place, filters: Filters): string {
  return Buffer.from(JSON.stringify({ v: 1, at, id, filters: digestOf(filters) })).toString('base64url');
}

/** The place that a token tells. It grants nothing: a token of a client's own making is a place like any other. @throws ApiError `InvalidRequest` */
export function placeOf(token: string, filters: Filters): Place {
  const { data } = Content.safeParse(parsed(token));
  if (data === undefined) throw refused('This is no token of Keyturn. Begin again without it.');
  if (data.filters !== digestOf(filters)) {
    throw refused('It belongs to a list with other filters. Repeat those, or begin again without it.');
  }
  return { at: data.at, id: data.id };
}

function refused(detail: string): ApiError {
  return new ApiError({ code: 'InvalidRequest', detail: `The query parameter "pageToken": ${detail}` });
}

function parsed(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token, 'base64url').toString());
  } catch {
    return undefined;
  }
}
