/**
 * What really is: etcd and its API servers, the cluster's two key slots, the profile and the versions that Azure reports, the vaults'
 * keys, another cluster, the ledger in the cluster, the signed evidence, the time.
 *
 * AKS reads with both slots, and plaintext always. KMS that is off takes no slot: the last key stays readable.
 */
import { applyChange, type KmsProfile } from '../../../domain/cluster-change';
import { kmsScheme, minorOf } from '../../../domain/encryption';
import type { Ledger } from '../../../domain/ledger';
import type { ObservedCluster } from '../../../domain/observed';
import type { SealedOperation } from '../../../domain/trusted-ledger';
import { goodCluster } from '../fixtures';
import { Cluster, type ApiServer, type Scheme } from '../proof-model/cluster';
import type { Snapshot } from '../proof-model/etcd';
import { Azure } from './azure';
import { KEY_OBJECTS, vaultIdOf, vaultOf } from './names';

/** The managed identity of the cluster. */
export const IDENTITY_ID =
  '/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1';
/** What records are stored under when KMS is off. */
export const PLAINTEXT = 'identity';
const MINUTE = 60_000;
/** Azure takes minutes to set a key: what voids a proof by its age (domain/proof-validity.ts) leans on that. */
export const SETTING_A_KEY_TAKES_IN_MS = 2 * MINUTE;

/** What a mutating webhook does to Secrets on update: nothing, something once for each, something every time. */
export type Webhook = 'none' | 'once' | 'always';

/** Where a story begins. */
export interface Beginning {
  readonly scheme: Scheme;
  /** Whether API servers say in their metrics which key they write with: KMS v2 from 1.29 on. */
  readonly metrics: boolean;
  readonly kmsOn: boolean;
  readonly servers: number;
  /** Of each Secret: whether it is under what was current before, as after a change by hand that nobody followed up. */
  readonly secrets: readonly boolean[];
  /** What servers answer, and which, follows from it. */
  readonly chance: number;
  /** Whether Azure's entity tags tell of changes by others. */
  readonly eTags?: boolean;
}

/** The machine. */
export class Machine {
  readonly cluster: Cluster;
  kubernetesVersion: string;
  readonly pools = new Map<string, string>();
  /** The two slots; null is none. With KMS off `current` is null. */
  slots: { current: string | null; previous: string | null };
  /** Whether Keyturn's own switch filled the second slot: otherwise nobody told it which key is there. */
  previousTold = false;
  readonly azure = new Azure();
  /** The principal that the cluster has for its identity since it was sent to ARM last. */
  clusterPrincipal = 'principal-1';
  /** Azure reports the cluster as Failed: what its profile has is not what its API servers run with. */
  failed = false;
  /** API servers were started while their KMS did not work: none answers until it does. */
  #stopped = false;
  /** Another one after each change of the cluster in ARM; undefined where stories do without. */
  eTag: string | undefined;
  /** Vaults that the cluster reaches over a private endpoint, all their keys: AKS keeps it as long as a slot needs it. */
  readonly #privately = new Set<string>();
  /** What another cluster needs: its current key, and those before it. */
  readonly otherNeeds: string[] = [];
  /** Why Secrets are lost, or could be. */
  readonly harm: { readonly invariant: 'K1' | 'K2' | 'K4'; readonly what: string }[] = [];
  /** The version that a step made, by operation and step: a repeated try finds it. */
  readonly madeBy = new Map<string, string>();
  ledger: Ledger | null = null;
  readonly evidence: SealedOperation[] = [];
  now = Date.parse('2026-11-22T12:00:00.000Z');
  webhook: Webhook = 'none';
  #body: { properties: { securityProfile?: { azureKeyVaultKms?: Record<string, unknown> | null } | null } };
  readonly #content = new Map<string, number>();
  readonly #changedOnce = new Set<string>();
  #chance: number;
  readonly #oneProviderName: boolean;
  #backup: { readonly etcd: Snapshot; readonly ledger: Ledger | null } | undefined;
  #setAt = this.now;

