/** The class that pods of Keyturn's own mount, or have theirs made after: as the cluster has it, and as it was approved. */
import { classDifferences, readClass, type ClassContent } from '../../domain/csi/secret-provider-class';
import type { CsiObject } from '../../domain/csi/objects';
import type { AccessMode } from '../../domain/csi/steps';
import { resourceName } from '../../domain/resource-ids';
import { needsPerson } from '../failures';
import type { KubeConnection } from '../kubernetes/connection';
import { classPath, findPart } from './objects';

/** What was approved. */
export interface ApprovedClass {
  readonly namespace: string;
  readonly class: string;
  readonly vaultId: string;
  readonly access: AccessMode;
  // Not compared when absent.
  readonly objects?: readonly CsiObject[];
  readonly tenantId?: string;
  readonly cloudName?: string;
  readonly clientId?: string | undefined;
}

/** Reads it. @throws ApplicationFailure `ConnectionNotAsApproved`, non-retryable; KubeError */
export async function approvedClass(
  connection: KubeConnection,
  { namespace, class: name, vaultId, access, ...approved }: ApprovedClass,
  signal: AbortSignal,
): Promise<ClassContent> {
  const found = await findPart(connection, classPath(namespace, name), signal);
  const read = found && readClass(found.spec);
  if (read?.ok !== true) {
    throw notAsApproved(
      `The SecretProviderClass ${namespace}/${name} ${read ? `cannot be used: ${read.problems.join(' ')}` : 'is not there.'}`,
    );
  }
  const { content } = read;
  const differences = classDifferences(content, {
    vaultName: resourceName(vaultId),
    tenantId: approved.tenantId ?? content.tenantId,
    cloudName: approved.cloudName ?? content.cloudName,
    objects: approved.objects ?? content.objects,
    identity: { mode: access, clientId: approved.clientId ?? content.identity.clientId ?? '' },
  });
  if (differences.length === 0) return content;
  throw notAsApproved(`The SecretProviderClass ${namespace}/${name} is not as approved: ${differences.join(' ')}`);
}

/** A failure for what another client made or changed. @param what one sentence */
export function notAsApproved(what: string): Error {
  return needsPerson(
    'ConnectionNotAsApproved',
    `${what} Another client changed it since the plan was made. Keyturn changed nothing, and keys are as they were. Cancel, and ask again.`,
  );
}
