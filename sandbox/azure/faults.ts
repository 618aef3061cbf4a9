/**
 * Named faults that tests and demos switch on and off.
 *
 * Needs: nothing.
 * Does: holds the settings of each fault that is on, several of one name for several resources, counts down those that end by themselves, tells listeners.
 * Never does: act. The part that misbehaves asks here whether it should.
 */
import { z } from 'zod';

const count = z.int().min(1).max(1_000_000).default(1);

/** The settings of each fault; `{}` takes the defaults. */
export const FAULT_SCHEMAS = {
  /** The next `requests` ARM requests get 429 and `Retry-After: 1`. */
  throttle: z.strictObject({ requests: count }),
  /** The next `requests` ARM requests get 503. */
  'server-error': z.strictObject({ requests: count }),
  /** The next `requests` accepted requests with this method, whose host and path contain `path`, are carried out; their answers never arrive. */
  'lost-response': z.strictObject({
    method: z.enum(['PUT', 'PATCH', 'POST', 'DELETE', 'any']).default('PUT'),
    path: z.string().default('/managedClusters/'),
    requests: count,
  }),
  /** The next answer with a body to this method, at a path that contains `path`, on any host, begins and never ends. */
  'stalled-response': z.strictObject({
    method: z.enum(['GET', 'PUT', 'PATCH', 'POST', 'DELETE']).default('GET'),
    path: z.string().default('/managedClusters/'),
  }),
  /** Long-running operations on resources whose id contains `path` stay InProgress, and nothing happens in them, until the fault is switched off. */
  'hold-operation': z.strictObject({ path: z.string().default('') }),
  /** The next long-running operation on a resource whose id contains `path` ends Failed. The resource shows the change, as AKS does; `applied` false leaves the cluster itself as it was. */
  'fail-operation': z.strictObject({
    code: z.string().min(1).default('InternalOperationError'),
    message: z.string().min(1).default('Internal server error'),
    applied: z.boolean().default(true),
    path: z.string().default(''),
  }),
  /**
   * A change of the encryption of a cluster whose id contains `path` ends Succeeded, but this many API servers stay at its
   * first stage: they write with the old key and can read the new one. Switching the fault off brings them to the end.
   */
  'late-servers': z.strictObject({ path: z.string().default(''), servers: z.int().min(1).default(1) }),
  /** A PUT of an existing cluster whose id contains `path` is accepted and its operation ends Succeeded, but nothing changes. */
  'ignore-change': z.strictObject({ path: z.string().default('') }),
  /** The next PUT of a cluster, or of one of its agent pools, whose id contains `path` is refused with this answer. */
  'refuse-put': z.strictObject({
    status: z.int().min(400).max(599).default(400),
    body: z.record(z.string(), z.unknown()).default({ code: 'BadRequest', message: 'The request is refused.' }),
    path: z.string().default(''),
  }),
  /** Lists of managed clusters whose path contains `path` are refused with 403, until the fault is switched off. */
  'refuse-list': z.strictObject({ path: z.string().default('') }),
  /** In vaults whose id contains `path`, a key version is not made, and none is left, without an expiry, until the fault is switched off. */
  'require-expiry': z.strictObject({ path: z.string().default('') }),
  /** In vaults whose id contains `path`, a key that is deleted is shown as deleted only after so many looks, until the fault is switched off. */
  'slow-deletion': z.strictObject({ path: z.string().default(''), looks: count }),
  /** Polls of the operations on resources whose id contains `path` show InProgress, also when the operation has ended, until the fault is switched off. */
  'stuck-operation-url': z.strictObject({ path: z.string().default('') }),
  /** ARM answers requests with this method, at a path that contains `path`, as if the caller had no right to them. */
  forbidden: z.strictObject({
    method: z.enum(['GET', 'PUT', 'PATCH', 'POST', 'DELETE']).default('GET'),
    path: z.string().min(1),
  }),
  /** Vaults whose id contains `path` refuse requests that need this key permission, as if no caller had it. */
  'vault-forbidden': z.strictObject({
    permission: z.enum(['get', 'list', 'create', 'update', 'delete']),
    path: z.string().min(1),
  }),
  /** Vaults whose id contains `path` are down, until the fault is switched off: `refused` takes no connection, `server-error` answers 503. */
  'vault-outage': z.strictObject({
    path: z.string().min(1),
    as: z.enum(['refused', 'server-error']).default('refused'),
  }),
  /** The kubeconfigs of clusters whose id contains `path` name an address where no API server answers, as a private cluster's is for a worker outside its network. */
  'unreachable-api-server': z.strictObject({ path: z.string().default('') }),
  /** Every chunk between a client and any cluster's API servers is delayed by this long, both ways. */
  'kube-latency': z.strictObject({ milliseconds: z.int().min(0).max(60_000) }),
  /**
   * API servers of clusters whose id contains `path` carry out what stores or deletes an object, and the answer never arrives: so many
   * `times` for each object and method. The journal has each under the host `NAME.kube`.
   */
  'kube-lost-response': z.strictObject({ path: z.string().default(''), times: count }),
  /** Writes of federated identity credentials of identities whose id contains `path` stay under way until the fault is switched off; meanwhile others for the same identity are refused. */
  'hold-federated-write': z.strictObject({ path: z.string().default('') }),
} as const;

