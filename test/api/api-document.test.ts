import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { ERRORS, type ErrorCode } from '../../domain/errors';
import { startTestApi, type TestApi } from './support';

const Document = z.object({
  openapi: z.literal('3.1.0'),
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.looseObject({
        operationId: z.string(),
        security: z.array(z.unknown()),
        responses: z.record(z.string(), z.looseObject({ content: z.record(z.string(), z.unknown()).default({}) })),
      }),
    ),
  ),
  components: z.object({
    schemas: z.record(z.string(), z.looseObject({ properties: z.record(z.string(), z.unknown()) })),
  }),
});
type Document = z.infer<typeof Document>;

/** Of a path without the method that was asked for: no operation of the document answers with it. */
const SAID_BY_PATHS: ErrorCode[] = ['MethodNotAllowed'];
/** These happen to operations while they execute; an operation says them, no request is answered with them. */
const SAID_BY_OPERATIONS: ErrorCode[] = [
  'Denied',
  'CanceledOnRequest',
  'LedgerContradiction',
  'OutputNotSigned',
  'SoakNotOver',
  'ArmRequestRefused',
  'ArmOperationFailed',
  'ClusterChangedOutside',
  'NotConverged',
  'RewriteHadNoEffect',
  'SecretsUnproven',
  'ResourceVersionWentBackwards',
  'KeyNotReported',
  'LockLost',
  'ProofOutdated',
  'NotApproved',
  'PlanNotAsApproved',
  'KeyNotDisabled',
  'DeleteKeyRefused',
  'CanariesNotStill',
  'ChangeNotApplied',
  'EntityTagMissing',
  'EvidenceExists',
  'EvidenceKeyUnavailable',
  'KeyNotAsApproved',
  'CreateKeyRefused',
  'RepairRefused',
  'DiagnosticSinkTaken',
  'VaultChangeRefused',
  'VaultNotAsApproved',
  'IdentityNotAsApproved',
  'ClusterNotAsApproved',
  'ReadGrantRefused',
  'ConnectionNotAsApproved',
  'ConnectionRefused',
  'MountFailed',
  'MountDiffers',
  'RotationProbeRefused',
  'RotationFailed',
  'WebhookNotDelivered',
  'WebhookGone',
];

let api: TestApi;
let document: Document;
beforeAll(async () => {
  api = await startTestApi();
  document = (await api.call('GET', '/openapi.json')).json(Document);
});
afterAll(() => api.close());

const operations = () => Object.values(document.paths).flatMap((methods) => Object.values(methods));
const codes = z.object({
  schema: z.object({
    allOf: z.tuple([
      z.unknown(),
      z.object({ properties: z.object({ code: z.object({ enum: z.array(z.string()) }) }) }),
    ]),
  }),
});

