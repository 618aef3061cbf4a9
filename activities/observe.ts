/** Looks at Azure and at the cluster, and writes nothing. */
import type { AzureAccess } from '../azure/access';
import { ArmError } from '../azure/errors';
import type { ClusterSnapshot } from '../azure/managed-clusters';
import type { AzureObservation, KeyLookup, Observation } from '../domain/observed';
import { rotateKeyFaults } from '../domain/preconditions';
import type { OperationRequest } from '../domain/request';
import { parseKeyId } from '../domain/resource-ids';
import type { KubeConnection } from './kubernetes/connection';
import { readLedger } from './ledger';

/**
 * What Azure says of the cluster and the keys that matter. The vault of a requested key is contacted only when it is the
 * vault of the current key: a request must not make Keyturn talk to a stranger's vault.
 * @throws ArmError, VaultError, TokenError when Azure cannot say now
 */
export async function observeAzure(
  azure: AzureAccess,
  request: OperationRequest,
  options: { readonly abortSignal?: AbortSignal } = {},
): Promise<AzureObservation> {
  const at = new Date().toISOString();
  let snapshot: ClusterSnapshot;
  try {
    snapshot = await azure.clusters.read(request.cluster, options);
  } catch (error) {
    const why = whyNotThere(error);
    if (why === undefined) throw error;
    return { at, cluster: { found: false, why } };
  }
  const cluster = { found: true as const, cluster: snapshot.observed };
  const { enabled, keyId: currentKeyId } = snapshot.observed.kms;
  if (!enabled || currentKeyId === undefined) return { at, cluster };

  const requested = request.parameters.keyId;
  const [currentKey, requestedKey] = await Promise.all([
    azure.keys.lookUp(currentKeyId, options),
    requested === undefined ? undefined : lookUpRequested(azure, requested, currentKeyId, options),
  ]);
  return { at, cluster, currentKey, ...(requestedKey === undefined ? {} : { requestedKey }) };
}

/**
 * All that a plan is made from. The cluster itself is asked only when Azure's answer leaves a plan possible.
 * @param withCluster runs work with a connection to the cluster
 */
export async function observe(
  azure: AzureAccess,
  request: OperationRequest,
  withCluster: <T>(work: (connection: KubeConnection) => Promise<T>) => Promise<T>,
  signal: AbortSignal,
): Promise<Observation> {
  const azureObservation = await observeAzure(azure, request, { abortSignal: signal });
  if (rotateKeyFaults(request, azureObservation).length > 0) return { azure: azureObservation };
  return withCluster(async (connection) => ({
    azure: azureObservation,
    ledger: await readLedger(connection, signal),
  }));
}

async function lookUpRequested(
  { keys }: AzureAccess,
  requested: string,
  currentKeyId: string,
  options: { readonly abortSignal?: AbortSignal },
): Promise<KeyLookup> {
  const key = parseKeyId(requested);
  const current = parseKeyId(currentKeyId);
  if ('fault' in key) return { found: false, keyId: requested, why: key.fault };
  if ('fault' in current || key.vaultUrl !== current.vaultUrl) {
    return { found: false, keyId: key.kid, why: 'not looked up: another vault' };
  }
  return keys.lookUp(key.kid, options);
}

function whyNotThere(error: unknown): string | undefined {
  if (!(error instanceof ArmError)) return undefined;
  if (error.status === 404) return `ARM knows no such cluster (${error.code}).`;
  if (error.status === 403) return `Keyturn may not read it (${error.code}): ${error.message}`;
  return undefined;
}
