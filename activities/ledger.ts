/**
 * The ledger of a cluster, in the cluster: ConfigMap `kube-system/keyturn-ledger`, its JSON in `data.ledger`.
 *
 * Does: reads it; changes it by the rules of domain/ledger.ts, fenced by its resource version.
 * Never does: repair a ledger that it cannot read. A person must decide about a ledger that was edited by hand.
 */
import { z } from 'zod';
import { canonicalJson } from '../domain/canonical';
import { OwnError } from '../domain/own-error';
import {
  activated,
  activating,
  created,
  currentGeneration,
  Ledger,
  proven,
  reconcile,
  type Generation,
} from '../domain/ledger';
import { needsPerson } from './failures';
import type { KubeConnection } from './kubernetes/connection';
import { KubeError } from './kubernetes/errors';
import { FIELD_MANAGER } from './kubernetes/metadata';

const NAMESPACE = 'kube-system';
const NAME = 'keyturn-ledger';
const COLLECTION = `/api/v1/namespaces/${NAMESPACE}/configmaps`;
const MOST_CONFLICTS = 10;

const ConfigMap = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string() }),
  data: z.record(z.string(), z.string()).optional(),
});
type ConfigMap = z.infer<typeof ConfigMap>;

/**
 * @returns null when the cluster has no ledger
 * @throws KubeError; ApplicationFailure `LedgerContradiction`, non-retryable, when it cannot be read
 */
export async function readLedger(connection: KubeConnection, signal?: AbortSignal): Promise<Ledger | null> {
  const configMap = await readConfigMap(connection, signal);
  return configMap ? ledgerOf(configMap) : null;
}

/** One change of the ledger. `reconcile` first makes it agree with the key id that Azure reports. */
export type LedgerChange =
  | { readonly type: 'reconcile'; readonly operationId?: string }
  | { readonly type: 'activating'; readonly keyId: string | null; readonly operationId: string }
  | { readonly type: 'activated'; readonly keyId: string | null }
  | { readonly type: 'created'; readonly keyId: string | null; readonly operationId: string }
  | {
      readonly type: 'proven';
      readonly keyId: string | null;
      readonly proof: Omit<NonNullable<Generation['proof']>, 'at'>;
    };

interface WriteOptions {
  readonly signal?: AbortSignal;
  readonly now?: () => string;
}

/** Notes that a switch is about to be asked for, or that it happened. Null is plaintext. @throws as `changeLedger` */
export function noteSwitch(
  connection: KubeConnection,
  {
    reported,
    to,
    happened,
    operationId,
  }: {
    readonly reported: string | null;
    readonly to: string | null;
    readonly happened: boolean;
    readonly operationId: string;
  },
  options: WriteOptions = {},
): Promise<Ledger> {
  const changes: LedgerChange[] = happened
    ? [{ type: 'activated', keyId: to }]
    : [
        { type: 'reconcile', operationId },
        { type: 'activating', keyId: to, operationId },
      ];
  return changeLedger(connection, { reportedKeyId: reported, changes }, options);
}

/**
 * K2, right before Azure is asked: a switch that the ledger does not have noted was not looked at by its rules.
 * @throws KubeError; ApplicationFailure `LedgerContradiction`, non-retryable
 */
export async function requireSwitchNoted(
  connection: KubeConnection,
  { keyId, operationId }: { readonly keyId: string | null; readonly operationId: string },
  signal?: AbortSignal,
): Promise<void> {
  const last = (await readLedger(connection, signal))?.generations.at(-1);
  if (last?.operationId === operationId && last.keyId === keyId && last.state !== 'abandoned') return;
  throw needsPerson(
    'LedgerContradiction',
    `The ledger ${NAMESPACE}/${NAME} does not have this switch noted, so nothing was sent: the key that it replaces may still be needed. Keep all keys, cancel, and ask for a new operation: it proves first.`,
  );
}

