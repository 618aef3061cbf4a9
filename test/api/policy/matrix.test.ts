/**
 * Every route × role × kind of token × cluster, with a policy. The routes are those of the API document: a new one that has no row here
 * fails the first test.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { Role } from '../../../domain/people';
import { notInArm } from '../../../domain/observed';
import { HEALTHY, idOf, OF_PROGRAM, REQUEST, startTestApi, type Reply, type TestApi } from '../support';
import { changing, clusterIn, policyOf, SUBSCRIPTION, vaultIn } from './support';
import { csiInside, goodCluster, goodKey, KEY_1, NOW } from '../../domain/fixtures';
import { inspectCsi } from '../../../domain/csi/inspection';
import { inspect } from '../../../domain/inspection';
import { ledgerReport } from '../../../domain/ledger-report';

/** `own`: the caller has every right. `readable`: may read. `foreign`: no right. `absent`: it is not there. */
const PLACES = ['own', 'readable', 'foreign', 'absent'] as const;
type Place = (typeof PLACES)[number];
const CLUSTERS = Object.fromEntries(PLACES.map((place) => [place, clusterIn(place)])) as Record<Place, string>;
const POLICY = policyOf(`
version: 1
rules:
  - name: own
    who: { groups: [team] }
    may: [request, approve, break-glass]
    kinds: '*'
    scopes: ['${SUBSCRIPTION}/resourceGroups/own']
  - { name: readable, who: { groups: [team] }, may: [read], kinds: [rotate-key], scopes: ['${CLUSTERS.readable}'] }
  - { name: olga, who: { ids: [oid-olga] }, may: [request], kinds: '*', scopes: '*' }
`);

const { Reader, Operator, Approver, BreakGlass } = Role;
const ROLES = [undefined, Reader, Operator, Approver, BreakGlass] as const;
const READERS = [Reader, Operator, Approver];

/** What a route is sent, and which roles it lets in. */
interface Row {
  readonly of: 'operation' | 'cluster' | 'request';
  readonly roles: readonly string[];
  /** Whether the right to read is enough. */
  readonly reads?: boolean;
  /** A person decides: the role that it takes, where the route lets others in too. */
  readonly decides?: string;
  readonly body?: (digest: string) => unknown;
  /** The group of a vault that the plan changes, too. */
  readonly changes?: string;
  /** Whether what the plan changes does not matter. */
  readonly denies?: boolean;
}
const decision = (planDigest: string) => ({ planDigest });
const ROWS: Readonly<Record<string, Row>> = {
  createOperation: { of: 'request', roles: [Operator] },
  getOperation: { of: 'operation', roles: READERS, reads: true },
  approveOperation: { of: 'operation', roles: [Approver, BreakGlass], decides: Approver, body: decision },
  denyOperation: { of: 'operation', roles: [Approver], decides: Approver, body: decision },
  cancelOperation: { of: 'operation', roles: [Operator, Approver], body: () => ({}) },
  retryOperation: { of: 'operation', roles: [Operator, Approver], body: () => ({}) },
  acceptSecrets: {
    of: 'operation',
    roles: [Approver],
    decides: Approver,
    body: () => ({ digest: 'sha256:0', reason: 'They are unused.' }),
  },
  getEvidence: { of: 'operation', roles: READERS, reads: true },
  getRefusedSecrets: { of: 'operation', roles: READERS, reads: true },
  getClusterEncryption: { of: 'cluster', roles: READERS, reads: true },
  getClusterCsi: { of: 'cluster', roles: READERS, reads: true },
  getClusterLedger: { of: 'cluster', roles: READERS, reads: true },
  pauseOperation: { of: 'operation', roles: [Operator, Approver], body: () => ({}) },
  resumeOperation: { of: 'operation', roles: [Operator, Approver], body: () => ({}) },
};
/** Routes whose answers are filtered, or go on: they have tests of their own. */
const OTHERS = ['listOperations', 'getOperationEvents', 'listDeliveries', 'replayDelivery', 'getKeyUsers', 'getDoctor'];
/** Routes with more than one way in. */
const WAYS: readonly (readonly [string, string, Row])[] = [
  ...Object.entries(ROWS).map(([id, row]) => [id, id, row] as const),
  ['createOperation, validateOnly', 'createOperation', { of: 'request', roles: [Operator] }],
  [
    'approveOperation, break-glass',
    'approveOperation',
    {
      of: 'operation',
      roles: [Approver, BreakGlass],
      decides: BreakGlass,
      body: (planDigest) => ({ planDigest, breakGlass: { reason: 'The cluster is down.' } }),
    },
  ],
  ...['own', 'readable', 'foreign'].flatMap((changes) =>
    (['approve', 'break-glass', 'deny'] as const).map((verb): readonly [string, string, Row] => [
      `${verb} a plan that changes a vault in ${changes}`,
      verb === 'deny' ? 'denyOperation' : 'approveOperation',
      {
        of: 'operation',
        roles: verb === 'deny' ? [Approver] : [Approver, BreakGlass],
        decides: verb === 'break-glass' ? BreakGlass : Approver,
        body: (planDigest) => ({
          planDigest,
          ...(verb === 'break-glass' ? { breakGlass: { reason: 'The cluster is down.' } } : {}),
        }),
        changes,
        // To deny changes nothing.
        ...(verb === 'deny' ? { denies: true } : {}),
      },
    ]),
  ),
];

