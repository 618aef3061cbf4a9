/**
 * Starts and ends one sandbox.
 *
 * Needs: a directory, and a factory of clusters.
 * Does: makes a local Azure, opens its proxy and its control API, registers the client and the people, and writes
 *       everything that a client needs to `sandbox.json`.
 * Never does: reach a host that is not loopback.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstanceIdentities } from './azure/arm/instance-identities';
import type { NodeFeaturesListener } from './azure/arm/node-side';
import { openAuthorityOnDisk } from './azure/authority';
import { createAzure } from './azure/azure';
import { startControl } from './azure/control';
import type { SeedFunction } from './azure/control-clusters';
import { userObjectId, type UserTokenOptions } from './azure/entra/tokens';
import type { Faults } from './azure/faults';
import type { Journal } from './azure/journal';
import { startProxy } from './azure/proxy';
import type { ServiceNowFacts } from './servicenow/servicenow';
import type { ClusterFactory } from './cluster/contract';

/** The roles of Keyturn's API. */
export type KeyturnRole = 'Kms.Reader' | 'Kms.Operator' | 'Kms.Approver' | 'Kms.BreakGlass';

/** A person of the sandbox's tenant. */
export interface SandboxUser {
  readonly name: string;
  readonly roles: readonly KeyturnRole[];
}

/** Who exists unless the caller says otherwise. The requester may approve too, so that four eyes is what refuses him. */
export const DEFAULT_USERS: readonly SandboxUser[] = [
  { name: 'requester', roles: ['Kms.Operator', 'Kms.Reader', 'Kms.Approver'] },
  { name: 'approver1', roles: ['Kms.Approver', 'Kms.Reader'] },
  { name: 'approver2', roles: ['Kms.Approver', 'Kms.Reader'] },
  { name: 'reader', roles: ['Kms.Reader'] },
];

/** How to start a sandbox. */
export interface SandboxOptions {
  /** For certificates, `sandbox.json` and the clusters' data; made if missing. Keep its path short: sockets live below it. */
  readonly directory: string;
  readonly clusterFactory: ClusterFactory;
  readonly users?: readonly SandboxUser[];
  /** Where `ca.pem` and `ca-key.pem` are, or are to be; `directory` when absent. */
  readonly authorityDirectory?: string;
  /** `Retry-After` of long-running operations, in seconds; 1 when absent. */
  readonly retryAfterInSeconds?: number;
  /** Serves `POST /clusters/{name}/seed`; without it there is no such route. */
  readonly seed?: SeedFunction;
}

/** A person with a token for Keyturn's API, valid for 12 hours. */
export interface SandboxPerson extends SandboxUser {
  readonly objectId: string;
  readonly token: string;
}

/** An application that can sign in with a secret. */
export interface SandboxApplication {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly objectId: string;
}

/** What a client needs to use the sandbox: the content of `sandbox.json`. */
export interface SandboxDescription {
  /** For HTTPS_PROXY. */
  readonly proxyUrl: string;
  /** For NODE_EXTRA_CA_CERTS. */
  readonly caFile: string;
  readonly tenantId: string;
  readonly subscriptionId: string;
  readonly otherSubscriptionId: string;
  /** A service principal with every right on ARM and on every vault, but to sign with keys: that is granted as in Azure. */
  readonly clientId: string;
  readonly clientSecret: string;
  /** Its object id: who roles are assigned to. */
  readonly clientObjectId: string;
  readonly people: Readonly<Record<string, SandboxPerson>>;
  /** A ServiceNow instance, reached through the proxy: its API and who may read it. */
  readonly serviceNow: ServiceNowFacts;
  readonly control: { readonly url: string; readonly token: string };
}

/** A running sandbox. */
export interface Sandbox extends SandboxDescription {
  readonly journal: Journal;
  readonly faults: Faults;
  /** What IMDS answers on the nodes of clusters. */
  readonly instanceIdentities: InstanceIdentities;
  /** The proxy for the nodes of a cluster. @param clusterId ARM id */
  proxyUrlForNodes(this: void, clusterId: string): Promise<string>;
  /** Sets who serves the features of nodes: the CSI driver and the workload identity webhook. */
  onNodeFeatures(listener: NodeFeaturesListener): void;
  /** A token for Keyturn's API, valid, or with the fault that a test asks for. */
  mintUserToken(options?: UserTokenOptions): Promise<string>;
  /** Registers one more application; it has no right on ARM and vaults unless it is an administrator or is granted one. */
  registerApplication(
    name: string,
    options?: { readonly administrator?: boolean; readonly appRoles?: readonly KeyturnRole[] },
  ): SandboxApplication;
  /** Just the facts, for JSON. */
  describe(): SandboxDescription;
  /** Ends everything that was started. The directory stays. */
  close(): Promise<void>;
}

/** Starts a sandbox; resolves when clients can use it. */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { directory, clusterFactory, users = DEFAULT_USERS, authorityDirectory = directory } = options;
  await mkdir(directory, { recursive: true });
  const { authority, caFile } = await openAuthorityOnDisk(authorityDirectory);
  const azure = await createAzure({
    clusterFactory,
    dataDirectory: directory,
    retryAfterInSeconds: options.retryAfterInSeconds ?? 1,
  });
  const { tenantId, subscriptionId, otherSubscriptionId, tokens } = azure;
  const client = azure.directory.registerApplication('keyturn', { administrator: true });
  const people = Object.fromEntries(
    await Promise.all(
      users.map(async ({ name, roles }): Promise<[string, SandboxPerson]> => {
        const token = await tokens.mintUserToken({ name, roles });
        const objectId = userObjectId(tenantId, name);
        azure.directory.registerPerson({ objectId, displayName: name, userPrincipalName: `${name}@sandbox.test` });
        return [name, { name, roles, objectId, token }];
      }),
    ),
  );
  const proxy = await startProxy({
    authority,
    handler: azure.handler,
    vaultHost(host) {
      const vault = azure.registry.findByHost(host);
      if (vault === undefined) return 'no-name';
      const down = azure.faults.about('vault-outage', vault.id)?.as === 'refused';
      return down ? 'down' : 'up';
    },
  });
  const control = await startControl(azure, options.seed);

  const description: SandboxDescription = {
    proxyUrl: proxy.url,
    caFile,
    tenantId,
    subscriptionId,
    otherSubscriptionId,
    clientId: client.appId,
    clientSecret: client.secret,
    clientObjectId: client.objectId,
    people,
    serviceNow: azure.serviceNow.facts,
    control: { url: control.url, token: control.token },
  };
  await writeFile(join(directory, 'sandbox.json'), `${JSON.stringify(description, null, 2)}\n`, { mode: 0o600 });

  return {
    ...description,
    journal: azure.journal,
    faults: azure.faults,
    instanceIdentities: azure.instanceIdentities,
    proxyUrlForNodes: proxy.urlForNodes,
    onNodeFeatures: (listener) => azure.clusters.onNodeFeatures(listener),
    mintUserToken: (tokenOptions) => tokens.mintUserToken(tokenOptions),
    registerApplication(name, applicationOptions) {
      const { appId, secret, objectId } = azure.directory.registerApplication(name, applicationOptions);
      return { clientId: appId, clientSecret: secret, objectId };
    },
    describe: () => description,
    async close() {
      await proxy.close();
      await control.close();
      await azure.close();
    },
  };
}
