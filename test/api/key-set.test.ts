import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import { issuerOf, keySetUrl, KeySetUnavailable, remoteKeySet } from '../../api/key-set';
import { CLOUDS } from '../../domain/clouds';

const TENANT = '72f988bf-86f1-41af-91ab-2d7cd011db47';

async function listening(server: ReturnType<typeof createServer>): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('the signing keys', () => {
  it('are where each cloud has them', () => {
    expect(CLOUDS.map((cloud) => [keySetUrl(cloud, 'T'), issuerOf(cloud, 'T')])).toEqual([
      ['https://login.microsoftonline.com/T/discovery/v2.0/keys', 'https://login.microsoftonline.com/T/v2.0'],
      ['https://login.chinacloudapi.cn/T/discovery/v2.0/keys', 'https://login.partner.microsoftonline.cn/T/v2.0'],
      ['https://login.microsoftonline.us/T/discovery/v2.0/keys', 'https://login.microsoftonline.us/T/v2.0'],
    ]);
  });

  it('are fetched once, and a token of an unknown key is known to be wrong', async () => {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k', alg: 'RS256', use: 'sig' };
    let fetched = 0;
    const server = createServer((_request, response) => {
      fetched += 1;
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [jwk] }));
    });
    const keys = remoteKeySet(await listening(server));
    const token = (kid: string) => new SignJWT({ a: 1 }).setProtectedHeader({ alg: 'RS256', kid }).sign(privateKey);
    expect((await jwtVerify(await token('k'), keys)).payload.a).toBe(1);
    await jwtVerify(await token('k'), keys);
    expect(fetched).toBe(1);
    await expect(jwtVerify(await token('other'), keys)).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
    server.close();
    server.closeAllConnections();
  });

  it.each([
    ['answers with an error', 503, '{}'],
    ['answers with no key set', 200, '<html>'],
    ['answers with another JSON', 200, '{"value":[]}'],
  ])('are unavailable while their host %s', async (_what, status, body) => {
    const server = createServer((_request, response) => void response.writeHead(status).end(body));
    const keys = remoteKeySet(await listening(server));
    await expect(keys({ alg: 'RS256', kid: 'k' }, { payload: '', signature: '' })).rejects.toThrow(KeySetUnavailable);
    server.close();
    server.closeAllConnections();
  });

  it('are fetched through the proxy that HTTPS_PROXY names', async () => {
    const asked: string[] = [];
    const proxy = createServer();
    proxy.on('connect', (request, socket) => {
      asked.push(request.url ?? '');
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
    });
    const before = { ...process.env };
    process.env.HTTPS_PROXY = await listening(proxy);
    delete process.env.https_proxy;
    delete process.env.NO_PROXY;
    delete process.env.no_proxy;
    try {
      const keys = remoteKeySet(keySetUrl(CLOUDS[0] ?? fail(), TENANT));
      await expect(keys({ alg: 'RS256', kid: 'k' }, { payload: '', signature: '' })).rejects.toThrow(KeySetUnavailable);
    } finally {
      process.env = before;
      proxy.close();
      proxy.closeAllConnections();
    }
    expect(asked).toEqual(['login.microsoftonline.com:443']);
  });
});

function fail(): never {
  throw new Error('There is no cloud.');
}

describe('the last known keys', () => {
  const HOUR = 3_600_000;
  let server: ReturnType<typeof createServer>;
  let answers = true;
  let asked: string[] = [];
  let time = 0;
  let issuer = '';
  let tokenOf: (kid: string) => Promise<string>;

  beforeEach(async () => {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k', use: 'sig' };
    answers = true;
    asked = [];
    server = createServer((request, response) => {
      asked.push(request.url ?? '');
      const isMetadata = request.url?.endsWith('/openid-configuration') === true;
      response
        .writeHead(answers ? 200 : 503)
        .end(JSON.stringify(isMetadata ? { issuer, jwks_uri: `${issuer}keys` } : { keys: [jwk] }));
    });
    issuer = `${await listening(server)}/`;
    tokenOf = (kid) => new SignJWT({ a: 1 }).setProtectedHeader({ alg: 'RS256', kid }).sign(privateKey);
    time = Date.now();
    jest.spyOn(Date, 'now').mockImplementation(() => time);
  });
  afterEach(() => {
    jest.restoreAllMocks();
    server.close();
    server.closeAllConnections();
  });

  it('are used for a bounded time while the issuer does not answer, which is asked every 10 s', async () => {
    const failures: unknown[] = [];
    const keys = remoteKeySet(`${issuer}keys`, { keptInMs: 4 * HOUR, onFailure: (error) => failures.push(error) });
    const token = await tokenOf('k');
    await jwtVerify(token, keys);
    answers = false;
    time += 4 * HOUR - 20_000;
    await jwtVerify(token, keys);
    await jwtVerify(token, keys);
    expect([asked.length, failures.length]).toEqual([2, 1]);
    time += 10_000;
    await jwtVerify(token, keys);
    expect(asked.length).toBe(3);
    time += 10_000;
    await expect(jwtVerify(token, keys)).rejects.toMatchObject({ name: 'KeySetUnavailable', retryAfterInSeconds: 10 });
    time += 4_000;
    await expect(jwtVerify(token, keys)).rejects.toMatchObject({ name: 'KeySetUnavailable', retryAfterInSeconds: 6 });
    expect(asked.length).toBe(4);
    answers = true;
    time += 6_000;
    await jwtVerify(token, keys);
  });

  it('do not show that an unknown key is wrong', async () => {
    const keys = remoteKeySet(`${issuer}keys`);
    await jwtVerify(await tokenOf('k'), keys);
    answers = false;
    time += 31_000;
    for (const kid of ['new', 'newer'])
      await expect(jwtVerify(await tokenOf(kid), keys)).rejects.toThrow(KeySetUnavailable);
    expect(asked.length).toBe(2);
    await jwtVerify(await tokenOf('k'), keys);
  });

  it('are asked for once more for an unknown key, then not for 30 s', async () => {
    const keys = remoteKeySet(`${issuer}keys`);
    await jwtVerify(await tokenOf('k'), keys);
    time += 31_000;
    for (const kid of ['new', 'newer', 'newest'])
      await expect(jwtVerify(await tokenOf(kid), keys)).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
    expect(asked.length).toBe(2);
  });

  it('are where the metadata of an issuer says, if they are its own', async () => {
    await jwtVerify(await tokenOf('k'), remoteKeySet({ issuer }));
    expect(asked).toEqual(['/.well-known/openid-configuration', '/keys']);
    const other = remoteKeySet({ issuer: issuer.slice(0, -1) });
    await expect(jwtVerify(await tokenOf('k'), other)).rejects.toThrow(KeySetUnavailable);
    expect(asked.length).toBe(3);
  });
});