  constructor({ scheme, metrics, kmsOn, servers, secrets, chance, eTags = false }: Beginning) {
    const [older, key] = [this.newVersion(), this.newVersion()];
    this.kubernetesVersion = scheme !== 'kms-v2' ? '1.26.1' : metrics ? '1.34.1' : '1.28.9';
    this.pools.set('nodepool1', this.kubernetesVersion);
    this.slots = kmsOn ? { current: key, previous: older } : { current: null, previous: older };
    this.#body = { properties: {} };
    // The profile keeps the key when KMS goes off.
    this.#put({ mode: 'on', keyId: kmsOn ? key : older, access: 'Public' });
    if (!kmsOn) this.#put({ mode: 'off' });
    this.cluster = new Cluster(
      scheme,
      Array.from({ length: servers }, () => this.inForce),
    );
    secrets.forEach((stale, index) => this.cluster.seed(`secret-${index}`, stale ? older : this.inForce));
    this.#chance = chance;
    if (eTags) this.eTag = 'tag-1';
    this.#oneProviderName = scheme === 'kms-v1-shared';
  }

  /** What a server that has switched writes with. */
  get inForce(): string {
    return this.slots.current ?? PLAINTEXT;
  }

  get at(): string {
    return new Date(this.now).toISOString();
  }

