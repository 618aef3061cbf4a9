import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { visibilityQuery } from '../../api/list-query';
import { ApiError } from '../../api/problem';
import { OperationList } from '../../api/routes/list-operations';
import { Role } from '../../domain/people';
import { CLUSTER, idOf, REQUEST, startTestApi, type TestApi } from './support';

let api: TestApi;
let ids: string[];
// Not in the past: tokens are judged by the same clock.
let time = Date.now();
beforeAll(async () => {
  api = await startTestApi({ clock: () => new Date((time += 1000)), temporalUiUrl: 'http://127.0.0.1:8233' });
  ids = [];
  for (const number of ['CHG1', 'CHG2', 'CHG3', 'CHG4', 'CHG5'])
    ids.push(idOf(await api.ask(number, { ...REQUEST, change: { number } })));
  const otto = await api.tokens.of('Otto', [Role.Operator]);
  const reply = await api.call('POST', '/v1/operations', {
    token: otto,
    body: { ...REQUEST, kind: 'rewrite-secrets', cluster: CLUSTER.replace('aks1', 'aks2'), change: { number: 'CHG6' } },
    headers: { 'idempotency-key': 'k' },
  });
  ids.push(idOf(reply));
  ids.reverse();
  api.gateway.planFor(ids[0] ?? '');
  api.gateway.change(ids[1] ?? '', { status: 'Blocked', reason: { code: 'NotConverged', detail: 'One is late.' } });
  api.gateway.change(ids[2] ?? '', { status: 'Succeeded', endedAt: '2026-01-02T00:00:00.000Z' });
});
afterAll(() => api.close());

const list = (query = '', token = api.as.rita) => api.call('GET', `/v1/operations${query}`, { token });
const idsOf = async (query: string, token?: string) =>
  (await list(query, token)).json(OperationList).operations.map(({ id }) => id);

