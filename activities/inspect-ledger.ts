/** Reads the ledger of one cluster, and says how far evidence confirms it. Writes nothing, and looks at no Secret. */
import { ledgerReport } from '../domain/ledger-report';
import { claimsProof, trustIn } from '../domain/trusted-ledger';
import type { LedgerInspected } from './contract';
import { readClusterEvidence } from './evidence';
import { readLedger } from './ledger';
import type { Look } from './look';
import { whyNotThere } from './observe-azure';

const NOTHING_CLAIMED = { confirmed: true, changedSinceProof: false } as const;

/** @throws ArmError, TokenError, KubeError when Azure or the cluster cannot say now; ApplicationFailure when the ledger cannot be read */
export async function inspectLedger(look: Look, cluster: string): Promise<LedgerInspected> {
  const { azure, use, signal, evidence } = look;
  let found: { readonly resourceId: string; readonly eTag?: string };
  try {
    found = (await azure.clusters.read(cluster, { abortSignal: signal })).observed;
  } catch (error) {
    const why = whyNotThere(error);
    if (why === undefined) throw error;
    return { found: false, why };
  }
  const { resourceId, eTag } = found;
  const ledger = await use(resourceId, signal, (connection) => readLedger(connection, signal));
  const trust = claimsProof(ledger)
    ? trustIn(ledger, resourceId, await readClusterEvidence(resourceId, evidence), eTag)
    : NOTHING_CLAIMED;
  const report = ledgerReport(ledger, { cluster: resourceId, at: new Date().toISOString(), ...trust });
  return { found: true, inspection: report };
}
