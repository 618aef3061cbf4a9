/** Looks at clusters and at the worker itself, asked for by the API: the worker has the rights to look into clusters, and the API has none. */
import { proxyActivities } from '@temporalio/workflow';
import type { Activities, CsiInspected, Inspected, LedgerInspected } from '../activities/contract';
import type { KeyUsers } from '../domain/key-users';
import type { WorkerReport } from '../domain/worker-report';

const looking = (summary: string): Activities =>
  proxyActivities<Activities>({
    startToCloseTimeout: '20 seconds',
    heartbeatTimeout: '15 seconds',
    // The API waits, and answers with the failure: its client asks again.
    retry: { maximumAttempts: 1 },
    summary,
  });

/** Looks at the encryption. Writes nothing, and takes no lock. */
export function inspectCluster(input: { readonly cluster: string }): Promise<Inspected> {
  return looking('Look at the encryption of the cluster').inspectCluster(input);
}

/** Looks at the connections between its pods and vaults. Writes nothing, and takes no lock. */
export function inspectCsi(input: { readonly cluster: string }): Promise<CsiInspected> {
  return looking('Look at the connections of pods with vaults').inspectCsi(input);
}

/** Reads the ledger. Writes nothing, and takes no lock. */
export function inspectLedger(input: { readonly cluster: string }): Promise<LedgerInspected> {
  return looking('Read the ledger of the cluster').inspectLedger(input);
}

/** Looks which clusters need a key version. Writes nothing, and takes no lock. */
export function findKeyUsers(input: { readonly keyId: string }): Promise<KeyUsers> {
  return looking('Look which clusters need the key').findKeyUsers(input);
}

/** What the worker says of its clock, its key and its rights. */
export function examineWorker(): Promise<WorkerReport> {
  return looking('Look at what the worker needs').examineWorker();
}
