/**
 * Asks ServiceNow for a change request, by its Table API.
 *
 * Trap: ServiceNow ignores a part of `sysparm_query` that it does not understand and then answers with all rows. So a number that is
 * no number is never sent, and the number of the answer is compared. Another trap: while an instance sleeps or is under maintenance
 * it answers 200 with a page in HTML.
 */
import { z } from 'zod';
import type { ChangeAnswer } from '../../domain/change/window';
import { ChangeSystemAway, exchange, statusSentence, type JsonAnswer } from './exchange';
import type { ChangeSystem, ChangeSystemSettings } from './port';
import { serviceNowLogin, type ServiceNowLogin } from './servicenow-login';
import { answerOfRecord, CHANGE_FIELDS, ChangeRecord } from './servicenow-record';

type Settings = Extract<ChangeSystemSettings, { name: 'servicenow' }>;

/** Nothing of ServiceNow's query language: `^` would add conditions of the requester's own. */
const NUMBER = /^[A-Za-z]{1,20}[0-9]{1,30}$/;
const List = z.object({ result: z.array(ChangeRecord) });
const One = z.object({ result: ChangeRecord });

/** The adapter. */
export function serviceNowChangeSystem(settings: Settings): ChangeSystem {
  const login = serviceNowLogin(settings);
  return {
    async ask({ change: { number, url } }, signal) {
      if (!NUMBER.test(number)) {
        return { state: 'unknown', says: 'it is not a number of ServiceNow: letters, then digits.' };
      }
      const id = sysIdIn(url, settings.url);
      const record = await (id === undefined ? byNumber(number, signal) : byId(id, signal));
      if (record === undefined)
        return { state: 'unknown', says: 'ServiceNow has no such change request, or Keyturn may not read it.' };
      if (record.number.toUpperCase() !== number.toUpperCase()) return anotherRecord(id);
      return answerOfRecord(record);
    },
  };

  async function byNumber(number: string, signal: AbortSignal): Promise<ChangeRecord | undefined> {
    const query = { sysparm_query: `number=${number}`, sysparm_limit: '2' };
    const answer = await read('/api/now/table/change_request', query, signal);
    const { result } = parsed(List, answer);
    // Two records for one number: the query was ignored.
    return result.length > 1 ? ignored() : result[0];
  }

  async function byId(id: string, signal: AbortSignal): Promise<ChangeRecord | undefined> {
    const answer = await read(`/api/now/table/change_request/${id}`, {}, signal, [404]);
    return answer.status === 404 ? undefined : parsed(One, answer).result;
  }

  async function read(
    path: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
    expected: readonly number[] = [],
  ): Promise<JsonAnswer> {
    const parameters = new URLSearchParams({
      ...query,
      sysparm_fields: CHANGE_FIELDS.join(','),
      // Times in UTC and states as numbers, whatever the user's language and time zone are.
      sysparm_display_value: 'false',
      sysparm_exclude_reference_link: 'true',
    });
    const url = `${settings.url}${path}?${parameters.toString()}`;
    const answer = await withLogin(login, signal, (authorization) =>
      exchange(url, { method: 'GET', headers: { authorization }, signal }),
    );
    if (answer.status === 200 || (expected.includes(answer.status) && answer.body !== undefined)) return answer;
    throw new ChangeSystemAway(statusSentence(url, answer));
  }
}

/** A token may be refused before its time: another one is asked for, once. */
async function withLogin(
  login: ServiceNowLogin,
  signal: AbortSignal,
  send: (authorization: string) => Promise<JsonAnswer>,
): Promise<JsonAnswer> {
  const first = await send(await login.authorization(signal));
  if (first.status !== 401 || !login.forget()) return first;
  return await send(await login.authorization(signal));
}

function parsed<T>(schema: z.ZodType<T>, { body }: JsonAnswer): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw new ChangeSystemAway(
    body === undefined
      ? 'ServiceNow answered with a page instead of JSON: the instance sleeps, or is under maintenance.'
      : 'The answer of ServiceNow does not have the form of its Table API.',
  );
}

function ignored(): never {
  throw new ChangeSystemAway(
    'ServiceNow answered with more than the change request that was asked for: it ignored the query.',
  );
}

function anotherRecord(id: string | undefined): ChangeAnswer {
  if (id === undefined) return ignored();
  return { state: 'unknown', says: 'the sys_id in `url` is that of a record with another number.' };
}

/** The sys_id in a link to the record, when it is a link to this instance. */
function sysIdIn(link: string | undefined, instance: string): string | undefined {
  if (link === undefined || !URL.canParse(link) || new URL(link).host !== new URL(instance).host) return undefined;
  return /[?&]sys_id(?:=|%3D)([0-9a-f]{32})(?![0-9a-f])/i.exec(link)?.[1]?.toLowerCase();
}
