/**
 * A model of API servers in front of one etcd, by the rules of etcd3's GuaranteedUpdate and of what it holds for stale
 * (research note rotation-systems.md 1.1 and 1.2).
 *
 * Each operation happens at one moment. With that a documented limit of the proof is outside the model: a request that a
 * server took in before it switched, and stores only after Rc was noted (docs/proof.md, "What it does not prove").
 */
import type { ObjectState } from '../../../domain/settling';
import { Etcd, type StoredRecord } from './etcd';

/** How records tell their key: by a key id; by a provider name for each key; by one provider name for all. */
export type Scheme = 'kms-v2' | 'kms-v1-named' | 'kms-v1-shared';

/** One API server: a process, and the key that it writes with. */
export interface ApiServer {
  readonly name: string;
  /** New at every start of the process. */
  process: string;
  writesWith: string;
}

/** What a fenced patch is answered with; `conflict` is status 409, `notFound` is 404. */
export type PatchReply =
  { readonly type: 'state'; readonly state: ObjectState } | { readonly type: 'conflict' | 'notFound' };

/** The model. */
export class Cluster {
  readonly etcd = new Etcd();
  readonly servers: ApiServer[] = [];
  /** Servers that were replaced and have not ended: they answer the clients that stay connected to them, and no other. */
  replaced: ApiServer[] = [];
  /** Secrets whose namespace is not there any more: they can be read, listed and deleted, and no change of them is taken. */
  readonly orphans = new Set<string>();
  #scheme: Scheme;
  #made = 0;

  constructor(scheme: Scheme, writesWith: readonly string[]) {
    this.#scheme = scheme;
    for (const key of writesWith) this.join(key);
  }

  /** A server of any number: schedules need not know how many there are. */
  server(number: number): ApiServer {
    const server = this.servers[number % this.servers.length];
    if (server === undefined) throw new Error('The model has no API server.');
    return server;
  }

  join(writesWith: string): void {
    this.servers.push({ name: `apiserver-${++this.#made}`, process: this.#newProcess(), writesWith });
  }

  restart(server: ApiServer, writesWith: string): void {
    this.replaced.push({ ...server });
    Object.assign(server, { process: this.#newProcess(), writesWith });
  }

  /** New API servers of another version, which may encrypt in another way. */
  upgrade(scheme: Scheme): void {
    this.#scheme = scheme;
    this.restartAll();
  }

  /** Every server is a new process that writes as the one before it. */
  restartAll(): void {
    for (const server of this.servers) this.restart(server, server.writesWith);
  }

  /** Ends a server, unless it is the last. */
  leave(server: ApiServer): void {
    if (this.servers.length > 1) this.servers.splice(this.servers.indexOf(server), 1);
  }

  processes(): string[] {
    return this.servers.map(({ process }) => process);
  }

  allWriteWith(key: string): boolean {
    return this.servers.every(({ writesWith }) => writesWith === key);
  }

  /** Puts a Secret there as an API server of another time has left it. */
  seed(name: string, key: string): void {
    this.#store(name, `uid-${++this.#made}`, key);
  }

  /** Somebody creates a Secret, or changes the one that is there. */
  write(name: string, { writesWith }: ApiServer): void {
    if (this.orphans.has(name)) return;
    this.#store(name, this.etcd.records.get(name)?.uid ?? `uid-${++this.#made}`, writesWith);
  }

  read(name: string): ObjectState | undefined {
    const record = this.etcd.records.get(name);
    return record && stateOf(record);
  }

  list(): { readonly resourceVersion: string; readonly items: readonly (ObjectState & { readonly name: string })[] } {
    const items = [...this.etcd.records].map(([name, record]) => ({ name, ...stateOf(record) }));
    return { resourceVersion: String(this.etcd.revision), items };
  }

  /** A patch that changes nothing, or, forced, an annotation. It is refused unless the object is in the state of the fence. */
  patch(name: string, fence: ObjectState, forced: boolean, { writesWith }: ApiServer): PatchReply {
    const record = this.etcd.records.get(name);
    if (record === undefined || this.orphans.has(name)) return { type: 'notFound' };
    const { uid, resourceVersion } = stateOf(record);
    if (uid !== fence.uid || resourceVersion !== fence.resourceVersion) return { type: 'conflict' };
    const stored = forced || this.#isStale(record, writesWith) ? this.#store(name, uid, writesWith) : record;
    return { type: 'state', state: stateOf(stored) };
  }

  #isStale({ storedUnder, provider }: StoredRecord, writesWith: string): boolean {
    return this.#scheme === 'kms-v2' ? storedUnder !== writesWith : provider !== this.#providerOf(writesWith);
  }

  #store(name: string, uid: string, key: string): StoredRecord {
    return this.etcd.put(name, { uid, storedUnder: key, provider: this.#providerOf(key) });
  }

  #providerOf(key: string): string {
    if (key === 'identity') return 'identity';
    return this.#scheme === 'kms-v1-named' ? `kms-${key}` : 'kms';
  }

  #newProcess(): string {
    return `process-${++this.#made}`;
  }
}

function stateOf({ uid, revision }: StoredRecord): ObjectState {
  return { uid, resourceVersion: String(revision) };
}