/** Begins the ledger of a cluster that an operation made with a key. @throws as `changeLedger` */
export function noteCreation(
  connection: KubeConnection,
  { keyId, operationId }: { readonly keyId: string | null; readonly operationId: string },
  options: WriteOptions = {},
): Promise<Ledger> {
  return changeLedger(
    connection,
    { reportedKeyId: keyId, changes: [{ type: 'created', keyId, operationId }] },
    options,
  );
}

/** A proof, and until when it may be recorded. */
export interface ProofToRecord {
  /** Null is plaintext. */
  readonly keyId: string | null;
  /** Null: what is not conclusive is not recorded as proven. */
  readonly proof: { readonly convergedRv: string; readonly secrets: number } | null;
  readonly operationId: string;
  /** ISO 8601. A try may come long after the workflow asked for it: what was seen then says nothing about now. */
  readonly validUntil: string;
}

/**
 * Records a proof; without one, what Azure reports and no more. One that an earlier try recorded, and whose answer was lost, stays.
 * @throws as `changeLedger`; ApplicationFailure `ProofOutdated`, non-retryable
 */
export async function recordProof(
  connection: KubeConnection,
  { keyId, proof, operationId, validUntil }: ProofToRecord,
  options: WriteOptions = {},
): Promise<Ledger> {
  if (Date.now() > Date.parse(validUntil)) {
    const ledger = await readLedger(connection, options.signal);
    if (ledger !== null && proof !== null && hasProof(ledger, keyId, { ...proof, operationId })) return ledger;
    throw needsPerson(
      'ProofOutdated',
      'The proof could not be recorded in time, so Keyturn takes it again first. Keep every key listed under keysNeeded.',
    );
  }
  const reconciled = { type: 'reconcile', operationId } as const;
  const changes: LedgerChange[] =
    proof === null ? [reconciled] : [reconciled, { type: 'proven', keyId, proof: { ...proof, operationId } }];
  return await changeLedger(connection, { reportedKeyId: keyId, changes }, options);
}

/**
 * Applies changes one after the other, and writes the ledger when they changed it. When another client wrote in between, it reads
 * the ledger again and applies the changes to that.
 * @throws KubeError; ApplicationFailure `LedgerContradiction`, non-retryable, when a rule of the ledger does not allow a change
 */
export async function changeLedger(
  connection: KubeConnection,
  input: { readonly reportedKeyId: string | null; readonly changes: readonly LedgerChange[] },
  options: WriteOptions = {},
): Promise<Ledger> {
  const now = options.now ?? (() => new Date().toISOString());
  for (let attempt = 1; ; attempt++) {
    const configMap = await readConfigMap(connection, options.signal);
    const before = configMap ? ledgerOf(configMap) : null;
    const after = applyChanges(before, input, now());
    if (before && canonicalJson(before) === canonicalJson(after)) return after;
    try {
      await writeConfigMap(connection, configMap, after, options);
      return after;
    } catch (error) {
      const conflict = error instanceof KubeError && error.status === 409;
      if (!conflict || attempt === MOST_CONFLICTS) throw error;
    }
  }
}

/** Whether the API server would store the ledger, unchanged or as a new one; stores nothing. @throws KubeError */
export async function storeLedgerDryRun(connection: KubeConnection, signal?: AbortSignal): Promise<void> {
  const configMap = await readConfigMap(connection, signal);
  const ledger: Ledger = configMap ? ledgerOf(configMap) : { version: 1, generations: [] };
  await writeConfigMap(connection, configMap, ledger, { signal, dryRun: true });
}

function applyChanges(
  before: Ledger | null,
  { reportedKeyId, changes }: { readonly reportedKeyId: string | null; readonly changes: readonly LedgerChange[] },
  now: string,
): Ledger {
  try {
    const start: Ledger = before ?? { version: 1, generations: [] };
    return changes.reduce((ledger, change) => applyChange(ledger, change, reportedKeyId, now), start);
  } catch (error) {
    throw needsPerson(
      'LedgerContradiction',
      `The ledger ${NAMESPACE}/${NAME} does not allow this change: ${error instanceof OwnError ? error.message : 'an unexpected error.'}`,
    );
  }
}

