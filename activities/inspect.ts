/** Looks at the encryption of one cluster. Writes nothing, and looks at no Secret. */
import { ApplicationFailure } from '@temporalio/common';
import { ArmError } from '../azure/errors';
import { inspect, type InspectionFacts } from '../domain/inspection';
import { reportedKeyId, type ObservedCluster } from '../domain/observed';
import { claimsProof, trustIn } from '../domain/trusted-ledger';
import type { Inspected } from './contract';
import { readClusterEvidence } from './evidence';
import { KubeError } from './kubernetes/errors';
import { knownLeases } from './kubernetes/servers';
import { readLedger } from './ledger';
import type { Look } from './look';
import { identityAccessOf, whyNotThere } from './observe-azure';

/** A cluster that does not answer must not keep the caller waiting. */
const LONGEST_READ_IN_MS = 8_000;
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
  const [inside, identityAccess] = await Promise.all([
    lookInside(look, observed),
    current === null ? undefined : identityAccessOf(azure, observed, current, options),
  ]);
  const ofLedger = 'ledger' in inside ? (inside.ledger?.generations ?? []).map(({ keyId }) => keyId) : [];
  const keyIds = [...new Set([current, ...ofLedger.reverse()])].filter((keyId) => keyId !== null).slice(0, MOST_KEYS);
  const keys = await Promise.all(keyIds.map((keyId) => azure.keys.lookUp(keyId, options)));
  const facts = { at, cluster: observed, keys, inside, ...(identityAccess === undefined ? {} : { identityAccess }) };
  return { found: true, inspection: inspect(facts) };
}

async function lookInside(look: Look, { resourceId, eTag }: ObservedCluster): Promise<InspectionFacts['inside']> {
  const limited = AbortSignal.any([look.signal, AbortSignal.timeout(LONGEST_READ_IN_MS)]);
  try {
    const [ledger, leases] = await look.use(resourceId, limited, (connection) =>
      Promise.all([readLedger(connection, limited), knownLeases(connection, limited)]),
    );
    const trust = claimsProof(ledger)
      ? trustIn(ledger, resourceId, await readClusterEvidence(resourceId, look.evidence), eTag)
      : { confirmed: true, changedSinceProof: false };
    return { ledger, ...trust, apiServers: leases?.length ?? null };
  } catch (error) {
    look.signal.throwIfAborted();
    if (error instanceof ArmError || error instanceof KubeError || error instanceof ApplicationFailure) {
      return { unreadable: sentence(error.message) };
    }
    if (limited.aborted) return { unreadable: 'Its API server did not answer in time.' };
    throw error;
  }
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
