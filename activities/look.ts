/** What a look at Azure, at clusters and at earlier evidence needs. */
import type { AzureAccess } from '../azure/access';
import type { EvidenceStore } from './evidence';
import type { UseCluster } from './key-usage';

/** What a look needs. */
export interface Look {
  readonly azure: AzureAccess;
  /** Runs work with a connection to any cluster. */
  readonly use: UseCluster;
  readonly evidence: EvidenceStore;
  readonly signal: AbortSignal;
}
