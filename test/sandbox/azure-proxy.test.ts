import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { connect, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { dirname, join } from 'node:path';
import { startSandbox } from '../../sandbox/sandbox';
import { GROUP, recordingFactory, TestAzure } from './azure-support';

const run = promisify(execFile);

describe('the sandbox proxy', () => {
  let azure: TestAzure;
  beforeAll(async () => {
    azure = await TestAzure.start();
  });
  afterAll(() => azure.stop());

  /** Asks for a tunnel; gives the status, the text of a refusal, and the tunnel. */
  const tunnel = async (target: string): Promise<{ status: number; text: string; socket: Duplex }> => {
    const { hostname, port } = new URL(azure.sandbox.proxyUrl);
    const asked = httpRequest({ hostname, port, method: 'CONNECT', path: target, agent: false }).end();
    const [answer, socket, head] = (await once(asked, 'connect')) as [IncomingMessage, Duplex, Buffer];
    let text = head.toString();
    if (answer.statusCode !== 200) for await (const chunk of socket) text += String(chunk);
    return { status: Number(answer.statusCode), text, socket };
  };

  it('refuses hosts that are not of Azure, and says how to exclude them', async () => {
    for (const target of ['example.com:443', 'management.azure.com:80', '127.0.0.1:6443', 'a.b.vault.azure.net:443']) {
      const { status, text } = await tunnel(target);
      expect(status).toBe(502);
      expect(text).toContain(`The Keyturn sandbox does not connect to ${target}.`);
      expect(text).toContain('NO_PROXY=127.0.0.1,localhost');
    }
  });

  it('refuses plain http the same way', async () => {
    const { hostname, port } = new URL(azure.sandbox.proxyUrl);
    const asked = httpRequest({ hostname, port, path: 'http://example.com/', headers: { host: 'example.com' } }).end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    answer.resume();
    expect(answer.statusCode).toBe(502);
  });

  it('treats a vault that does not exist as a name that does not resolve', async () => {
    const { status, text } = await tunnel('kv-never.vault.azure.net:443');
    expect([status, text]).toEqual([502, expect.stringContaining('getaddrinfo ENOTFOUND kv-never.vault.azure.net')]);
  });

  it('ends TLS with a certificate for the name that was asked for, from its own authority', async () => {
    const { socket } = await tunnel('login.microsoftonline.com:443');
    const ca = await readFile(azure.sandbox.caFile, 'utf8');
    const secure: TLSSocket = connect({ socket, servername: 'login.microsoftonline.com', ca });
    await once(secure, 'secureConnect');
    expect(secure.authorized).toBe(true);
    expect(secure.getPeerCertificate().subjectaltname).toBe('DNS:login.microsoftonline.com');
    secure.destroy();
  });

  it('serves default constructors in another process that has only HTTPS_PROXY and NODE_EXTRA_CA_CERTS', async () => {
    const { identityId } = await azure.provision('kv-outside');
    await azure.containers.managedClusters.createOrUpdate(GROUP, 'c1', azure.clusterParameters(identityId));
    const { proxyUrl, caFile, tenantId, clientId, clientSecret, subscriptionId } = azure.sandbox;
    const script = join(__dirname, 'azure-default-constructors.mjs');
    const { stdout } = await run(
      process.execPath,
      [script, tenantId, clientId, subscriptionId, 'https://kv-outside.vault.azure.net'],
      { env: { HTTPS_PROXY: proxyUrl, NODE_EXTRA_CA_CERTS: caFile, CLIENT_SECRET: clientSecret } },
    );
    expect(JSON.parse(stdout)).toEqual({
      keyId: expect.stringMatching(/^https:\/\/kv-outside\.vault\.azure\.net\/keys\/from-outside\/[0-9a-f]{32}$/),
      clusters: ['c1'],
    });
  });

  it('writes what clients need to sandbox.json, for the owner only, and reuses its authority', async () => {
    const file = join(azure.directory, 'sandbox.json');
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(azure.sandbox.describe());
    const authorityDirectory = dirname(azure.sandbox.caFile);
    for (const secret of [file, join(authorityDirectory, 'ca-key.pem')]) {
      expect((await stat(secret)).mode & 0o077).toBe(0);
    }
    const before = await readFile(azure.sandbox.caFile, 'utf8');
    const other = await startSandbox({
      directory: join(azure.directory, 'second'),
      authorityDirectory,
      clusterFactory: recordingFactory().factory,
    });
    expect(other.caFile).toBe(azure.sandbox.caFile);
    expect(await readFile(other.caFile, 'utf8')).toBe(before);
    await other.close();
  });
});
