/**
 * How the encryption of a cluster stands, for people: what is in the slots, what is proven, what is wrong and which operation repairs
 * it. Read-only and cheap: no Secret is looked at. Pure: facts come in as arguments.
 */
import { z } from 'zod';
import { kmsScheme } from './encryption';
import { rightsOf, type IdentityAccess } from './identity-access';
import { currentGeneration, keySlots, keysNeeded, Ledger, reconcile } from './ledger';
import { reportedKeyId, type KeyLookup, type ObservedCluster, type ObservedKey } from './observed';
import { causesOf, mayBeSentAgain, NOT_REPAIRABLE, type Cause, type Recovery } from './recovery';
import { explains, RECOVERY_FINDINGS, recoveryFindings } from './recovery-findings';
import { keyProblems } from './rules';
import { keysNeededBy } from './recovery-keys';
import { sameKeyId, shortKeyId } from './resource-ids';
import { claimsProof, type LedgerTrust } from './trusted-ledger';
import { statusPollsPerTenSeconds, transactionsPerTenSeconds } from './vault-load';

const KeyHealth = z.object({
  keyId: z.string(),
  /** `unknown`: Keyturn could not look. */
  state: z.enum(['usable', 'unusable', 'unknown']),
  /** Why it is not usable, or not known: a sentence each. */
  problems: z.array(z.string()),
  /** ISO 8601; absent when it never expires, or is not known. */
  expiresOn: z.string().optional(),
});
type KeyHealth = z.infer<typeof KeyHealth>;

const Finding = z.object({
  code: z.enum([
    'ClusterNotReady',
    'ClusterNotReadable',
    ...RECOVERY_FINDINGS,
    'SwitchNotFinished',
    'NotProven',
    'LedgerNotConfirmed',
    'PreviousSlotUnknown',
    'KmsV1',
    'KeysToRetire',
  ]),
  detail: z.string(),
  /** The kind of operation that repairs it; absent where a person must act, or nothing has to be done. */
  repair: z.string().optional(),
});
type Finding = z.infer<typeof Finding>;

/** The answer of an inspection. */
export const Inspection = z
  .object({
    cluster: z.string(),
    /** ISO 8601. */
    at: z.string(),
    kubernetesVersion: z.string(),
    provisioningState: z.string(),
    powerState: z.string(),
    kms: z.object({
      enabled: z.boolean(),
      scheme: z.enum(['kms-v1', 'kms-v2']),
      /** `Public` or `Private`. */
      networkAccess: z.string().optional(),
      vaultId: z.string().optional(),
    }),
    network: z.object({
      /** API Server VNet Integration, which private vaults need; null when Azure does not say. */
      vnetIntegration: z.boolean().nullable(),
      /** Whether the public address of the vault of the current key answers to all networks; null when that is not known. */
      vaultOpenToAllNetworks: z.boolean().nullable(),
    }),
    slots: z.object({
      current: KeyHealth.nullable(),
      previous: KeyHealth.nullable(),
      /** False when Keyturn does not know what the second slot holds: Azure does not tell. */
      previousKnown: z.boolean(),
    }),
    identity: z.object({
      resourceId: z.string().nullable(),
      /** Whether it may encrypt and decrypt with the current key. */
      mayUseKey: z.enum(['yes', 'no', 'unknown']),
      detail: z.string().optional(),
    }),
    /** Whether every Secret is proven to be under what Azure reports. */
    proven: z.boolean(),
    /** Of the ledger, oldest first; null when the cluster has none, or it could not be read. */
    generations: Ledger.shape.generations.nullable(),
    /** Keys that must stay enabled, unexpired and undeleted. Null when the ledger could not be read. */
    keysNeeded: z.array(z.string()).nullable(),
    /** What the API servers ask of the vault of the current key at rest, by KMS v2's status polls; null with KMS v1, without KMS, or where it is not known. */
    vaultLoad: z
      .object({ apiServers: z.int(), transactionsPerTenSeconds: z.number(), limitPerTenSeconds: z.int().nullable() })
      .nullable(),
    findings: z.array(Finding),
  })
  .meta({ id: 'ClusterEncryption' });
