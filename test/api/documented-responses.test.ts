import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DocumentCheck, type ReadResponse } from '../support/document-check';
import { expectDocumentedResponses, takeFaults } from '../support/documented-responses';
import { REQUEST, startTestApi, type TestApi } from './support';

const PATH = '/v1/operations';
let api: TestApi;
let check: DocumentCheck;
let good: ReadResponse;
beforeAll(async () => {
  api = await startTestApi();
  check = new DocumentCheck(JSON.parse((await api.call('GET', '/openapi.json')).text));
  const { status, headers, text } = await api.ask('key', REQUEST);
  good = { method: 'POST', path: PATH, status, headers, text };
});
afterAll(() => api.close());

const withHeader = (name: string, value: string): Headers => {
  const headers = new Headers(good.headers);
  headers.set(name, value);
  return headers;
};

describe('a response that the API document does not describe', () => {
  it('is found by its status', () => {
    expect(check.faultsOf(good)).toEqual([]);
    expect(check.faultsOf({ ...good, status: 418 })).toEqual(['status 418 is not documented']);
    expect(check.faultsOf({ ...good, method: 'GET', path: '/v1/nothing' })).toContain(
      'status 202 where the document has no such operation',
    );
  });

  it('is found by its content type', () => {
    expect(check.faultsOf({ ...good, headers: withHeader('content-type', 'text/plain') })).toEqual([
      'content type text/plain instead of application/json',
    ]);
  });

  it('is found by its headers', () => {
    const headers = withHeader('x-extra', '1');
    headers.delete('x-request-id');
    headers.set('retry-after', 'soon');
    expect(check.faultsOf({ ...good, headers })).toEqual([
      'the header x-extra is not documented',
      'the header X-Request-Id is missing',
      'header Retry-After must be integer {"type":"integer"}',
      'header Retry-After must be >= 0 {"comparison":">=","limit":0}',
    ]);
  });

  it('is found by its body', () => {
    const { status: _status, ...body } = JSON.parse(good.text ?? '') as Record<string, unknown>;
    expect(check.faultsOf({ ...good, text: JSON.stringify({ ...body, extra: 1 }) })).toEqual([
      `body must have required property 'status' {"missingProperty":"status"}`,
      'body must NOT have additional properties {"additionalProperty":"extra"}',
    ]);
    expect(check.faultsOf({ ...good, text: '' })).toEqual(['the body is not JSON']);
  });
});

describe('fetch in a test', () => {
  let server: Server;
  afterAll(() => void server.close());

  it('holds what an API on loopback answers against the document of that API', async () => {
    server = createServer((_request, response) => void response.writeHead(204).end()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    // The document is known since `beforeAll`.
    await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${PATH}?kind=rotate-key`);
    const faults = takeFaults();
    expect(faults).toEqual([`  GET ${PATH}, 204: status 204 is not documented`]);
    expect(expectDocumentedResponses).not.toThrow();
  });
});
