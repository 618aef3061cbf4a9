/**
 * Whether the KMS of the API servers works, as their health checks say. A check of KMS v2 has the plugin encrypt and decrypt in the
 * vault, so it fails within seconds when the key does not work, also while an API server still reads Secrets with what it has cached.
 */
import { failingKmsChecks, kmsCause, type KmsHealth } from '../../domain/kms-health';
import type { KubeConnection } from './connection';
import { KubeError } from './errors';
import { knownLeases } from './servers';

/** Not `/livez`: newer kube-apiservers (1.34, not 1.27) leave the checks of KMS out there, so that a kubelet does not start them again. */
const CHECKS = '/readyz';
/** A load balancer chooses a server for each connection: so many looks for each server that renews its lease, and some more. */
const LOOKS_PER_SERVER = 3;
const EXTRA_LOOKS = 2;
/** Where the leases are not shown. */
const SERVERS_IF_UNKNOWN = 2;

/** One look, at the API server that answers. @returns the causes; empty when its KMS works @throws KubeError */
export async function lookAtKms(connection: KubeConnection, signal?: AbortSignal): Promise<string[]> {
  const { healthy, text } = await connection.health(`${CHECKS}?verbose`, signal);
  if (healthy) return [];
  const causes = new Set<string>();
  // The list does not say why. Each check alone does, of the API server that answers then: another one may be well.
  for (const check of failingKmsChecks(text)) {
    const alone = await connection.health(`${CHECKS}/${check}`, signal);
    if (!alone.healthy) causes.add(kmsCause(alone.text));
  }
  return [...causes];
}

/** As many looks as it takes to see every API server, by all likelihood. Ends at the first that is not well. @throws KubeError */
export async function readKmsHealth(connection: KubeConnection, signal?: AbortSignal): Promise<KmsHealth> {
  const servers = (await leasesIfShown(connection, signal)) ?? SERVERS_IF_UNKNOWN;
  const looks = servers * LOOKS_PER_SERVER + EXTRA_LOOKS;
  for (let answers = 1; answers <= looks; answers++) {
    const causes = await lookAtKms(connection, signal);
    if (causes.length > 0) return { answers, causes };
  }
  return { answers: looks, causes: [] };
}

async function leasesIfShown(connection: KubeConnection, signal?: AbortSignal): Promise<number | undefined> {
  try {
    return (await knownLeases(connection, signal))?.length;
  } catch (error) {
    // An API server that is being started answers its health checks before anything else.
    if (error instanceof KubeError && error.status !== undefined) return undefined;
    throw error;
  }
}
