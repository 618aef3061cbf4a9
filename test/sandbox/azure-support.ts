/**
 * What the tests of the sandbox's Azure share: a sandbox in this process, and real clients that reach it through its proxy.
 *
 * The clusters here are records of what ARM asked for: etcd and API servers have tests of their own.
 */
import { createPublicKey, generateKeyPairSync, type KeyObject, type KeyPairKeyObjectResult } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ContainerServiceClient, type ManagedCluster } from '@azure/arm-containerservice';
import { KeyVaultManagementClient } from '@azure/arm-keyvault';
import { ResourceManagementClient } from '@azure/arm-resources';
import { ClientSecretCredential } from '@azure/identity';
import { KeyClient } from '@azure/keyvault-keys';
import { ProxyAgent, request } from 'undici';
import {
  UnknownSnapshotError,
  type ClusterFactory,
  type ClusterOptions,
  type EncryptionState,
  type SandboxCluster,
  type WebhookConfiguration,
  type TokenKey,
} from '../../sandbox/cluster/contract';
import { startSandbox, type Sandbox } from '../../sandbox/sandbox';

export const GROUP = 'rg-keyturn';
export const LOCATION = 'westeurope';

/** A cluster that remembers what it was told, and whose keys are really used, as a KMS plugin's health probe would. */
export interface RecordedCluster {
  readonly options: ClusterOptions;
  readonly states: EncryptionState[];
  readonly events: string[];
  readonly snapshots: string[];
  /** What AKS finds before a stop. */
  webhooks: readonly WebhookConfiguration[];
  /** What its service account tokens are signed with. */
  readonly tokenKey: KeyObject;
  latencyInMs: number;
  lateServers: number;
  /** How many SecretProviderClasses it says it has. */
  secretProviderClasses: number;
  /** The next roll-out rejects with this. */
  failNext?: Error;
}

/** A factory of such clusters, and the list of those that it made. */
export function recordingFactory(): { factory: ClusterFactory; clusters: RecordedCluster[] } {
  const clusters: RecordedCluster[] = [];
  const factory: ClusterFactory = async (options) => {
    let keys: KeyPairKeyObjectResult | undefined;
    const record: RecordedCluster = {
      options,
      states: [],
      events: [],
      snapshots: [],
      webhooks: [],
      latencyInMs: 0,
      lateServers: 0,
      secretProviderClasses: 0,
      get tokenKey() {
        return (keys ??= generateKeyPairSync('rsa', { modulusLength: 2048 })).privateKey;
      },
    };
    const roll = async (state: EncryptionState): Promise<void> => {
      const failure = record.failNext;
      record.failNext = undefined;
      if (failure !== undefined) throw failure;
      for (const kid of state.slots) await probe(options, kid);
      record.states.push(state);
    };
    await roll(options.encryption);
    clusters.push(record);
    const cluster: SandboxCluster = {
      adminKubeconfig: `kubeconfig of ${options.name}`,
      etcdUrl: 'http://127.0.0.1:0',
      applyEncryption: roll,
      setLatency: (latencyInMs) => {
        record.latencyInMs = latencyInMs;
      },
      setLostAnswers: async () => undefined,
      setLateServers: (count) => {
        record.lateServers = count;
      },
      setKeepReplaced: () => undefined,
      servers: () => [
        {
          name: `host-${options.name}`,
          port: 1,
          pid: 1,
          kubernetesMinor: options.kubernetesMinor,
          writes: record.states.at(-1)?.slots[0] ?? 'identity',
        },
      ],
      upgrade: async (kubernetesMinor) => {
        const failure = record.failNext;
        record.failNext = undefined;
        if (failure !== undefined) throw failure;
        record.events.push(`upgrade to ${kubernetesMinor}`);
      },
      rotateCertificates: async () => void record.events.push('rotate certificates'),
      snapshot: async () => {
        record.snapshots.push(`snapshot-${record.snapshots.length + 1}`);
        return record.snapshots.at(-1) ?? '';
      },
      restore: async (name) => {
        if (!record.snapshots.includes(name)) throw new UnknownSnapshotError(`There is no snapshot ${name}.`);
        record.events.push(`restore ${name}`);
      },
      secretRequests: async () => ({ GET: 3 }),
      traffic: () => ({ bytesToClients: 2, bytesFromClients: 1 }),
      restartServers: async () => void record.events.push('restart servers'),
      webhooks: async () => record.webhooks,
      setKonnectivityAgents: async (present) =>
        void record.events.push(`konnectivity agents ${present ? 'on' : 'off'}`),
      kubelet: { caPem: '', certPem: '', keyPem: '' },
      tokenKeys: async () => {
        const jwk = createPublicKey(record.tokenKey).export({ format: 'jwk' });
        return [{ ...jwk, kid: `of ${options.name}`, use: 'sig', alg: 'RS256' } as TokenKey];
      },
      setIssuer: async (issuer) => void record.events.push(`issuer ${issuer}`),
      countSecretProviderClasses: async () => record.secretProviderClasses,
      stop: async () => void record.events.push('stop'),
      start: async () => void record.events.push('start'),
      destroy: async () => void record.events.push('destroy'),
    };
    return cluster;
  };
  return { factory, clusters };
}

