/** The client of the API, made from its own OpenAPI document: paths, parameters and answers have its types. */
import createClient, { type Client } from 'openapi-fetch';
import { problemFailure } from '../output/problem';
import { HttpRequest, httpFetch, unreachable } from './http';
import type { components, paths } from './schema';

/** An operation as the API answers it. */
export type Operation = components['schemas']['Operation'];
/** An operation as a list shows it. */
export type OperationSummary = components['schemas']['OperationSummary'];
/** A plan of which nothing was started. */
export type PlanPreview = components['schemas']['PlanPreview'];
/** A plan. */
export type Plan = NonNullable<Operation['plan']>;
/** What the API has, or lacks. */
export type DoctorReport = components['schemas']['DoctorReport'];

/** How `openapi-fetch` answers. */
interface Answered<Data> {
  readonly data?: Data;
  readonly error?: unknown;
  readonly response: Response;
}

/** The API for one caller. */
export interface Api {
  readonly url: string;
  readonly client: Client<paths>;
  /** The same without a token, for routes that need none. */
  readonly open: Client<paths>;
  /** The access token; asked for again before each request, since it may be renewed. */
  readonly token: () => Promise<string>;
}

/** Makes the client. Sends nothing yet. */
export function apiClient(url: string, token: () => Promise<string>): Api {
  const settings = {
    baseUrl: url,
    fetch: httpFetch,
    Request: HttpRequest,
    // A parameter that repeats is written `status=Running&status=Blocked`, as the API document has it.
    querySerializer: { array: { style: 'form', explode: true } },
  } as const;
  const client = createClient<paths>(settings);
  client.use({
    async onRequest({ request }) {
      request.headers.set('authorization', `Bearer ${await token()}`);
      return request;
    },
  });
  return { url, client, open: createClient<paths>(settings), token };
}

/** The data of an answer. @throws CommandFailed with the problem of the API, or because nothing answers */
export async function answerOf<Data>(api: Pick<Api, 'url'>, answer: Promise<Answered<Data>>): Promise<Data> {
  const { data, error, response } = await sent(api, answer);
  if (!response.ok || data === undefined) throw problemFailure(response.status, error);
  return data;
}

/** An answer, whatever it is. @throws CommandFailed because nothing answers */
export async function sent<Data>({ url }: Pick<Api, 'url'>, answer: Promise<Answered<Data>>): Promise<Answered<Data>> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof TypeError) throw unreachable(`The API at ${url}`, error);
    throw error;
  }
}

/** The parts of a managed cluster's ARM resource id, as parameters of a path. */
export function clusterPath(cluster: {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly name: string;
}): { subscription: string; resourceGroup: string; name: string } {
  return { subscription: cluster.subscriptionId, resourceGroup: cluster.resourceGroup, name: cluster.name };
}
