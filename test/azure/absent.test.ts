/** What does not exist is told apart from what does not answer: by Keyturn's own way into Azure, on the sandbox. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { once } from 'node:events';
import { observeAzure } from '../../activities/observe-azure';
import { createAzureAccess } from '../../azure/access';
import { saysNoSuchHost } from '../../azure/errors';
import { createHttpClient } from '../../azure/http-client';
import type { KeyLookup } from '../../domain/observed';
import { OperationRequest } from '../../domain/request';
import { ruleFaults } from '../../domain/planner';
import { FOREIGN_SUBSCRIPTION } from '../../sandbox/azure/arm/resource-groups';
import { AzureRig, PUBLIC_CLOUD, VAULT } from './support';

const VERSION = '0123456789abcdef0123456789abcdef';
const UNKNOWN = '11111111-2222-4333-8444-555555555555';
const keyIn = (vault: string): string => `https://${vault}.vault.azure.net/keys/etcd/${VERSION}`;

describe('a vault', () => {
  let rig: AzureRig;
  let proxy: Server;
  beforeAll(async () => {
    rig = await AzureRig.start();
    // As most proxies: one status for whatever they do not reach, and nothing that says why. It reaches all of Azure but vaults.
    proxy = createServer();
    proxy.on('connect', (request, socket: Duplex, head) => {
      if (request.url?.endsWith('.vault.azure.net:443')) {
        socket.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n');
        return;
      }
      const { hostname, port } = new URL(rig.azure.sandbox.proxyUrl);
      const onward = connect(Number(port), hostname);
      onward.write(`CONNECT ${request.url} HTTP/1.1\r\nHost: ${request.url}\r\n\r\n`);
      onward.write(head);
      socket.pipe(onward).pipe(socket);
      for (const end of [socket, onward]) end.on('error', () => (socket.destroy(), onward.destroy()));
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
  });
  afterEach(() => rig.azure.sandbox.faults.clear('vault-outage'));
  afterAll(async () => {
    proxy.close();
    await rig.stop();
  });

  const place = (): { subscriptionId: string } => ({ subscriptionId: rig.azure.sandbox.subscriptionId });
  /** Looks a key up through that proxy. The clients read the variable when they are made, that of a vault at its first request. */
  const behindThatProxy = async (keyId: string): Promise<KeyLookup> => {
    const before = process.env['HTTPS_PROXY'];
    process.env['HTTPS_PROXY'] = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    try {
      return await createAzureAccess(PUBLIC_CLOUD).keys.lookUpAnywhere(keyId, place());
    } finally {
      process.env['HTTPS_PROXY'] = before;
    }
  };

  it('of a name that does not resolve is absent, and the answer names it', async () => {
    const lookup = await rig.access.keys.lookUpAnywhere(keyIn('kv-typo'), place());
    expect(lookup).toEqual({
      found: false,
      keyId: keyIn('kv-typo'),
      missing: 'vault',
      why: 'There is no vault at https://kv-typo.vault.azure.net: its name does not resolve. It is misspelled, or the vault was deleted. Keyturn does not see the vault in ARM.',
    });
  });

  it.each(['refused', 'server-error'] as const)('that is down (%s) is not absent', async (as) => {
    rig.azure.sandbox.faults.set('vault-outage', { path: VAULT, as });
    await expect(rig.access.keys.lookUpAnywhere(rig.key, place())).rejects.toMatchObject({
      name: 'VaultError',
      retryable: true,
      target: `https://${VAULT}.vault.azure.net`,
    });
  });

  it('that answers too late is not absent', async () => {
    const access = createAzureAccess(PUBLIC_CLOUD, {
      sendRequest: (request) =>
        createHttpClient(new URL(request.url).hostname.endsWith('.vault.azure.net') ? 1 : 60_000).sendRequest(request),
    });
    await expect(access.keys.lookUpAnywhere(rig.key, place())).rejects.toMatchObject({
      code: 'Timeout',
      retryable: true,
    });
  });

  it('behind a proxy that does not say why is absent when ARM knows no vault of the name, and not otherwise', async () => {
    expect(await behindThatProxy(keyIn('kv-typo'))).toMatchObject({
      found: false,
      missing: 'vault',
      why: expect.stringContaining('no vault in Azure has the name kv-typo'),
    });
    await expect(behindThatProxy(rig.key)).rejects.toMatchObject({ status: 503, retryable: true });
  });

  it('behind that proxy is not absent when ARM does not say whether it is', async () => {
    rig.azure.sandbox.faults.set('forbidden', { method: 'POST', path: '/checkNameAvailability' });
    await expect(behindThatProxy(keyIn('kv-typo'))).rejects.toMatchObject({ status: 503, retryable: true });
    rig.azure.sandbox.faults.clear('forbidden');
  });

  it('is absent only where the proxy says that the name does not exist', () => {
    expect(saysNoSuchHost('squid; error=dns_error; rcode="NXDOMAIN"')).toBe(true);
    expect(saysNoSuchHost('a, b;rcode=NXDOMAIN;error=dns_error')).toBe(true);
    for (const other of [
      undefined,
      '',
      'p; error=dns_error',
      'p; error=dns_error; rcode="SERVFAIL"',
      'p; error=dns_timeout',
      'p; error=connection_refused; rcode="NXDOMAIN"',
    ])
      expect(saysNoSuchHost(other)).toBe(false);
  });

  it.each([
    ['unknown', UNKNOWN, 'ARM knows no such subscription (SubscriptionNotFound).'],
    [
      'foreign',
      FOREIGN_SUBSCRIPTION,
      "Its subscription is in another tenant than Keyturn's identity (InvalidAuthenticationTokenTenant).",
    ],
  ])('and a cluster in an %s subscription are not there', async (_what, subscription, why) => {
    const { subscriptionId } = rig.azure.sandbox;
    const cluster = rig.cluster.replace(subscriptionId, subscription);
    const request = OperationRequest.parse({ kind: 'rotate-key', cluster, change: { number: 'CHG-1' } });
    const facts = await observeAzure(rig.access, request);
    expect(facts.cluster).toEqual({ found: false, state: 'no-group', why });
    expect(ruleFaults(request, facts)).toEqual([
      { code: 'ClusterNotFound', pointer: '/cluster', detail: `${cluster}: ${why}` },
    ]);

    const making = OperationRequest.parse({
      kind: 'create-cluster',
      cluster,
      change: { number: 'CHG-1' },
      parameters: {
        location: 'westeurope',
        identityId: rig.identity().replace(subscriptionId, subscription),
        provision: { vaultName: 'kv-new', keyName: 'etcd' },
      },
    });
    const codes = ruleFaults(making, await observeAzure(rig.access, making)).map(({ code }) => code);
    expect(codes).toEqual(expect.arrayContaining(['ResourceGroupNotFound', 'IdentityNotSeen']));
  });
});
