/** Looks at the encryption of one cluster. Writes nothing, and looks at no Secret. */
import type { ApplicationFailure } from '@temporalio/common';
import { ArmError } from '../azure/errors';
import { inspect, type InspectionFacts } from '../domain/inspection';
import { currentGeneration } from '../domain/ledger';
import { reportedKeyId, type ObservedCluster } from '../domain/observed';
import { isChangedSinceProof, isConfirmed } from '../domain/trusted-ledger';
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
    const records = ledger === null ? [] : await readClusterEvidence(resourceId, look.evidence);
    return {
      ledger,
      confirmed: ledger === null || isConfirmed(ledger, resourceId, records),
      changedSinceProof: ledger !== null && isChanged(ledger, resourceId, records, eTag),
      apiServers: leases?.length ?? null,
    };
  } catch (error) {
    look.signal.throwIfAborted();
    if (error instanceof ArmError || error instanceof KubeError || isFailure(error)) {
      return { unreadable: sentence(error.message) };
    }
    if (limited.aborted) return { unreadable: 'Its API server did not answer in time.' };
    throw error;
  }
}

/** Only a proof can be outdated by a change. */
function isChanged(...args: Parameters<typeof isChangedSinceProof>): boolean {
  return currentGeneration(args[0])?.state === 'proven' && isChangedSinceProof(...args);
}

function isFailure(error: unknown): error is ApplicationFailure {
  return error instanceof Error && error.name === 'ApplicationFailure';
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
