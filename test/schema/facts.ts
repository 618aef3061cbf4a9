/** What schemathesis makes its requests about: a service with a webhook, a cluster, keys, and operations that wait or have ended. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { Role } from '../../domain/people';
import { mustParseKeyId, parseClusterId } from '../../domain/resource-ids';
import { FOREIGN_SUBSCRIPTION } from '../../sandbox/azure/arm/resource-groups';
import { atEndOfFile } from '../support/ends';
import { askForRotation, control, ended, makeCluster, people, startOwnService, testStack } from '../support/stack';
import { keyClient } from '../support/vault';

const NAME = 'schema';
const ENDPOINT = 'receiver';
/** The routes that change an operation: each has one of its own that waits. */
const DECISIONS = [
  'approveOperation',
  'denyOperation',
  'cancelOperation',
  'retryOperation',
  'pauseOperation',
  'resumeOperation',
  'acceptSecrets',
];

/** What the run needs to know. */
export interface SchemaFacts {
  readonly apiUrl: string;
  /** Of a person who holds every role. */
  readonly token: string;
  /** The file that hooks.py reads. */
  readonly file: string;
}

/** Starts and makes all of it; the end of the test file stops it. */
export async function makeFacts(): Promise<SchemaFacts> {
  const directory = path.join(testStack().directory, NAME);
  mkdirSync(directory, { recursive: true });
  const [{ resourceId, keyId }, service] = await Promise.all([
    makeCluster(NAME, { count: 10 }),
    startOwnService(NAME, await webhooks(directory)),
  ]);
  atEndOfFile(() => service.stop());

  const { requester, approver1, approver2 } = people(service.apiUrl);
  const asked = async (): Promise<{ id: string; digest: string }> => {
    const { id, plan } = await askForRotation(requester, resourceId);
    return { id, digest: plan?.digest ?? '' };
  };
  const succeeded = await asked();
  await approver2.approve(succeeded.id, succeeded.digest);
  await ended(requester, succeeded.id);
  const denied = await asked();
  await approver1.deny(denied.id, denied.digest);
  await ended(requester, denied.id);
  const waiting: Record<string, { id: string; digest: string }> = {};
  for (const decision of DECISIONS) waiting[decision] = await asked();

  const file = path.join(directory, 'facts.json');
  const parameters = await parametersOf(resourceId, keyId);
  writeFileSync(
    file,
    JSON.stringify({ cluster: resourceId, endpoint: ENDPOINT, parameters, waiting, ended: [succeeded, denied] }),
  );
  const token = await control().mintToken({ name: 'approver1', roles: Object.values(Role) });
  return { apiUrl: service.apiUrl, token, file };
}

/** The settings of a service that tells a receiver of its events; the receiver takes all. */
async function webhooks(directory: string): Promise<NodeJS.ProcessEnv> {
  const receiver = createServer((request, response) => {
    request.resume();
    request.once('end', () => response.end());
  });
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  atEndOfFile(() => {
    receiver.closeAllConnections();
    receiver.close();
    return Promise.resolve();
  });
  const { port } = receiver.address() as AddressInfo;
  const file = path.join(directory, 'webhooks.json');
  const secrets = [{ env: 'KEYTURN_TEST_WEBHOOK_SECRET' }];
  writeFileSync(file, JSON.stringify({ endpoints: [{ id: ENDPOINT, url: `http://127.0.0.1:${port}/`, secrets }] }));
  return {
    KEYTURN_WEBHOOKS_FILE: file,
    KEYTURN_WEBHOOK_HOSTS: `127.0.0.1:${port}`,
    KEYTURN_WEBHOOK_HTTP_LOOPBACK: 'allow',
    KEYTURN_TEST_WEBHOOK_SECRET: `whsec_${Buffer.from('s'.repeat(32)).toString('base64')}`,
  };
}

/** For each parameter of a kind that names something in Azure: one that exists, and those that do not, each in its way. */
async function parametersOf(resourceId: string, keyId: string): Promise<Record<string, readonly string[]>> {
  const { subscriptionId = '', resourceGroup = '' } = parseClusterId(resourceId) ?? {};
  const { vaultName, name } = mustParseKeyId(keyId);
  const { id: otherKey = '' } = await keyClient(keyId).createRsaKey('other');
  const nowhere = '11111111-2222-4333-8444-555555555555';
  const idIn = (subscription: string, group: string, resource: string): string =>
    `/subscriptions/${subscription}/resourceGroups/${group}/providers/${resource}`;
  const everywhere = (resource: string, missing: string): string[] => [
    idIn(subscriptionId, resourceGroup, resource),
    idIn(subscriptionId, resourceGroup, missing),
    idIn(subscriptionId, 'no-such-group', resource),
    idIn(nowhere, resourceGroup, resource),
    idIn(FOREIGN_SUBSCRIPTION, resourceGroup, resource),
  ];
  const vault = 'Microsoft.KeyVault/vaults/';
  const identity = 'Microsoft.ManagedIdentity/userAssignedIdentities/';
  const keys = [
    keyId,
    otherKey,
    keyId.replace(/[^/]+$/, '0'.repeat(32)),
    keyId.replace(`//${vaultName}.`, '//kv-no-such-vault.'),
    keyId.replace(`/${name}/`, '/no-such-key/'),
  ];
  return {
    keyId: keys,
    nextKeyId: keys,
    vaultId: everywhere(`${vault}${vaultName}`, `${vault}kv-no-such-vault`),
    identityId: everywhere(`${identity}id-${NAME}`, `${identity}no-such-identity`),
    workspaceId: everywhere(
      'Microsoft.OperationalInsights/workspaces/logs-there',
      'Microsoft.OperationalInsights/workspaces/no-such-logs',
    ),
  };
}