const INSPECTION = inspect({
  at: NOW,
  cluster: goodCluster(),
  keys: [{ found: true, key: goodKey(KEY_1) }],
  inside: { ledger: null, confirmed: true, changedSinceProof: false, apiServers: 1 },
});
const CSI = inspectCsi({ at: NOW, cluster: goodCluster(), inside: csiInside(), azure: [] });

let api: TestApi;
let routes: Map<string, { readonly method: string; readonly path: string }>;
const ids = {} as Record<Place, string>;
const tokens = new Map<string, string>();
let count = 0;

beforeAll(async () => {
  api = await startTestApi({
    access: { current: () => POLICY },
    auth: { claims: { subject: 'oid', roles: 'roles', groups: 'groups' } },
    rateLimit: { limit: 100_000, windowInMs: 60_000 },
    observeAzure: ({ cluster }) => {
      if (!HEALTHY.cluster.found) throw new Error('unreachable');
      const there = {
        ...HEALTHY,
        cluster: { found: true as const, cluster: { ...HEALTHY.cluster.cluster, resourceId: cluster } },
      };
      const why = notInArm('ResourceNotFound');
      return Promise.resolve(
        cluster.includes('absent') ? { at: HEALTHY.at, cluster: { found: false, why, state: 'missing' } } : there,
      );
    },
  });
  for (const place of PLACES) {
    if (place === 'absent') {
      ids.absent = 'op-00000000000000000000000000';
      continue;
    }
    ids[place] = idOf(await api.ask(`k-${place}`, { ...REQUEST, cluster: CLUSTERS[place] }));
    api.gateway.inspected.set(CLUSTERS[place], { found: true, inspection: INSPECTION });
    api.gateway.inspectedCsi.set(CLUSTERS[place], { found: true, inspection: CSI });
    api.gateway.inspectedLedgers.set(CLUSTERS[place], {
      found: true,
      inspection: ledgerReport(null, { cluster: CLUSTERS[place], at: NOW, confirmed: true, changedSinceProof: false }),
    });
  }
  for (const role of ROLES) {
    for (const kind of ['person', 'program']) {
      const claims = { groups: ['team'], oid: `oid-${kind}`, ...(kind === 'program' ? OF_PROGRAM : {}) };
      tokens.set(`${role} ${kind}`, await api.tokens.of('Cell', role === undefined ? [] : [role], claims));
    }
  }
  const document = (await api.call('GET', '/openapi.json')).json(
    z.object({
      paths: z.record(
        z.string(),
        z.record(z.string(), z.object({ operationId: z.string(), security: z.array(z.unknown()) })),
      ),
    }),
  );
  routes = new Map(
    Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, { security }]) => security.length > 0)
        .map(([method, { operationId }]) => [operationId, { method: method.toUpperCase(), path }] as const),
    ),
  );
});
afterAll(() => api.close());

async function send(name: string, id: string, row: Row, place: Place, token: string): Promise<Reply> {
  const { method, path } = routes.get(id) ?? { method: '', path: '' };
  const planned = row.changes === undefined ? [] : [changing(vaultIn(row.changes))];
  const digest =
    place !== 'absent' && row.of === 'operation'
      ? api.gateway.planFor(ids[place], { approvals: [] }, planned)
      : 'sha256:0';
  const url = path
    .replace('{id}', ids[place])
    .replace('{subscription}', '11111111-2222-3333-4444-555555555555')
    .replace('{resourceGroup}', place)
    .replace('{name}', 'aks1');
  count += 1;
  return await api.call(method, name.endsWith('validateOnly') ? `${url}?validateOnly=true` : url, {
    token,
    headers: name.endsWith('validateOnly') ? {} : { 'idempotency-key': `cell-${count}` },
    ...(row.of === 'request' ? { body: { ...REQUEST, cluster: CLUSTERS[place] } } : {}),
    ...(row.body === undefined ? {} : { body: row.body(digest) }),
  });
}

/** The rule, in one place: role, then whether a person decides, then the policy. */
function expected(
  { of, roles, reads, decides, changes = 'own', denies }: Row,
  role: string | undefined,
  kind: string,
  place: Place,
): string {
  if (role === undefined || !roles.includes(role)) return 'RoleMissing';
  if (decides !== undefined && kind === 'program') return 'ProgramCannotApprove';
  if (decides !== undefined && decides !== role) return 'RoleMissing';
  if (place === 'absent' || place === 'foreign') return of === 'operation' ? 'OperationNotFound' : 'ClusterNotFound';
  return (place === 'own' && (changes === 'own' || denies === true)) || reads === true ? 'in' : 'RightMissing';
}

const REFUSALS = ['RoleMissing', 'ProgramCannotApprove', 'OperationNotFound', 'ClusterNotFound', 'RightMissing'];
function said(reply: Reply): string {
  const code = reply.status < 300 ? 'in' : reply.problem().code;
  return REFUSALS.includes(code) ? code : reply.status < 500 ? 'in' : code;
}

