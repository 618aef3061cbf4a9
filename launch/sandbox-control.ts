/** The sandbox's control API, as the commands and tests use it. */
import { z } from 'zod';
import type { SandboxFacts } from './sandbox';

const Journal = z.object({
  entries: z.array(
    z.object({
      time: z.string(),
      method: z.string(),
      host: z.string(),
      path: z.string(),
      status: z.int(),
      /** False when a fault swallowed the answer. */
      answered: z.boolean(),
      kms: z.boolean(),
    }),
  ),
});
/** One mutating request that the sandbox saw, or an answer of an API server that it lost. */
export type JournalEntry = z.infer<typeof Journal>['entries'][number];

const State = z.object({
  clusters: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      kubernetesVersion: z.string(),
      provisioningState: z.string(),
      powerState: z.string(),
      /** Whether the API servers run with VNet integration. */
      vnetIntegrated: z.boolean(),
      /** What the API servers are to run with: key ids, current first. */
      encryption: z.object({ write: z.enum(['kms', 'identity']), slots: z.array(z.string()) }),
      // Absent until the cluster has been made.
      etcdUrl: z.string().optional(),
      traffic: z.object({ bytesToClients: z.int(), bytesFromClients: z.int() }).optional(),
      servers: z
        .array(
          z.object({
            name: z.string(),
            port: z.int(),
            pid: z.int(),
            kubernetesMinor: z.string(),
            /** A key id, or `identity`. */
            writes: z.string(),
            problem: z.string().optional(),
          }),
        )
        .optional(),
    }),
  ),
});
/** What the sandbox knows of itself, past Azure: the part of `/state` that commands and tests use. */
export type SandboxState = z.infer<typeof State>;

const VaultLogs = z.object({
  rows: z.array(
    z.object({
      time: z.string(),
      resourceId: z.string(),
      /** `KeyEncrypt`, `KeyDecrypt` … */
      operationName: z.string(),
      identity: z.object({ oid: z.string(), appid: z.string() }),
      properties: z.object({ id: z.string(), requestUri: z.string(), httpStatusCode: z.int() }),
    }),
  ),
});
/** One call of a vault that its diagnostic setting logged. */
export type VaultLogRow = z.infer<typeof VaultLogs>['rows'][number];

/** A client of the control API. */
export class SandboxControl {
  constructor(private readonly control: SandboxFacts['control']) {}

  /** Every mutating request since the sandbox started. */
  async journal(): Promise<JournalEntry[]> {
    return Journal.parse(await this.send('GET', '/journal')).entries;
  }

  /** Switches a fault on. */
  async setFault(name: string, settings: unknown = {}): Promise<void> {
    await this.send('PUT', `/faults/${name}`, settings);
  }

  /** Switches a fault off. @param path only the one that was switched on with it */
  async clearFault(name: string, path?: string): Promise<void> {
    await this.send(
      'DELETE',
      `/faults/${name}${path === undefined ? '' : `?${new URLSearchParams({ path }).toString()}`}`,
    );
  }

  /** Fills a cluster with Secrets. */
  async seed(cluster: string, options: { readonly count: number } & Record<string, unknown>): Promise<void> {
    await this.send('POST', `/clusters/${cluster}/seed`, options);
  }

  /** Clusters with their key slots, API servers and traffic. */
  async state(): Promise<SandboxState> {
    return State.parse(await this.send('GET', '/state'));
  }

  /** What a vault logged since AuditEvent is on. @param vaultId ARM id */
  async vaultLogs(vaultId: string): Promise<VaultLogRow[]> {
    const query = new URLSearchParams({ vault: vaultId }).toString();
    return VaultLogs.parse(await this.send('GET', `/vault-logs?${query}`)).rows;
  }

  /** Saves etcd's data, while the cluster's servers are down for some seconds. @returns the name for {@link restore} */
  async snapshot(cluster: string): Promise<string> {
    const saved = await this.send('POST', `/clusters/${cluster}/snapshots`);
    return z.object({ snapshot: z.string() }).parse(saved).snapshot;
  }

  /** Puts the data of a snapshot in the place of etcd's own: resource versions go back. */
  async restore(cluster: string, snapshot: string): Promise<void> {
    await this.send('POST', `/clusters/${cluster}/restore`, { snapshot });
  }

  /** Gives the cluster a new authority and new credentials, as `az aks rotate-certs` does. */
  async rotateCertificates(cluster: string): Promise<void> {
    await this.send('POST', `/clusters/${cluster}/rotate-certificates`);
  }

  /** Ends every API server and starts it again with nothing cached, also when the vault refuses the cluster. */
  async restartServers(cluster: string): Promise<void> {
    await this.send('POST', `/clusters/${cluster}/restart-servers`);
  }

  /** Makes a change request in the sandbox's ServiceNow, or changes one. @param fields as its database has them */
  async setChange(number: string, fields: Readonly<Record<string, string>>): Promise<void> {
    await this.send('PUT', `/service-now/changes/${number}`, fields);
  }

  /** Has its ServiceNow answer, show a page, or refuse for want of capacity. */
  async setServiceNow(mode: 'up' | 'maintenance' | 'throttled'): Promise<void> {
    await this.send('PUT', '/service-now/mode', { mode });
  }

  /** How many requests about Secrets the cluster's API servers have answered so far, by verb. */
  async secretRequests(cluster: string): Promise<Record<string, number>> {
    return z.record(z.string(), z.int()).parse(await this.send('GET', `/clusters/${cluster}/secret-requests`));
  }

  /** Makes an access token for Keyturn's API, right or wrong as asked for. */
  async mintToken(token: {
    readonly name?: string;
    readonly roles?: readonly string[];
    readonly audience?: string;
    readonly tenantId?: string;
    readonly expiresInSeconds?: number;
    readonly appOnly?: boolean;
    /** The cloud whose Entra issues it; the public one when absent. */
    readonly cloud?: string;
  }): Promise<string> {
    return z.object({ token: z.string() }).parse(await this.send('POST', '/tokens', token)).token;
  }

  /** A person enters the code that a program shows, and signs in. */
  async enterDeviceCode(entered: {
    readonly userCode: string;
    readonly name: string;
    readonly roles: readonly string[];
    readonly expiresInSeconds?: number;
  }): Promise<void> {
    await this.send('POST', '/device-codes', entered);
  }

  private async send(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(this.control.url + path, {
      method,
      headers: { authorization: `Bearer ${this.control.token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`The sandbox answered ${method} ${path} with ${response.status}: ${text}`);
    return JSON.parse(text) as unknown;
  }
}

/** How many accepted requests changed a cluster through ARM. */
export function clusterWrites(journal: readonly JournalEntry[], resourceId: string): number {
  const path = resourceId.toLowerCase();
  return journal.filter((entry) => entry.path.toLowerCase() === path && entry.status < 300).length;
}