/** The answer of an inspection. */
export type Inspection = z.infer<typeof Inspection>;

/** What an inspection is made from. */
export interface InspectionFacts {
  readonly at: string;
  readonly cluster: ObservedCluster;
  /** What the vaults say of the keys of the slots and the ledger. */
  readonly keys: readonly KeyLookup[];
  readonly identityAccess?: IdentityAccess;
  /** Why API servers cannot use the keys of the slots. */
  readonly recovery?: Recovery;
  /** What is in the cluster, or why it could not be read, in one sentence. */
  readonly inside: Readable | { readonly unreadable: string };
}

/** What is in a cluster that could be read. */
interface Readable extends LedgerTrust {
  readonly ledger: Ledger | null;
  /** By their leases; null where the cluster does not show them. */
  readonly apiServers: number | null;
}

/** Judges the facts. */
export function inspect(facts: InspectionFacts): Inspection {
  const { at, cluster, inside } = facts;
  const { kms } = cluster;
  const reported = reportedKeyId(cluster);
  const stored = 'ledger' in inside ? inside.ledger : null;
  const ledger = reconcile(stored ?? undefined, reported, at);
  const known = keySlots(ledger);
  const health = (keyId: string | null | undefined): KeyHealth | null => (keyId ? healthOf(keyId, facts) : null);
  const proven = 'ledger' in inside && inside.confirmed && !inside.changedSinceProof && claimsProof(ledger);
  const slots = {
    current: health(reported),
    previous: health(known?.previous),
    previousKnown: 'ledger' in inside && (known?.previousKnown ?? false),
  };
  const identity = identityOf(facts);
  const causes = facts.recovery === undefined ? [] : causesOf(facts.recovery, cluster, at);
  return {
    cluster: cluster.resourceId,
    at,
    kubernetesVersion: cluster.kubernetesVersion,
    provisioningState: cluster.provisioningState,
    powerState: cluster.powerState,
    kms: {
      enabled: kms.enabled,
      scheme: kmsScheme(cluster.kubernetesVersion),
      ...(kms.networkAccess === undefined ? {} : { networkAccess: kms.networkAccess }),
      ...(kms.vaultId === undefined ? {} : { vaultId: kms.vaultId }),
    },
    slots,
    identity,
    proven,
    generations: stored === null ? null : ledger.generations,
    keysNeeded: 'ledger' in inside ? keysNeededBy(cluster, stored, at) : null,
    network: networkOf(facts),
    vaultLoad: vaultLoadOf(facts),
    findings: [
      ...clusterFindings(facts, causes, ledger),
      ...(facts.recovery === undefined ? [] : recoveryFindings(facts.recovery, causes, { current: reported, proven })),
      ...[slots.current, slots.previous].flatMap((key) => (key ? keyFindings(key, causes) : [])),
      ...('ledger' in inside ? ledgerFindings(inside, ledger, { proven, kmsOn: kms.enabled }) : []),
      ...schemeFindings(cluster),
      ...('ledger' in inside && proven ? retirementFindings(ledger, facts) : []),
    ],
  };
}

function finding(code: Finding['code'], detail: string, repair?: string): Finding {
  return { code, detail, ...(repair === undefined ? {} : { repair }) };
}

function clusterFindings({ cluster, inside }: InspectionFacts, causes: readonly Cause[], ledger: Ledger): Finding[] {
  const { provisioningState, powerState } = cluster;
  const caused = causes.some(({ type }) => !NOT_REPAIRABLE.includes(type));
  // A cause has a finding of its own.
  const sentAgain = !caused && 'ledger' in inside && mayBeSentAgain(cluster, ledger);
  const repairable = caused || sentAgain;
  const begins = repairable ? 'no operation but recover-key can begin' : 'no operation can begin';
  const byHand = provisioningState === 'Failed' ? keyToSetAgain(ledger, cluster) : '';
  const ready = provisioningState === 'Succeeded' && powerState === 'Running';
  return [
    ...(ready
      ? []
      : [
          finding(
            'ClusterNotReady',
            `Azure reports the cluster as ${provisioningState} and ${powerState}: ${begins}. Wait, start it, or repair it in Azure first.${byHand}`,
            sentAgain ? 'recover-key' : undefined,
          ),
        ]),
    ...('ledger' in inside
      ? []
      : [
          finding(
            'ClusterNotReadable',
            `Keyturn could not read the ledger in the cluster: ${inside.unreadable} Keep every key that the cluster has ever used enabled and unexpired.`,
          ),
        ]),
  ];
}