/** The whole answer, but for what names this request, and the operation or cluster that it names itself. */
function whole(reply: Reply, place: Place): unknown {
  const { requestId: _requestId, ...problem } = reply.problem();
  const text = JSON.stringify(problem).replaceAll(ids[place], 'ID').replaceAll(`/${place}/`, '/GROUP/');
  const headers = [...reply.headers.entries()].filter(
    ([name]) => !/^(date|x-request-id|ratelimit.*|content-length)$/.test(name),
  );
  return { status: reply.status, text, headers };
}

describe('with a policy', () => {
  it('every route of the API has a row', () => {
    expect([...routes.keys()].sort()).toEqual([...Object.keys(ROWS), ...OTHERS].sort());
  });

  it.each(WAYS)('%s', async (name, id, row) => {
    const cells: Record<string, string> = {};
    const wanted: Record<string, string> = {};
    for (const [who, token] of tokens) {
      const [role, kind = ''] = who.split(' ');
      for (const place of PLACES) {
        const reply = await send(name, id, row, place, token);
        cells[`${who}, ${place}`] = said(reply);
        wanted[`${who}, ${place}`] = expected(row, role === 'undefined' ? undefined : role, kind, place);
        if (place !== 'foreign' || reply.status < 300) continue;
        // What is foreign and what is not there cannot be told apart.
        expect(whole(reply, 'foreign')).toEqual(whole(await send(name, id, row, 'absent', token), 'absent'));
      }
    }
    expect(cells).toEqual(wanted);
  });

  it('a foreign cluster that exists is answered for as one that does not, to those who may ask there', async () => {
    const ask = (place: Place, token: string) =>
      api.call('POST', '/v1/operations', {
        token,
        body: { ...REQUEST, cluster: CLUSTERS[place] },
        headers: { 'idempotency-key': `same-${place}-${(count += 1)}` },
      });
    // Olga may ask everywhere: what she hears of the absent cluster is what Azure says.
    const truth = await ask('absent', api.as.olga);
    const hidden = await ask('foreign', tokens.get('Kms.Operator person') ?? '');
    expect(truth.problem().code).toBe('ClusterNotFound');
    expect(whole(hidden, 'foreign')).toEqual(whole(truth, 'absent'));
  });

  it('events of an operation are for those who may read it, and a key’s users have names for those who may see them', async () => {
    const token = tokens.get('Kms.Reader person') ?? '';
    const events = (place: Place) => api.call('GET', `/v1/operations/${ids[place]}/events`, { token });
    expect(whole(await events('foreign'), 'foreign')).toEqual(whole(await events('absent'), 'absent'));
    const users = [CLUSTERS.own, CLUSTERS.foreign].map((cluster) => ({ cluster, by: 'ledger' as const }));
    api.gateway.users = { ...api.gateway.users, users };
    const reply = await api.call('GET', `/v1/keys/users?keyId=${encodeURIComponent(KEY_1)}`, { token });
    expect(
      reply.json(z.object({ users: z.unknown(), warnings: z.array(z.object({ code: z.string() })) })),
    ).toMatchObject({
      users: [{ cluster: CLUSTERS.own }],
      warnings: expect.arrayContaining([expect.objectContaining({ code: 'UsersNotShown' })]) as unknown,
    });
  });

  it('a list has what may be read, and neither pages nor tokens tell of the rest', async () => {
    for (let index = 0; index < 3; index += 1) {
      await api.ask(`foreign-${index}`, { ...REQUEST, cluster: CLUSTERS.foreign });
    }
    const Page = z.object({
      operations: z.array(z.object({ id: z.string() })),
      nextPageToken: z.string().optional(),
      unreadable: z.array(z.string()),
    });
    const token = tokens.get('Kms.Reader person') ?? '';
    const foreign = [...allOf()].filter(([, cluster]) => cluster === CLUSTERS.foreign).map(([id]) => id);
    expect(foreign.length).toBeGreaterThan(3);
    const seen: string[] = [];
    let next: string | undefined = '';
    while (next !== undefined) {
      const query: string = next === '' ? '' : `&pageToken=${next}`;
      const page = (await api.call('GET', `/v1/operations?pageSize=1${query}`, { token })).json(Page);
      expect(page.operations).toHaveLength(1);
      seen.push(...page.operations.map(({ id }) => id));
      next = page.nextPageToken;
      const place = Buffer.from(next ?? '', 'base64url').toString();
      for (const id of foreign) expect(place).not.toContain(id);
    }
    expect(seen).toEqual(expect.arrayContaining([ids.own, ids.readable]));
    expect(seen.filter((id) => foreign.includes(id))).toEqual([]);
    const filtered = await api.call('GET', `/v1/operations?cluster=${CLUSTERS.foreign}`, { token });
    expect(filtered.json(Page)).toEqual({ operations: [], unreadable: [] });
  });
});

/** Operations and their clusters, as the gateway has them. */
function allOf(): ReadonlyMap<string, string> {
  return new Map(api.gateway.started.map(({ operation }) => [operation.id, operation.request.cluster]));
}