describe('a list of operations', () => {
  it('has the newest first, each without its plan and with a link to it', async () => {
    const reply = await list();
    expect(reply.status).toBe(200);
    const { operations, nextPageToken, unreadable } = reply.json(OperationList);
    expect(operations.map(({ id }) => id)).toEqual(ids);
    expect([nextPageToken, unreadable]).toEqual([undefined, []]);
    expect(operations[0]).toEqual({
      id: ids[0],
      kind: 'rewrite-secrets',
      status: 'AwaitingApproval',
      waitingForPeople: true,
      reason: null,
      waitingFor: expect.any(String),
      cluster: CLUSTER.replace('aks1', 'aks2'),
      change: { number: 'CHG6' },
      requestedBy: expect.objectContaining({ name: 'Otto' }),
      requestedAt: api.gateway.operation(ids[0] ?? '').requestedAt,
      approvalDeadline: null,
      endedAt: null,
      offers: ['approve', 'deny', 'cancel'],
      links: {
        self: `${api.url}/v1/operations/${ids[0]}`,
        temporalUi: `http://127.0.0.1:8233/namespaces/default/workflows/${ids[0]}`,
      },
    });
    expect(reply.text).not.toMatch(/"(plan|steps|progressText|approve)":/);
  });

  it('is for each role, and for nobody without one', async () => {
    for (const token of [api.as.olga, api.as.anna, api.as.rita]) expect((await list('', token)).status).toBe(200);
    expect((await list('', await api.tokens.of('Nina', []))).problem().code).toBe('RoleMissing');
    expect((await api.call('GET', '/v1/operations')).problem().code).toBe('Unauthenticated');
  });

  it('has what passes every filter', async () => {
    const [six, five, four, ...older] = ids;
    const aks2 = encodeURIComponent(CLUSTER.replace('aks1', 'AKS2'));
    expect(await idsOf(`?cluster=${aks2}`)).toEqual([six]);
    expect(await idsOf('?kind=rewrite-secrets')).toEqual([six]);
    expect(await idsOf('?status=Blocked')).toEqual([five]);
    expect(await idsOf('?status=Blocked&status=Succeeded')).toEqual([five, four]);
    expect(await idsOf('?waitingForPeople=true')).toEqual([six, five]);
    expect(await idsOf('?waitingForPeople=false')).toEqual([four, ...older]);
    expect(await idsOf('?waitingForPeople=true&status=Succeeded')).toEqual([]);
    expect(await idsOf('?changeNumber=CHG4')).toEqual([four]);
    expect(await idsOf('?requester=OID-otto')).toEqual([six]);
    expect(await idsOf('?requester=me', api.as.olga)).toEqual([five, four, ...older]);
    const { requestedAt } = api.gateway.operation(five ?? '');
    expect(await idsOf(`?since=${requestedAt}`)).toEqual([six, five]);
    expect(await idsOf(`?since=${requestedAt}&kind=rotate-key`)).toEqual([five]);
  });

  it('is read page by page, also when a newer operation comes between', async () => {
    const first = (await list('?pageSize=2&kind=rotate-key')).json(OperationList);
    const second = (await list(`?pageSize=3&kind=rotate-key&pageToken=${first.nextPageToken}`)).json(OperationList);
    expect([...first.operations, ...second.operations].map(({ id }) => id)).toEqual(ids.slice(1));
    expect(second.nextPageToken).toBeUndefined();
  });

  it.each([
    ['?state=Failed', 'InvalidRequest', '"state"'],
    ['?status=failed', 'InvalidRequest', '"status"'],
    ['?kind=rotate', 'InvalidRequest', '"kind"'],
    ['?kind=rotate-key&kind=retire-key', 'InvalidRequest', '"kind"'],
    ['?cluster=aks1', 'InvalidClusterId', '"cluster"'],
    ["?changeNumber=x'%20OR%20KeyturnKind%20=%20'y", 'InvalidRequest', '"changeNumber"'],
    ['?changeNumber=a%5Cb', 'InvalidRequest', '"changeNumber"'],
    ['?requester=', 'InvalidRequest', '"requester"'],
    ['?since=yesterday', 'InvalidRequest', '"since"'],
    ['?since=2026-01-01T00:00:00', 'InvalidRequest', '"since"'],
    ['?pageSize=0', 'InvalidRequest', '"pageSize"'],
    ['?pageSize=101', 'InvalidRequest', '"pageSize"'],
    ['?pageSize=1e1', 'InvalidRequest', '"pageSize"'],
    ['?waitingForPeople=yes', 'InvalidRequest', '"waitingForPeople"'],
    ['?pageToken=abc', 'InvalidRequest', '"pageToken"'],
    ['?pageToken=bnVsbA', 'InvalidRequest', '"pageToken"'],
  ])('is refused with one sentence for %s', async (query, code, named) => {
    const problem = (await list(query)).problem();
    expect(problem).toMatchObject({ status: 400, code, detail: expect.stringContaining(named) });
    expect(problem.errors).toHaveLength(1);
    expect(problem.detail).toMatch(/Expected|no such|no token/);
    expect(problem).not.toHaveProperty('pointer');
  });

  it('is refused with every parameter that is wrong', async () => {
    const { errors } = (await list('?status=x&pageSize=y&colour=z')).problem();
    expect(errors.map(({ detail }) => /"\w+"/.exec(detail)?.[0])).toEqual(['"status"', '"pageSize"', '"colour"']);
    expect(errors[0]?.detail).toContain('AwaitingApproval');
  });

  it('is refused for a token of a list with other filters', async () => {
    const { nextPageToken } = (await list('?pageSize=1&kind=rotate-key')).json(OperationList);
    const problem = (await list(`?pageSize=1&pageToken=${nextPageToken}`)).problem();
    expect(problem).toMatchObject({
      status: 400,
      code: 'InvalidRequest',
      detail: expect.stringContaining('other filters'),
    });
  });

  it('is 503 while Temporal does not answer', async () => {
    api.gateway.outage = new ApiError({ code: 'TemporalUnavailable', detail: 'Temporal did not answer in time.' });
    const reply = await list();
    api.gateway.outage = undefined;
    expect(reply.problem().code).toBe('TemporalUnavailable');
  });
});

describe('the query for a list', () => {
  const span = { since: 1_000, until: 2_000 };
  const query = (filters: Parameters<typeof visibilityQuery>[1]) => visibilityQuery(['rotateKey'], filters, span);

  it('has no other operation than those of Keyturn, and limits that no time equals', () => {
    expect(query({})).toBe(
      "WorkflowType IN ('rotateKey') AND ExecutionStatus != 'ContinuedAsNew' AND KeyturnRequestedAt > '1970-01-01T00:00:00.9995Z' AND KeyturnRequestedAt < '1970-01-01T00:00:02.0005Z'",
    );
  });

  it('finds an operation that was ended in Temporal under Failed, and nowhere else', () => {
    expect(query({ statuses: ['Running'] })).toContain("((CloseTime IS NULL AND KeyturnStatus IN ('Running')))");
    expect(query({ statuses: ['Failed'] })).toContain(
      "(KeyturnStatus IN ('Failed') OR (CloseTime IS NOT NULL AND KeyturnStatus IN ('Planning', ",
    );
    expect(query({ statuses: ['Succeeded'] })).toContain("(KeyturnStatus IN ('Succeeded'))");
  });

  it('never has a text that could end its quotation', () => {
    for (const text of ["x'y", 'x"y', 'x\\y', 'x\ny'])
      expect(() => query({ changeNumber: text })).toThrow('looked for');
    expect(query({ changeNumber: 'CHG 1; ünï 日' })).toContain("KeyturnChange = 'CHG 1; ünï 日'");
  });
});
