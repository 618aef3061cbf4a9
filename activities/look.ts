/** What a look at Azure, at clusters and at earlier evidence needs. */
import { ApplicationFailure } from '@temporalio/common';
import type { AzureAccess } from '../azure/access';
import { ArmError } from '../azure/errors';
import type { EvidenceStore } from './evidence';
import type { UseCluster } from './key-usage';
import type { KubeConnection } from './kubernetes/connection';
import { KubeError } from './kubernetes/errors';
import type { SharedLooks } from './shared-look';

/** What a look needs. */
export interface Look {
  readonly azure: AzureAccess;
  /** Runs work with a connection to any cluster. */
  readonly use: UseCluster;
  readonly evidence: EvidenceStore;
  readonly signal: AbortSignal;
}

/** What a look for a plan needs. */
export interface PlanLook extends Look {
  /** Shares looks for plans that are made at the same time. */
  readonly shared: SharedLooks;
}

/** A cluster that does not answer must not keep the caller waiting. */
const LONGEST_READ_IN_MS = 8_000;

/** Reads in a cluster that may not answer. @returns why it could not be read, in one sentence */
export async function readIfItAnswers<T>(
  { use, signal }: Look,
  cluster: string,
  read: (connection: KubeConnection, signal: AbortSignal) => Promise<T>,
): Promise<{ readonly value: T } | { readonly unreadable: string }> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(LONGEST_READ_IN_MS)]);
  try {
    return { value: await use(cluster, limited, (connection) => read(connection, limited)) };
  } catch (error) {
    signal.throwIfAborted();
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
