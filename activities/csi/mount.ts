/**
 * Proves that pods get what the vault has: a pod of Keyturn's own mounts the class and compares.
 *
 * Needs: the class and the service account in the cluster, as approved, and nodes that run the driver.
 * Does: makes the pod or finds the one of an earlier try, waits for its end, reads its report, and removes it: also after a failure and
 *       after a cancellation.
 * Never does: see a value. The pod compares; its report has indexes, versions and words.
 */
import type { AzureAccess } from '../../azure/access';
import type { MountedFile } from '../../domain/csi/facts';
import type { StepWork } from '../run-activity';
import { lookUntil } from '../running';
import { approvedConnection } from './approved-connection';
import { mountPod, mountPodName } from './mount-pod';
import { judgeReport, type PodNames } from './mount-report';
import { vaultHostIn } from './mount-words';
import { podLooks, removePod, type MountLimits } from './mounting-pod';

/** A few minutes. A grant may need ten in Azure; a person who waits for one retries. */
export const MOUNT_LIMITS: MountLimits = { startsWithinMs: 300_000, mountsWithinMs: 180_000, everyMs: 1_000 };

type Azure = Pick<AzureAccess, 'cloud' | 'identities' | 'clusters' | 'nodeMachines'>;

/**
 * Carries out `prove-mount`.
 * @throws ApplicationFailure `MountFailed`, `MountDiffers`, `ConnectionNotAsApproved`, `IdentityNotAsApproved`, non-retryable; ArmError,
 *         KubeError, TokenError
 */
export async function proveMount(
  azure: Azure,
  work: StepWork<'prove-mount'>,
  limits: MountLimits = MOUNT_LIMITS,
): Promise<{ files: readonly MountedFile[] }> {
  const { step, operationId, signal, inside } = work;
  const { cloud } = azure;
  const approve = await approvedConnection(azure, work);
  return await inside(async (connection) => {
    const content = await approve(connection);
    const at = vaultHostIn(cloud, content.vaultName);
    const body = mountPod({
      step,
      operationId,
      content,
      vaultUrl: `https://${at.host}`,
      authorityHost: cloud.authorityHost,
    });
    const names: PodNames = {
      pod: `${step.namespace}/${mountPodName(operationId, step.id)}`,
      class: `${step.namespace}/${step.class}`,
    };
    try {
      const look = podLooks(connection, {
        names,
        at,
        operationId,
        signal,
        limits,
        body: async () => body,
        atProgram: async () => `the pod ${names.pod} to compare the files`,
      });
      const ended = await lookUntil(work, { first: `the pod ${names.pod}`, everyMs: limits.everyMs }, look);
      return { files: judgeReport(ended, step.objects, names, at) };
    } finally {
      await removePod(connection, names, operationId);
    }
  });
}