/** A key that was set by hand evicts another one, and API servers do not start while Secrets are under that. */
function keyToSetAgain(ledger: Ledger, cluster: ObservedCluster): string {
  if (currentGeneration(ledger)?.origin !== 'adopted') return '';
  const proven = ledger.generations.findLast(({ proof }) => proof !== undefined);
  const reported = reportedKeyId(cluster);
  if (!proven || proven.keyId === reported) return '';
  const command =
    proven.keyId === null
      ? '--disable-azure-keyvault-kms'
      : `--enable-azure-keyvault-kms --azure-keyvault-kms-key-id ${proven.keyId}`;
  return ` Keyturn proved every Secret under ${nameOf(proven.keyId)} last, and others changed that to ${nameOf(reported)}. If their change failed, undo it: az aks update ${command}. Then inspect the cluster again. Keep every key version of the cluster enabled.`;
}

/** What a cause says already is not said twice. */
function keyFindings({ keyId, state, problems }: KeyHealth, causes: readonly Cause[]): Finding[] {
  if (causes.some((cause) => explains(cause, keyId))) return [];
  if (state !== 'unusable') return problems.map((problem) => finding('KeyExpiresSoon', problem, 'rotate-key'));
  return [
    finding(
      'KeyUnusable',
      `API servers need ${shortKeyId(keyId)} to read Secrets. ${problems.join(' ')} Repair the key itself, before any API server is restarted.`,
    ),
  ];
}

/** @param ledger as it agrees with what Azure reports */
function ledgerFindings(
  inside: Readable,
  ledger: Ledger,
  { proven, kmsOn }: { readonly proven: boolean; readonly kmsOn: boolean },
): Finding[] {
  const last = ledger.generations.at(-1);
  const unconfirmed = !inside.confirmed && claimsProof(ledger);
  const unfinished = inside.ledger?.generations.at(-1)?.state === 'activating' && last?.state === 'abandoned';
  return [
    ...(unfinished
      ? [
          finding(
            'SwitchNotFinished',
            `An operation was about to set ${nameOf(last.keyId)}, and Azure does not report it. Some API server may have written with it for a while.`,
            'rewrite-secrets',
          ),
        ]
      : []),
    ...(proven
      ? []
      : [
          finding(
            unconfirmed ? 'LedgerNotConfirmed' : 'NotProven',
            `${unconfirmed ? 'No signed evidence confirms what the ledger says.' : whyUnproven(inside)} Secrets may be stored under something else than ${kmsOn ? 'the current key' : 'plaintext, as KMS is off'}.`,
            'rewrite-secrets',
          ),
        ]),
    ...(kmsOn && keySlots(ledger)?.previousKnown === false
      ? [
          finding(
            'PreviousSlotUnknown',
            'Azure does not tell the key of the second slot, and the ledger does not have it. Keep every older key version enabled and unexpired until an operation has proven the current key.',
          ),
        ]
      : []),
  ];
}

function nameOf(keyId: string | null): string {
  return keyId === null ? 'plaintext' : shortKeyId(keyId);
}

function whyUnproven({ ledger, changedSinceProof }: Readable): string {
  if (changedSinceProof) return 'The cluster was changed in Azure since its Secrets were proven.';
  if (ledger === null) return 'No operation of Keyturn has looked at this cluster yet.';
  return 'The last change of its encryption was not followed by a proof.';
}