describe('the API document', () => {
  it('lists every route', () => {
    expect(
      Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method} ${path}`),
      ),
    ).toEqual([
      'post /v1/operations',
      'get /v1/operations',
      'get /v1/operations/{id}',
      'get /v1/operations/{id}/events',
      'post /v1/operations/{id}:approve',
      'post /v1/operations/{id}:deny',
      'post /v1/operations/{id}:cancel',
      'post /v1/operations/{id}:retry',
      'post /v1/operations/{id}:pause',
      'post /v1/operations/{id}:resume',
      'post /v1/operations/{id}:accept',
      'get /v1/operations/{id}/evidence',
      'get /v1/operations/{id}/refused-secrets',
      'get /v1/clusters/subscriptions/{subscription}/resourceGroups/{resourceGroup}/providers/Microsoft.ContainerService/managedClusters/{name}/encryption',
      'get /v1/clusters/subscriptions/{subscription}/resourceGroups/{resourceGroup}/providers/Microsoft.ContainerService/managedClusters/{name}/csi',
      'get /v1/webhooks/{endpoint}/deliveries',
      'post /v1/webhooks/{endpoint}/deliveries/{id}:replay',
      'get /v1/clusters/subscriptions/{subscription}/resourceGroups/{resourceGroup}/providers/Microsoft.ContainerService/managedClusters/{name}/ledger',
      'get /v1/keys/users',
      'get /v1/doctor',
      'get /healthz',
      'get /readyz',
      'get /openapi.json',
      'get /docs',
      'get /docs/swagger-ui.css',
      'get /docs/swagger-ui-bundle.js',
      'get /docs/start.js',
    ]);
  });

  it('gives each code of the error table under its own status', () => {
    const seen = new Map<string, Set<string>>();
    for (const { responses } of operations()) {
      for (const [status, { content }] of Object.entries(responses)) {
        const problem = content['application/problem+json'];
        if (problem === undefined) continue;
        for (const code of codes.parse(problem).schema.allOf[1].properties.code.enum)
          seen.set(code, (seen.get(code) ?? new Set()).add(status));
      }
    }
    for (const [code, statuses] of seen)
      expect([code, [...statuses]]).toEqual([code, [String(ERRORS[code as ErrorCode].status)]]);
    expect([...seen.keys(), ...SAID_BY_OPERATIONS, ...SAID_BY_PATHS].sort()).toEqual(Object.keys(ERRORS).sort());
  });

  it('shows the members of a request and of an operation', () => {
    expect(Object.keys(document.components.schemas)).toEqual(
      expect.arrayContaining(['Problem', 'Operation', 'Decision', 'Cancellation', 'Evidence']),
    );
    expect(document.components.schemas.Operation?.properties).toMatchObject({
      status: { enum: expect.arrayContaining(['AwaitingApproval', 'Succeeded']) },
      links: {},
      progressText: {},
    });
    expect(JSON.stringify(document.paths['/v1/operations']?.post)).toContain('Idempotency-Key');
    expect(JSON.stringify(document.paths['/v1/operations']?.post)).toContain('whenBusy');
  });

  it('resolves every reference that it makes', () => {
    const text = JSON.stringify(document);
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name);
    expect(references.length).toBeGreaterThan(10);
    for (const name of references) expect(Object.keys(document.components.schemas)).toContain(name);
  });

  it('asks for a token wherever one is needed', () => {
    const open = operations()
      .filter(({ security }) => security.length === 0)
      .map(({ operationId }) => operationId);
    expect(open).toEqual([
      'getHealth',
      'getReadiness',
      'getApiDocument',
      'getDocs',
      'getDocsSwaggerUiCss',
      'getDocsSwaggerUiBundleJs',
      'getDocsStartJs',
    ]);
  });
});

describe('the page of the API', () => {
  it.each(['/docs', '/docs/'])('at %s has no script or style of its own, and all it loads is there', async (path) => {
    const page = await api.call('GET', path);
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.text).not.toMatch(/<style|style=|<script>|\bon\w+=|https?:/);
    const files = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, at]) => at ?? '');
    const ours = files.filter((at) => !at.startsWith('data:'));
    expect(ours).toHaveLength(3);
    for (const at of ours) {
      const { pathname } = new URL(at, `${api.url}${path}`);
      expect([pathname, (await api.call('GET', pathname)).status]).toEqual([pathname, 200]);
    }
  });

  it('may load from its own origin only, and run no inline script or style', async () => {
    const policy = (await api.call('GET', '/docs')).headers.get('content-security-policy') ?? '';
    expect(policy.split('; ')).toEqual([
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self' data:",
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ]);
  });

  it.each(['/docs', '/openapi.json', '/docs/swagger-ui-bundle.js'])(
    'is loaded once: %s has an entity tag',
    async (path) => {
      const eTag = (await api.call('GET', path)).headers.get('etag') ?? '';
      const again = async (tag: string) => await api.call('GET', path, { headers: { 'if-none-match': tag } });
      expect(await again(`"other", W/${eTag}`)).toMatchObject({ status: 304, text: '' });
      expect((await again('"other"')).status).toBe(200);
    },
  );
});

describe('docs/errors.md', () => {
  it('describes every code as the table has it, and no other', () => {
    const text = readFileSync(join(__dirname, '../../docs/errors.md'), 'utf8');
    const rows = text
      .split('\n')
      .map((line) => line.split('|').map((cell) => cell.trim()))
      .filter(([, code]) => code !== undefined && /^`\w+`$/.test(code));
    const documented = rows.map(([, code, status, retryable, title]) => [
      code?.slice(1, -1),
      Number(status),
      retryable,
      title,
    ]);
    expect(documented).toEqual(
      Object.entries(ERRORS).map(([code, { status, retryable, title }]) => [
        code,
        status,
        retryable ? 'yes' : 'no',
        title,
      ]),
    );
    for (const [, , , , , help] of rows) expect(help?.length).toBeGreaterThan(15);
  });
});

describe('a probe', () => {
  it('of life needs nothing', async () => {
    expect((await api.call('GET', '/healthz')).text).toBe('{"status":"ok"}');
  });

  it('of readiness says everything that is missing', async () => {
    const fresh = await startTestApi();
    expect((await fresh.call('GET', '/readyz')).text).toBe('{"status":"ready"}');
    await fresh.close();
    const lacking = await startTestApi();
    lacking.gateway.lacks = [{ code: 'WorkerUnavailable', detail: 'No worker polls "keyturn".' }];
    const reply = await lacking.call('GET', '/readyz');
    expect(reply.problem()).toMatchObject({
      status: 503,
      code: 'WorkerUnavailable',
      detail: 'No worker polls "keyturn".',
    });
    await lacking.close();
  });
});
