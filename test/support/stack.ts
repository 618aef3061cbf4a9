/** What the test files share, and helpers for the operations that they run. */
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { ApiClient, type OperationAnswer } from '../../cli/api-client';
import { isFinal } from '../../domain/operation';
import { armDelete, connectAzure } from '../../launch/azure-client';
import { sandboxEnvironment, type SandboxFacts } from '../../launch/sandbox';
import { makeSandboxCluster, type SandboxClusterFacts, type SandboxClusterOptions } from '../../launch/sandbox-cluster';
import { SandboxControl } from '../../launch/sandbox-control';
import { startService, type Service } from '../../launch/service';
import { atEndOfFile } from './ends';

/** Variable that carries the facts from the global setup to the test files. */
export const TEST_STACK = 'KEYTURN_TEST_STACK';

/** What the global setup started. */
export interface TestStackFacts {
  readonly directory: string;
  readonly sandbox: SandboxFacts;
  readonly temporal: { readonly address: string; readonly namespace: string };
  readonly apiUrl: string;
}

/** The facts of this test run. */
export function testStack(): TestStackFacts {
  const facts = process.env[TEST_STACK];
  if (facts === undefined) throw new Error('The global setup did not run.');
  return JSON.parse(facts) as TestStackFacts;
}

/** The sandbox's control. Faults are those of this file: to clear one leaves what other files have switched on. */
export const control = (): SandboxControl => new FileControl(testStack().sandbox.control);

/** What this file has switched on: the part of ids that it is about, by name; undefined where it has none. */
const switchedOn = new Map<string, Set<string | undefined>>();

class FileControl extends SandboxControl {
  override async setFault(name: string, settings: { readonly path?: string } = {}): Promise<void> {
    switchedOn.set(name, (switchedOn.get(name) ?? new Set()).add(settings.path));
    await super.setFault(name, settings);
  }

  override async clearFault(name: string, path?: string): Promise<void> {
    const on = switchedOn.get(name) ?? new Set();
    for (const one of path === undefined ? [...on] : [path]) {
      on.delete(one);
      await super.clearFault(name, one);
    }
  }
}

/** API clients of the people of the sandbox, for the shared service or another one. */
export function people(
  apiUrl = testStack().apiUrl,
): Record<'requester' | 'approver1' | 'approver2' | 'reader', ApiClient> {
  const { requester, approver1, approver2, reader } = testStack().sandbox.people;
  const client = ({ token }: { token: string }): ApiClient => new ApiClient(apiUrl, token);
  return {
    requester: client(requester),
    approver1: client(approver1),
    approver2: client(approver2),
    reader: client(reader),
  };
}

/** A client with a token of its own kind. */
export async function clientOf(token: Parameters<SandboxControl['mintToken']>[0]): Promise<ApiClient> {
  return new ApiClient(testStack().apiUrl, await control().mintToken(token));
}

/** A cluster of the test file's own, with Secrets. Real etcd and kube-apiserver: a few seconds. */
export async function makeCluster(
  name: string,
  seed: { readonly count: number } & Record<string, unknown>,
  options: Partial<SandboxClusterOptions> = {},
): Promise<SandboxClusterFacts> {
  const { sandbox, directory } = testStack();
  const vaultName = vaultNameOf(name);
  const cluster = await makeSandboxCluster(sandbox, { ...options, name, vaultName, directory });
  atEndOfFile(() => deleteCluster(cluster));
  if (seed.count > 0) await control().seed(name, seed);
  return cluster;
}

/** Asks ARM to delete a cluster: its processes end. */
export async function deleteCluster({ resourceId }: Pick<SandboxClusterFacts, 'resourceId'>): Promise<void> {
  const azure = await connectAzure(testStack().sandbox);
  try {
    await armDelete(azure.request, resourceId);
  } finally {
    await azure.close();
  }
}

/** The vault of a cluster: at most 24 characters, and the last one no hyphen. */
export function vaultNameOf(cluster: string): string {
  return `kv-${cluster}`.slice(0, 24).replace(/-+$/, '');
}

/** A service of the test file's own: its worker may be killed. It has a task queue of its own. */
export async function startOwnService(name: string, env: NodeJS.ProcessEnv = {}): Promise<Service> {
  return await startService({
    logDirectory: path.join(testStack().directory, 'logs', name),
    onRestart: () => undefined,
    env: { ...serviceEnvironment(name), ...env },
  });
}

/** The environment of a service with a task queue of its own, on the Temporal and the sandbox of the test run. */
export function serviceEnvironment(taskQueue: string): NodeJS.ProcessEnv {
  const { directory, temporal, sandbox } = testStack();
  return {
    ...process.env,
    ...sandboxEnvironment(sandbox),
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    KEYTURN_TASK_QUEUE: taskQueue,
    KEYTURN_EVIDENCE_DIRECTORY: path.join(directory, 'evidence'),
    KEYTURN_EVIDENCE_KEY_FILE: path.join(directory, 'evidence-key.pem'),
    KEYTURN_API_SIGNING_KEY_FILE: path.join(directory, 'api-key.pem'),
    KEYTURN_API_PUBLIC_KEYS: path.join(directory, 'api-key.pub.pem'),
    KEYTURN_EVIDENCE_KEY_CREATE: 'true',
    KEYTURN_RATE_LIMIT_PER_MINUTE: '100000',
    KEYTURN_MOUNT_FAILS_AFTER_SECONDS: '5',
  };
}

/** Opens a client of the test run's Temporal. The caller closes the connection. */
export async function openTemporal(): Promise<Client> {
  const { address, namespace } = testStack().temporal;
  return new Client({ connection: await Connection.connect({ address }), namespace });
}

/** The body of a request for a rotation. */
export const rotateBody = (cluster: string, change: Record<string, unknown> = {}): Record<string, unknown> => ({
  kind: 'rotate-key',
  cluster,
  change: { number: 'CHG-TEST' },
  ...change,
});

/** Asks for a rotation under a fresh key and waits for its plan. */
export async function askForRotation(
  client: ApiClient,
  cluster: string,
  change: Record<string, unknown> = {},
): Promise<OperationAnswer> {
  const { operation } = await client.create(rotateBody(cluster, change), randomUUID());
  return await until(client, operation.id, ({ offers, status }) => offers.includes('approve') || isFinal(status));
}

/** Reads an operation until something holds of it; an operation that ends otherwise is an error. */
export async function until(
  client: ApiClient,
  id: string,
  holds: (operation: OperationAnswer) => boolean,
): Promise<OperationAnswer> {
  for (;;) {
    const operation = await client.get(id, 1);
    if (holds(operation)) return operation;
    if (isFinal(operation.status) && operation.evidence !== null) {
      throw new Error(
        `The operation ended ${operation.status}: ${operation.reason?.detail ?? 'no reason'}\n${operation.progressText}`,
      );
    }
  }
}

/** Waits for the end of an operation, evidence included. */
export async function ended(client: ApiClient, id: string): Promise<OperationAnswer> {
  return await until(client, id, ({ status, evidence }) => isFinal(status) && evidence !== null);
}
