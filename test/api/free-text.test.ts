/** What people write of a decision is shown in terminals, in the Temporal UI, in logs and in evidence: it must be plain there. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { Role } from '../../domain/people';
import { sampleRequests, type SampleRequest } from '../support/sample-requests';
import { CLUSTER, idOf, REQUEST, startTestApi, type TestApi } from './support';

/** Members that are the words of a person, wherever a body has them. */
const WORDS = ['comment', 'reason'];
const REFUSED: readonly (readonly [string, string])[] = [
  ['an escape sequence', 'fine\u001b[2Jfine'],
  ['a NUL', 'fine\u0000'],
  ['a control character of the second block', 'fine\u009b2J'],
  ['a mark of the writing direction', 'exe.\u202egnp'],
  ['an isolate of the writing direction', 'a\u2066b'],
  ['a line separator', 'a\u2028**Approved**'],
  ['half of a surrogate pair', 'a\ud83d'],
];

const Schema = z.looseObject({ properties: z.record(z.string(), z.unknown()).default({}) });

let api: TestApi;
let token: string;
let id: string;
let requests: SampleRequest[];
/** Which member of which body: `approveOperation /breakGlass/reason`. */
let members: { readonly request: SampleRequest; readonly path: readonly string[]; readonly schema: unknown }[];

beforeAll(async () => {
  api = await startTestApi({ auth: { approvalClients: undefined }, rateLimit: { limit: 10_000, windowInMs: 60_000 } });
  token = await api.tokens.of('Everyone', Object.values(Role));
  id = idOf(await api.ask('k1'));
  const document = JSON.parse((await api.call('GET', '/openapi.json')).text) as unknown;
  requests = sampleRequests(document, {
    operation: id,
    cluster: CLUSTER,
    parameters: {},
    bodies: { createOperation: REQUEST },
  });
  const { components } = z
    .object({ components: z.object({ schemas: z.record(z.string(), z.unknown()) }) })
    .parse(document);
  members = requests.flatMap((request) =>
    request.bodyName === undefined
      ? []
      : wordsIn(components.schemas[request.bodyName]).map(({ path, schema }) => ({ request, path, schema })),
  );
});
afterAll(() => api.close());

function wordsIn(schema: unknown, at: readonly string[] = []): { path: readonly string[]; schema: unknown }[] {
  return Object.entries(Schema.parse(schema).properties).flatMap(([name, inner]) =>
    WORDS.includes(name) ? [{ path: [...at, name], schema: inner }] : wordsIn(inner, [...at, name]),
  );
}

const withWords = ({ body }: SampleRequest, path: readonly string[], text: string): unknown => ({
  ...(body as object),
  ...(path.reduceRight<unknown>((inner, name) => ({ [name]: inner }), text) as object),
});

describe('the words of a person', () => {
  it('are in these members of requests', () => {
    expect(members.map(({ request, path }) => `${request.operationId} ${path.join('.')}`).sort()).toEqual([
      'acceptSecrets reason',
      'approveOperation breakGlass.reason',
      'approveOperation comment',
      'cancelOperation comment',
      'denyOperation comment',
      'pauseOperation reason',
    ]);
  });

  it.each(REFUSED)('are refused with %s, in every member', async (_, text) => {
    for (const { request, path } of members) {
      const body = withWords(request, path, text);
      const reply = await api.call(request.method, request.path, { token, body });
      expect([request.operationId, reply.problem()]).toMatchObject([
        request.operationId,
        { status: 400, code: 'InvalidRequest', errors: [{ pointer: `/${path.join('/')}` }] },
      ]);
    }
    expect(api.gateway.told).toEqual([]);
  });

  it('are one line: breaks and tabs become spaces', async () => {
    const planDigest = api.gateway.planFor(id);
    const body = { planDigest, comment: '  Agreed in CAB.\r\n\r\n# Approved\tby all  ' };
    const reply = await api.call('POST', `/v1/operations/${id}:approve`, { token: api.as.anna, body });
    expect(reply.status).toBe(200);
    expect(api.gateway.told).toMatchObject([{ decision: { comment: 'Agreed in CAB. # Approved by all' } }]);
  });
});