  /** What a plan is made from: as long as none of these is another one, the plan is the same. */
  facts(): readonly unknown[] {
    const pools = [...this.pools.values()].join();
    const { now, ledger, kubernetesVersion, failed, clusterPrincipal, answers } = this;
    const counts = [this.evidence.length, this.otherNeeds.length, this.azure.revision, this.cluster.etcd.revision];
    return [now, ledger, this.#body, kubernetesVersion, pools, failed, clusterPrincipal, answers, ...counts];
  }

  /** As ARM reports it. */
  observed(): ObservedCluster {
    const { enabled, keyId, keyVaultNetworkAccess, keyVaultResourceId } =
      this.#body.properties.securityProfile?.azureKeyVaultKms ?? {};
    return goodCluster({
      kubernetesVersion: this.kubernetesVersion,
      wantedKubernetesVersion: this.kubernetesVersion,
      agentPools: [...this.pools].map(([name, version]) => ({
        name,
        version,
        wantedVersion: version,
        count: 1,
        mode: 'System',
      })),
      kms: {
        enabled: enabled === true,
        ...(typeof keyId === 'string' ? { keyId } : {}),
        ...(typeof keyVaultNetworkAccess === 'string' ? { networkAccess: keyVaultNetworkAccess } : {}),
        ...(typeof keyVaultResourceId === 'string' && keyVaultResourceId !== '' ? { vaultId: keyVaultResourceId } : {}),
      },
      vnetIntegration: true,
      provisioningState: this.failed ? 'Failed' : 'Succeeded',
      identities: [{ resourceId: IDENTITY_ID, principalId: this.clusterPrincipal }],
      ...(this.eTag === undefined ? {} : { eTag: this.eTag }),
    });
  }

  /** Null is plaintext. */
  reportedKeyId(): string | null {
    const { enabled, keyId } = this.observed().kms;
    return enabled ? (keyId ?? null) : null;
  }

  newVersion(object: string = KEY_OBJECTS[0]): string {
    return this.azure.newVersion(object);
  }

  /** Whether API servers say in their metrics which key they write with. */
  get metrics(): boolean {
    return minorOf(this.kubernetesVersion) >= 29;
  }

  /** New API servers; from 1.27 on they cannot read what KMS v1 stored. */
  upgrade(to: string): void {
    const [before, after] = [kmsScheme(this.kubernetesVersion), kmsScheme(to)];
    this.kubernetesVersion = to;
    if (before === after) return this.cluster.restartAll();
    this.cluster.upgrade('kms-v2');
    if (this.keysInUse().size > 0)
      this.harm.push({ invariant: 'K2', what: 'KMS v1 stored what the version cannot read.' });
  }

  /** Another cluster has a key from now on; AKS takes an enabled one only. */
  otherTakes(keyId: string): void {
    if (this.azure.stateOf(keyId) === 'enabled' && !this.azure.isClosed(keyId)) this.otherNeeds.unshift(keyId);
  }

  enable(keyId: string): void {
    if (this.azure.stateOf(keyId) === 'disabled') this.azure.setEnabled(keyId, true);
  }

  backUp(): void {
    this.#backup = { etcd: this.cluster.etcd.snapshot(), ledger: this.ledger };
  }

  /** The ledger is in etcd too. @returns whether there is a backup that this cluster can start from */
  restore(): boolean {
    if (!this.#backup) return false;
    const { etcd, ledger } = this.#backup;
    const readable = [PLAINTEXT, this.slots.current, this.slots.previous];
    if ([...etcd.records.values()].some(({ storedUnder }) => !readable.includes(storedUnder))) return false;
    this.cluster.etcd.restore(etcd);
    this.ledger = ledger;
    return true;
  }

  disable(keyId: string): void {
    this.azure.setEnabled(keyId, false);
    this.#requireUnneeded(keyId, 'disabled');
  }

  /** A key object goes with all its versions. */
  deleteObject(keyId: string): void {
    for (const version of this.azure.versionsOf(keyId)) {
      if (this.azure.stateOf(version) === 'enabled')
        this.harm.push({ invariant: 'K4', what: `${version} is deleted, and was enabled.` });
      this.#requireUnneeded(version, 'deleted');
    }
    this.azure.setObject(keyId, 'deleted');
  }

  /** @returns whether that was a change */
  setVaultNetwork(keyId: string, to: 'open' | 'closed'): boolean {
    const changed = this.azure.setOpen(keyId, to === 'open');
    if (!changed || to === 'open') return changed;
    const vault = vaultOf(keyId);
    const { current, previous } = this.slots;
    const lost = [current, previous, ...this.keysInUse()].find(
      (key) => key !== null && vaultOf(key) === vault && !this.#privately.has(vault),
    );
    const others = this.otherNeeds.find((key) => vaultOf(key) === vault);
    if (lost ?? others)
      this.harm.push({ invariant: 'K1', what: `${vault} is closed to those who need ${lost ?? others}.` });
    return true;
  }

  /** What a person asks of AKS for a key: AKS does not change the access to a vault while KMS is on, nor take a closed one as public. */
  profileByHand(keyId: string): KmsProfile {
    const { kms } = this.observed();
    const sameVault = kms.enabled && kms.keyId !== undefined && vaultOf(kms.keyId) === vaultOf(keyId);
    const isPrivate = sameVault ? kms.networkAccess === 'Private' : this.azure.isClosed(keyId);
    if (!isPrivate) return { mode: 'on', keyId, access: 'Public' };
    return { mode: 'on', keyId, access: 'Private', vaultId: vaultIdOf(keyId) };
  }

  /** Whether AKS takes a profile. It tries the key as the identity, which it cannot do over a private endpoint. */
  accepts(profile: KmsProfile): boolean {
    if (profile.mode === 'off') return true;
    const { principal } = this.azure;
    return this.azure.works(profile.keyId, { principal, privately: profile.access === 'Private', now: this.now });
  }

  /** Whether API servers can encrypt and decrypt with a key. */
  works(keyId: string, principal: string | undefined = this.clusterPrincipal): boolean {
    return this.azure.works(keyId, { principal, privately: this.#privately.has(vaultOf(keyId)), now: this.now });
  }

  /** Whether the KMS of the API servers works: the keys of both slots do. */
  get kmsWorks(): boolean {
    return this.#allWork(this.slots);
  }

  /** Whether an API server answers. */
  get answers(): boolean {
    if (this.kmsWorks) this.#stopped = false;
    return !this.#stopped;
  }

  /** Whether an API server stores Secrets: KMS of the second slot is needed to read only. */
  get writes(): boolean {
    const { current } = this.slots;
    return this.answers && (current === null || this.works(current));
  }

  /** Every API server is started again. */
  restartServers(): void {
    this.#stopped = !this.kmsWorks;
    this.cluster.restartAll();
  }

  /** Secrets that API servers cannot read. */
  unreadable(): string[] {
    const readable = [PLAINTEXT, this.slots.current, this.slots.previous].filter(
      (key) => key === PLAINTEXT || (key !== null && this.works(key)),
    );
    return [...this.cluster.etcd.records].flatMap(([name, { storedUnder }]) =>
      readable.includes(storedUnder) ? [] : [name],
    );
  }

  /** Nothing is lost, even if all API servers, of any cluster, are started again now (K1). */
  #requireUnneeded(keyId: string, what: string): void {
    const { current, previous } = this.slots;
    const needed = [current, previous, ...this.keysInUse(), ...this.otherNeeds];
    if (needed.includes(keyId)) this.harm.push({ invariant: 'K1', what: `${keyId} is ${what}, and needed.` });
  }

  /** The key that would leave its slot. */
  evictedBy(keyId: string | null): string | undefined {
    const { current, previous } = this.slots;
    if (keyId === current || current === null || previous === null) return undefined;
    return previous === keyId ? undefined : previous;
  }

  /**
   * The cluster has another profile from now on, and takes the principal that its identity stands for; its API servers switch when they
   * do. New API servers get ready only with keys that work: otherwise the old ones stay, and Azure reports the cluster as Failed.
   */
  set(profile: KmsProfile, by: 'keyturn' | 'others'): void {
    const keyId = profile.mode === 'on' ? profile.keyId : null;
    this.#put(profile);
    this.clusterPrincipal = this.azure.principal ?? this.clusterPrincipal;
    if (profile.mode === 'on') this.#privately[profile.access === 'Private' ? 'add' : 'delete'](vaultOf(profile.keyId));
    const before = this.slots;
    const after = this.#slotsAfter(keyId);
    this.failed = !this.#allWork(after) || (by === 'others' && !this.#allReadWith(after));
    if (this.failed || after === before) return;
    // A switch whose note others took out of the ledger is as one of others.
    const told = by === 'keyturn' && this.ledger?.generations.at(-1)?.state === 'activating';
    if (before.current !== null || !told) this.previousTold = told;
    this.slots = after;
    this.#setAt = this.now;
  }

  /** Whether Azure could carry out now what it has been asked for last. */
  get couldSucceed(): boolean {
    const after = this.#slotsAfter(this.reportedKeyId());
    return this.#allWork(after) && this.#allReadWith(after);
  }

  #slotsAfter(keyId: string | null): Machine['slots'] {
    const { current, previous } = this.slots;
    return keyId === current ? this.slots : { current: keyId, previous: current ?? previous };
  }

  #allWork({ current, previous }: Machine['slots']): boolean {
    return [current, previous].every((key) => key === null || this.works(key));
  }

  #allReadWith({ current, previous }: Machine['slots']): boolean {
    const readable = [PLAINTEXT, current, previous];
    return [...this.cluster.etcd.records.values()].every(({ storedUnder }) => readable.includes(storedUnder));
  }