/** The name of a fault. */
export type FaultName = keyof typeof FAULT_SCHEMAS;

/** The settings of one fault, defaults filled in. */
export type FaultSettings<N extends FaultName> = z.infer<(typeof FAULT_SCHEMAS)[N]>;

/** The faults that are on, with their settings: several of one name, each about another part of ids. */
export type ActiveFaults = { readonly [N in FaultName]?: readonly FaultSettings<N>[] };

/** Faults that are about a part of ids. */
type FaultNameWithPath = {
  [N in FaultName]: FaultSettings<N> extends { readonly path: string } ? N : never;
}[FaultName];

/** Whether a word is the name of a fault. */
export function isFaultName(name: string): name is FaultName {
  return Object.hasOwn(FAULT_SCHEMAS, name);
}

/** Whether a fault that names a part of a resource id is about this resource; ARM compares ids without regard to case. */
export function concerns(settings: { readonly path: string } | undefined, resourceId: string): boolean {
  return settings !== undefined && resourceId.toLowerCase().includes(settings.path.toLowerCase());
}

/** What distinguishes faults of one name: the part of an id that they are about. */
function pathOf(settings: object): string {
  return 'path' in settings && typeof settings.path === 'string' ? settings.path.toLowerCase() : '';
}

/** The switchboard. */
export class Faults {
  readonly #active = new Map<FaultName, readonly object[]>();
  readonly #listeners = new Set<() => void>();

  /**
   * Switches a fault on, or changes the settings of one that is about the same part of ids.
   * @throws ZodError when the settings are not those of this fault.
   */
  set(name: FaultName, settings: unknown = {}): void {
    const parsed = FAULT_SCHEMAS[name].parse(settings);
    this.#change(name, (others) => [...others.filter((one) => pathOf(one) !== pathOf(parsed)), parsed]);
  }

  /** Switches a fault off; one that is off stays off. @param path only the one that is about this part of ids */
  clear(name: FaultName, path?: string): void {
    this.#change(name, (all) => (path === undefined ? [] : all.filter((one) => pathOf(one) !== path.toLowerCase())));
  }

  /** A copy of what is on. */
  active(): ActiveFaults {
    return Object.fromEntries([...this.#active].filter(([, all]) => all.length > 0));
  }

  /** All of one name, the oldest first. */
  all<N extends FaultName>(name: N): readonly FaultSettings<N>[] {
    return (this.#active.get(name) ?? []) as readonly FaultSettings<N>[];
  }

  /** The oldest of one name that is about a resource. */
  about<N extends FaultNameWithPath>(name: N, resourceId: string): FaultSettings<N> | undefined {
    return this.all(name).find((one) => concerns(one, resourceId));
  }

  /** Resolves when no fault of this name is about a resource: at once when none is. */
  async whileOn(name: FaultNameWithPath, resourceId: string): Promise<void> {
    while (this.about(name, resourceId) !== undefined) {
      await new Promise<void>((resolve) => {
        const stopListening = this.onChange(() => {
          stopListening();
          resolve();
        });
      });
    }
  }

  /** Uses up one request of a counting fault; true when the request is to be hit. */
  takeRequest(name: 'throttle' | 'server-error'): boolean {
    const [settings] = this.all(name);
    if (settings === undefined) return false;
    this.#countDown(name, settings);
    return true;
  }

  /** Takes a fault that strikes one resource once: its settings, and it is off from now. */
  takeOnce<N extends 'fail-operation' | 'refuse-put'>(name: N, resourceId: string): FaultSettings<N> | undefined {
    const settings = this.about(name, resourceId);
    if (settings !== undefined) this.clear(name, settings.path);
    return settings;
  }

  /** Takes a fault that strikes requests of one kind; true when this is one. */
  takeForRequest(name: 'lost-response' | 'stalled-response', method: string, path: string): boolean {
    const settings = this.all(name).find(
      (one) => (one.method === method || one.method === 'any') && concerns(one, path),
    );
    if (settings === undefined) return false;
    this.#countDown(name, settings);
    return true;
  }

  /** Calls `listener` after every switch; returns a function that stops it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** One request less; without a count, or at its end, the fault is off. */
  #countDown(name: FaultName, settings: object): void {
    const requests = 'requests' in settings ? Number(settings.requests) : 1;
    this.#change(name, (all) =>
      all.flatMap((one) => (one !== settings ? [one] : requests > 1 ? [{ ...one, requests: requests - 1 }] : [])),
    );
  }

  #change(name: FaultName, change: (all: readonly object[]) => readonly object[]): void {
    this.#active.set(name, change(this.#active.get(name) ?? []));
    for (const listener of [...this.#listeners]) listener();
  }
}
