/** What does not exist in Azure is refused for good, and named; what does not answer now is asked for again later. */
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { FOREIGN_SUBSCRIPTION } from '../../sandbox/azure/arm/resource-groups';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { mustParseKeyId } from '../../domain/resource-ids';
import { newVersionByHand } from '../support/by-hand';
import { control, makeCluster, rotateBody, testStack, vaultNameOf } from '../support/stack';

const NAME = 'absent-or-down';
const VAULT = vaultNameOf(NAME);
const UNKNOWN = '11111111-2222-4333-8444-555555555555';

interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: { readonly code: string; readonly detail: string; readonly pointer?: string };
}

async function post(body: unknown): Promise<Answer> {
  const { apiUrl, sandbox } = testStack();
  const headers = {
    authorization: `Bearer ${sandbox.people.requester.token}`,
    'content-type': 'application/json',
    'idempotency-key': randomUUID(),
  };
  const response = await fetch(`${apiUrl}/v1/operations`, { method: 'POST', headers, body: JSON.stringify(body) });
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    body: (await response.json()) as Answer['body'],
  };
}

let cluster: SandboxClusterFacts;
beforeAll(async () => {
  cluster = await makeCluster(NAME, { count: 0 });
});
const change = { number: 'CHG-TEST' };

describe('a request that names what does not exist', () => {
  it('is refused for a vault, with its name', async () => {
    const keyId = cluster.keyId.replace(`//${VAULT}.`, '//kv-with-a-typo.');
    const answer = await post({ kind: 'change-vault', cluster: cluster.resourceId, change, parameters: { keyId } });
    expect(answer).toMatchObject({
      status: 422,
      retryAfter: null,
      body: {
        code: 'KeyNotFound',
        pointer: '/parameters/keyId',
        detail: expect.stringContaining(
          'There is no vault at https://kv-with-a-typo.vault.azure.net: its name does not resolve.',
        ),
      },
    });
  });

  it.each([
    ['unknown', UNKNOWN, 'ARM knows no such subscription (SubscriptionNotFound).'],
    ['foreign', FOREIGN_SUBSCRIPTION, "Its subscription is in another tenant than Keyturn's identity"],
  ])('is refused for a cluster in an %s subscription', async (_what, subscription, why) => {
    const elsewhere = cluster.resourceId.replace(testStack().sandbox.subscriptionId, subscription);
    expect(await post(rotateBody(elsewhere))).toMatchObject({
      status: 422,
      retryAfter: null,
      body: { code: 'ClusterNotFound', pointer: '/cluster', detail: expect.stringContaining(why) },
    });
  });

  it('is refused for a cluster that is to be made in an unknown subscription', async () => {
    const identityId = `/subscriptions/${UNKNOWN}/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-new`;
    const parameters = { location: 'westeurope', identityId, provision: { vaultName: 'kv-new', keyName: 'etcd' } };
    const elsewhere = cluster.resourceId.replace(testStack().sandbox.subscriptionId, UNKNOWN);
    expect(await post({ kind: 'create-cluster', cluster: elsewhere, change, parameters })).toMatchObject({
      status: 422,
      body: { code: 'ResourceGroupNotFound', detail: expect.stringContaining('SubscriptionNotFound') },
    });
  });
});

describe('a request while a vault that exists gives no answer', () => {
  afterEach(async () => {
    await control().clearFault('vault-outage');
    await control().clearFault('stalled-response');
  });

  const toComeAgain = {
    status: 503,
    retryAfter: expect.stringMatching(/^[1-9]\d*$/),
    body: { code: 'AzureUnavailable' },
  };

  it.each(['refused', 'server-error'])('may be sent again later (%s), and says which vault it is', async (as) => {
    await control().setFault('vault-outage', { path: `/vaults/${VAULT}`, as });
    const answer = await post(rotateBody(cluster.resourceId));
    expect(answer).toMatchObject(toComeAgain);
    expect(answer.body.detail).toContain(`Not answered: https://${VAULT}.vault.azure.net.`);
    await control().clearFault('vault-outage');
    expect(await post(rotateBody(cluster.resourceId))).toMatchObject({ status: 202 });
  });

  it('may be sent again later when the answer does not come in time', async () => {
    // Of its own: operations of the tests before may still look at the others, and the answer to one question stalls.
    const keyId = await newVersionByHand(cluster.keyId);
    const { name, version } = mustParseKeyId(keyId);
    await control().setFault('stalled-response', { path: `/keys/${name}/${version}` });
    expect(await post(rotateBody(cluster.resourceId, { parameters: { keyId } }))).toMatchObject(toComeAgain);
  });
});