async function probe({ crypto }: ClusterOptions, kid: string): Promise<void> {
  const text = Buffer.from('ping');
  const back = await crypto.decrypt(kid, await crypto.encrypt(kid, text));
  if (!text.equals(back)) throw new Error(`${kid} did not give back what it was given`);
}

/** An answer of a raw request. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Record<string, unknown>;
}

/** How to ask. */
export interface RawOptions {
  readonly body?: unknown;
  readonly form?: Record<string, string>;
  readonly token?: string;
  readonly headers?: Record<string, string>;
}

/** A sandbox in this process with its clients. */
export class TestAzure {
  readonly #proxy: ProxyAgent;
  readonly credential: ClientSecretCredential;
  readonly containers: ContainerServiceClient;
  readonly vaults: KeyVaultManagementClient;
  readonly resources: ResourceManagementClient;

  private constructor(
    readonly sandbox: Sandbox,
    readonly clusters: RecordedCluster[],
    readonly directory: string,
  ) {
    this.#proxy = new ProxyAgent({ uri: sandbox.proxyUrl });
    // Default constructors on purpose: only the environment differs from production.
    process.env['HTTPS_PROXY'] = sandbox.proxyUrl;
    this.credential = new ClientSecretCredential(sandbox.tenantId, sandbox.clientId, sandbox.clientSecret);
    this.containers = new ContainerServiceClient(this.credential, sandbox.subscriptionId);
    this.vaults = new KeyVaultManagementClient(this.credential, sandbox.subscriptionId);
    this.resources = new ResourceManagementClient(this.credential, sandbox.subscriptionId);
  }

  /** @param clusterFactory real clusters; without it they are records */
  static async start(clusterFactory?: ClusterFactory): Promise<TestAzure> {
    const directory = await mkdtemp(join(tmpdir(), 'kt-azure-'));
    const { factory, clusters } = recordingFactory();
    const sandbox = await startSandbox({
      directory,
      clusterFactory: clusterFactory ?? factory,
      retryAfterInSeconds: 0,
      authorityDirectory: trustedAuthority(),
    });
    return new TestAzure(sandbox, clusters, directory);
  }

  async stop(): Promise<void> {
    await this.#proxy.close();
    await this.sandbox.close();
    delete process.env['HTTPS_PROXY'];
    await rm(this.directory, { recursive: true, force: true });
  }

  /** A token of the sandbox's client, or of another application. */
  async token(resource: string, application?: { clientId: string; clientSecret: string }): Promise<string> {
    const { tenantId, clientId, clientSecret } = { ...this.sandbox, ...application };
    const answer = await this.raw('POST', `https://login.microsoftonline.com/${tenantId}/oauth2/v2.0/token`, {
      form: {
        client_id: clientId,
        client_secret: clientSecret,
        scope: `${resource}/.default`,
        grant_type: 'client_credentials',
      },
    });
    return String(answer.body['access_token']);
  }