function applyChange(ledger: Ledger, change: LedgerChange, reportedKeyId: string | null, now: string): Ledger {
  switch (change.type) {
    case 'reconcile':
      return reconcile(ledger, reportedKeyId, now, change.operationId);
    case 'activating':
      requireProven(ledger, change);
      return activating(ledger, change.keyId, change.operationId, now);
    case 'activated':
      return activated(ledger, change.keyId);
    case 'created':
      return created(ledger, change.keyId, change.operationId, now);
    case 'proven':
      // A repeated proof by the same operation is the same proof, not a later one.
      if (hasProof(ledger, change.keyId, change.proof)) return ledger;
      return proven(ledger, change.keyId, { ...change.proof, at: now });
    default:
      return change satisfies never;
  }
}

/** Whether the current generation is proven by this very proof. */
function hasProof(
  ledger: Ledger,
  keyId: string | null,
  { operationId, convergedRv }: Pick<NonNullable<Generation['proof']>, 'operationId' | 'convergedRv'>,
): boolean {
  const current = currentGeneration(ledger);
  if (current?.keyId !== keyId || current.state !== 'proven') return false;
  return current.proof?.operationId === operationId && current.proof.convergedRv === convergedRv;
}

/**
 * K2, at the last moment before the switch: another operation may have switched since this one proved.
 * @throws OwnError unless the current generation is proven, or the switch is this operation's own, noted before
 */
function requireProven(
  ledger: Ledger,
  { keyId, operationId }: { readonly keyId: string | null; readonly operationId: string },
): void {
  const last = ledger.generations.at(-1);
  if (last?.keyId === keyId && last.operationId === operationId && last.state !== 'abandoned') return;
  if (currentGeneration(ledger)?.state === 'proven') return;
  throw new OwnError(
    'the state that the cluster is in is not proven any more, and a switch would evict a key that Secrets may need. Cancel, and ask for a new operation: it proves first.',
  );
}

async function readConfigMap(connection: KubeConnection, signal?: AbortSignal): Promise<ConfigMap | undefined> {
  try {
    return ConfigMap.parse(await connection.request({ method: 'GET', path: `${COLLECTION}/${NAME}`, signal }));
  } catch (error) {
    if (error instanceof KubeError && error.status === 404) return undefined;
    throw error;
  }
}

async function writeConfigMap(
  connection: KubeConnection,
  existing: ConfigMap | undefined,
  ledger: Ledger,
  { signal, dryRun }: { readonly signal?: AbortSignal; readonly dryRun?: boolean } = {},
): Promise<void> {
  const data = { ledger: `${JSON.stringify(ledger, null, 2)}\n` };
  const query = `?fieldManager=${FIELD_MANAGER}${dryRun ? '&dryRun=All' : ''}`;
  if (existing === undefined) {
    const metadata = { name: NAME, namespace: NAMESPACE, labels: { 'app.kubernetes.io/managed-by': 'keyturn' } };
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
    await connection.request({ method: 'POST', path: `${COLLECTION}${query}`, body, signal });
    return;
  }
  // The whole object as it was read. Its resource version is the fence.
  const body = { ...existing, data: { ...existing.data, ...data } };
  await connection.request({ method: 'PUT', path: `${COLLECTION}/${NAME}${query}`, body, signal });
}

function ledgerOf({ data }: ConfigMap): Ledger {
  let json: unknown;
  try {
    json = JSON.parse(data?.ledger ?? '');
  } catch {
    json = undefined;
  }
  const ledger = Ledger.safeParse(json);
  if (ledger.success) return ledger.data;
  throw needsPerson(
    'LedgerContradiction',
    `The ConfigMap ${NAMESPACE}/${NAME} holds no ledger that Keyturn can read. Was it edited? Keep all keys. Restore it, or delete it: then ` +
      'Keyturn adopts the cluster again, and does not know the previous key. Then retry.',
  );
}