function schemeFindings({ kms, kubernetesVersion }: ObservedCluster): Finding[] {
  if (!kms.enabled || kmsScheme(kubernetesVersion) !== 'kms-v1') return [];
  const detail = 'The cluster uses KMS v1, which is deprecated and takes 2,000 Secrets at most.';
  return [finding('KmsV1', detail, 'upgrade-to-kms-v2')];
}

function retirementFindings(ledger: Ledger, facts: InspectionFacts): Finding[] {
  const keys = keysToRetire(ledger, facts);
  if (keys.length === 0) return [];
  const detail = `These keys left the slots of this cluster, and no Secret needs them: ${keys.map(shortKeyId).join(', ')}. Other clusters may.`;
  return [finding('KeysToRetire', detail, 'retire-key')];
}

/** Keys that the ledger has, that it does not need any more, and that still are enabled. */
function keysToRetire(ledger: Ledger, { keys }: InspectionFacts): string[] {
  const needed = keysNeeded(ledger);
  const left = ledger.generations.flatMap(({ keyId }) => (keyId === null || needed.includes(keyId) ? [] : [keyId]));
  return [...new Set(left)].filter((keyId) => foundKey(keyId, keys)?.enabled === true);
}

function healthOf(keyId: string, { keys, at }: InspectionFacts): KeyHealth {
  const lookup = keys.find((one) => sameKeyId(one.found ? one.key.keyId : one.keyId, keyId));
  if (!lookup) return { keyId, state: 'unknown', problems: ['Keyturn did not look it up.'] };
  if (!lookup.found) return { keyId, state: 'unusable', problems: [lookup.why] };
  const { key } = lookup;
  const { broken, soon } = keyProblems(key, at);
  return {
    keyId: key.keyId,
    state: broken.length > 0 ? 'unusable' : 'usable',
    problems: broken.length > 0 ? broken : soon,
    ...(key.expiresOn === undefined ? {} : { expiresOn: key.expiresOn }),
  };
}

function identityOf({ cluster, identityAccess }: InspectionFacts): Inspection['identity'] {
  const resourceId = cluster.identities[0]?.resourceId ?? null;
  if (!cluster.kms.enabled || !identityAccess) return { resourceId, mayUseKey: 'unknown' };
  const { missing, unknown } = rightsOf(identityAccess);
  if (missing.length > 0) {
    const detail = `${identityAccess.identity.name} may not ${missing.join(' and ')} with ${shortKeyId(identityAccess.keyId)}: API servers cannot use the key when they are started again. Give the identity Key Vault Crypto User, or an access policy with encrypt and decrypt.`;
    return { resourceId, mayUseKey: 'no', detail };
  }
  return unknown.length > 0
    ? { resourceId, mayUseKey: 'unknown', detail: unknown.join(' ') }
    : { resourceId, mayUseKey: 'yes' };
}

function networkOf({ cluster, identityAccess }: InspectionFacts): Inspection['network'] {
  const vault = identityAccess?.vault;
  return {
    vnetIntegration: cluster.vnetIntegration ?? null,
    vaultOpenToAllNetworks: vault?.known === true ? vault.value.openToAllNetworks : null,
  };
}

function vaultLoadOf({ cluster, inside, keys }: InspectionFacts): Inspection['vaultLoad'] {
  const keyId = reportedKeyId(cluster);
  if (keyId === null || kmsScheme(cluster.kubernetesVersion) === 'kms-v1') return null;
  if (!('ledger' in inside) || inside.apiServers === null) return null;
  const { apiServers } = inside;
  const key = foundKey(keyId, keys);
  return {
    apiServers,
    transactionsPerTenSeconds: statusPollsPerTenSeconds(apiServers),
    limitPerTenSeconds: (key && transactionsPerTenSeconds(key)) ?? null,
  };
}

function foundKey(keyId: string, keys: readonly KeyLookup[]): ObservedKey | undefined {
  return keys.flatMap((one) => (one.found ? [one.key] : [])).find((key) => sameKeyId(key.keyId, keyId));
}
