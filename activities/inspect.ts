/** Looks at the encryption of one cluster. Writes nothing, and looks at no Secret. */
import { inspect, type InspectionFacts } from '../domain/inspection';
import { reportedKeyId, type KeyLookup, type ObservedCluster } from '../domain/observed';
import { sameKeyId } from '../domain/resource-ids';
import { claimsProof, trustIn } from '../domain/trusted-ledger';
import type { Inspected } from './contract';
import { readClusterEvidence } from './evidence';
import { knownLeases } from './kubernetes/servers';
import { readLedger } from './ledger';
import { readIfItAnswers, type Look } from './look';
import { whyNotThere } from './observe-azure';
import { lookUpInAnyVault, observeRecovery, type RecoveryQuery } from './observe-recovery';

/** Keys of the ledger that are looked up, the newest first. */
const MOST_KEYS = 10;

/** @throws ArmError, VaultError, TokenError when Azure cannot say now */
export async function inspectCluster(look: Look, cluster: string): Promise<Inspected> {
  const { azure, signal } = look;
  const options = { abortSignal: signal };
  let observed: ObservedCluster;
  try {
    ({ observed } = await azure.clusters.read(cluster, options));
  } catch (error) {
    const why = whyNotThere(error);
    if (why === undefined) throw error;
    return { found: false, why };
  }
  const at = new Date().toISOString();
  const current = reportedKeyId(observed);
  const inside = await lookInside(look, observed);
  const recovery = await observeRecovery(look, queryOf(look, { observed, at, inside }));
  const identityAccess = recovery.slots.find(({ slot }) => slot === 'current')?.access;
  const ofLedger = 'ledger' in inside ? (inside.ledger?.generations ?? []).map(({ keyId }) => keyId) : [];
  const keyIds = [...new Set([current, ...ofLedger.reverse()])].filter((keyId) => keyId !== null).slice(0, MOST_KEYS);
  const ofSlot = (keyId: string): KeyLookup | undefined =>
    recovery.slots.find((slot) => sameKeyId(slot.keyId, keyId))?.key;
  const keys = await Promise.all(
    keyIds.map(async (keyId) => ofSlot(keyId) ?? (await lookUpInAnyVault(look, keyId, observed))),
  );
  const facts = {
    at,
    cluster: observed,
    keys,
    inside,
    recovery,
    ...(identityAccess === undefined ? {} : { identityAccess }),
  };
  return { found: true, inspection: inspect(facts) };
}

function queryOf(
  look: Look,
  {
    observed,
    at,
    inside,
  }: { readonly observed: ObservedCluster; readonly at: string; readonly inside: InspectionFacts['inside'] },
): RecoveryQuery {
  const ledger = 'ledger' in inside ? inside.ledger : null;
  return { cluster: observed, at, ledger, records: () => readClusterEvidence(observed.resourceId, look.evidence) };
}

async function lookInside(look: Look, { resourceId, eTag }: ObservedCluster): Promise<InspectionFacts['inside']> {
  const read = await readIfItAnswers(look, resourceId, (connection, signal) =>
    Promise.all([readLedger(connection, signal), knownLeases(connection, signal)]),
  );
  if ('unreadable' in read) return read;
  const [ledger, leases] = read.value;
  const trust = claimsProof(ledger)
    ? trustIn(ledger, resourceId, await readClusterEvidence(resourceId, look.evidence), eTag)
    : { confirmed: true, changedSinceProof: false };
  return { ledger, ...trust, apiServers: leases?.length ?? null };
}