  /** Keys that some stored Secret needs, or will: a server writes with it. */
  keysInUse(): Set<string> {
    const used = [...this.cluster.etcd.records.values()].map(({ storedUnder }) => storedUnder);
    const written = this.cluster.servers.map(({ writesWith }) => writesWith);
    return new Set([...used, ...written].filter((key) => key !== PLAINTEXT));
  }

  /** Records of all keys look the same: nothing tells of a key that was set and replaced while an operation works. */
  get oneProviderName(): boolean {
    return this.#oneProviderName && kmsScheme(this.kubernetesVersion) === 'kms-v1';
  }

  /** No API server says which key it writes with, so that time alone tells when all have switched. */
  get showsNoKeys(): boolean {
    return !this.metrics;
  }

  /** Every record and every server is in a state. */
  isAllUnder(key: string): boolean {
    return (
      this.cluster.allWriteWith(key) &&
      [...this.cluster.etcd.records.values()].every(({ storedUnder }) => storedUnder === key)
    );
  }

  isReadable(): boolean {
    return this.#allReadWith(this.slots);
  }

  /** AKS rolls its API servers: each is a new process when it has switched. */
  switchServer(server: ApiServer): void {
    if (server.writesWith !== this.inForce) this.cluster.restart(server, this.inForce);
  }

  switchAll(): void {
    for (const server of this.cluster.servers) this.switchServer(server);
  }

  /** Time passes; an hour after a change no server is late any more. */
  pass(ms: number): void {
    this.now += ms;
    if (this.now >= this.#setAt + 60 * MINUTE) this.switchAll();
  }

  /** A number below another, as the story has it. */
  pick(below: number): number {
    this.#chance = (this.#chance * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor(this.#chance / 65_536) % below;
  }

  anyServer(): ApiServer {
    return this.cluster.server(this.pick(this.cluster.servers.length));
  }

  /** Somebody writes a Secret, canaries too: who wrote it is part of its content (`managedFields`). */
  write(name: string, server: ApiServer): void {
    this.cluster.write(name, server);
    this.#content.set(name, this.contentOf(name) + 1);
  }

  contentOf(name: string): number {
    return this.#content.get(name) ?? 0;
  }

  /** Whether the webhook changes a Secret on an update of it now; when it does, its content is another one. */
  webhookChanges(name: string): boolean {
    if (this.webhook === 'none' || (this.webhook === 'once' && this.#changedOnce.has(name))) return false;
    this.#changedOnce.add(name);
    this.#content.set(name, this.contentOf(name) + 1);
    return true;
  }

  #put(to: KmsProfile): void {
    if (this.eTag !== undefined) this.eTag = `tag-${Number(this.eTag.slice(4)) + 1}`;
    this.#body = applyChange(this.#body, { type: 'kms', to });
  }
}