  /** One request through the proxy, with nothing added. */
  async raw(method: string, url: string, { body, form, token, headers = {} }: RawOptions = {}): Promise<RawAnswer> {
    const answer = await request(url, {
      method: method as 'GET',
      dispatcher: this.#proxy,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
        ...headers,
      },
      body: form === undefined ? (body === undefined ? undefined : JSON.stringify(body)) : formText(form),
    });
    const text = await answer.body.text();
    return { status: answer.statusCode, headers: answer.headers, body: parsed(text) };
  }

  /** A request to ARM as the sandbox's client. The path starts after the subscription. */
  async arm(method: string, path: string, options: RawOptions = {}): Promise<RawAnswer> {
    const token = options.token ?? (await this.token('https://management.azure.com'));
    const separator = path.includes('?') ? '&' : '?';
    const url = `https://management.azure.com/subscriptions/${this.sandbox.subscriptionId}${path}${separator}api-version=2026-04-01`;
    return this.raw(method, url, { ...options, token });
  }

  /** A request to a vault as the sandbox's client, or with the token given. */
  async vault(method: string, name: string, path: string, options: RawOptions = {}): Promise<RawAnswer> {
    const token = options.token ?? (await this.token('https://vault.azure.net'));
    return this.raw(method, `https://${name}.vault.azure.net${path}?api-version=2025-07-01`, { ...options, token });
  }

  clusterPath(name: string): string {
    return `/resourceGroups/${GROUP}/providers/Microsoft.ContainerService/managedClusters/${name}`;
  }

  /** Polls an operation to its end, as the header gives its URL. */
  async poll(answer: RawAnswer): Promise<Record<string, unknown>> {
    const url = String(answer.headers['azure-asyncoperation']);
    const token = await this.token('https://management.azure.com');
    for (;;) {
      const { body } = await this.raw('GET', url, { token });
      if (body['status'] !== 'InProgress') return body;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  keys(vaultName: string): KeyClient {
    return new KeyClient(`https://${vaultName}.vault.azure.net`, this.credential);
  }

  /** Group, identity and an RBAC vault whose keys the identity may use; idempotent. */
  async provision(vaultName: string): Promise<{ identityId: string; principalId: string; vaultId: string }> {
    await this.resources.resourceGroups.createOrUpdate(GROUP, { location: LOCATION });
    const { identityId, principalId } = await this.identity('id-aks');
    const vault = await this.vaults.vaults.createOrUpdate(GROUP, vaultName, {
      location: LOCATION,
      properties: {
        tenantId: this.sandbox.tenantId,
        sku: { family: 'A', name: 'standard' },
        enableRbacAuthorization: true,
        enablePurgeProtection: true,
      },
    });
    await this.grant(String(vault.id), '12338af0-0e69-4776-bea7-57ae8d297424', principalId);
    return { identityId, principalId, vaultId: String(vault.id) };
  }

  async identity(name: string): Promise<{ identityId: string; principalId: string }> {
    const path = `/resourceGroups/${GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
    const { body } = await this.arm('PUT', path, { body: { location: LOCATION } });
    const { principalId } = body['properties'] as { principalId: string };
    return { identityId: String(body['id']), principalId };
  }

  async grant(scope: string, roleGuid: string, principalId: string): Promise<RawAnswer> {
    const name = crypto.randomUUID();
    const token = await this.token('https://management.azure.com');
    return this.raw(
      'PUT',
      `https://management.azure.com${scope}/providers/Microsoft.Authorization/roleAssignments/${name}?api-version=2022-04-01`,
      {
        token,
        body: {
          properties: {
            roleDefinitionId: `/subscriptions/${this.sandbox.subscriptionId}/providers/Microsoft.Authorization/roleDefinitions/${roleGuid}`,
            principalId,
            principalType: 'ServicePrincipal',
          },
        },
      },
    );
  }

  /** The parameters of a cluster with KMS on. */
  clusterParameters(identityId: string, keyId?: string, kubernetesVersion = '1.34'): ManagedCluster {
    return {
      location: LOCATION,
      identity: { type: 'UserAssigned', userAssignedIdentities: { [identityId]: {} } },
      kubernetesVersion,
      dnsPrefix: 'c',
      agentPoolProfiles: [{ name: 'nodepool1', count: 1, vmSize: '', mode: 'System', osType: 'Linux' }],
      ...(keyId === undefined
        ? {}
        : { securityProfile: { azureKeyVaultKms: { enabled: true, keyId, keyVaultNetworkAccess: 'Public' } } }),
    };
  }
}

/** The authority of the test run's own sandbox: this process trusts it since its start (NODE_EXTRA_CA_CERTS), and no other. */
function trustedAuthority(): string {
  const file = process.env['NODE_EXTRA_CA_CERTS'];
  if (file === undefined) throw new Error('The global setup did not run.');
  return dirname(file);
}

function formText(form: Record<string, string>): string {
  return new URLSearchParams(form).toString();
}

function parsed(text: string): Record<string, unknown> {
  try {
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  } catch {
    return { text };
  }
}
