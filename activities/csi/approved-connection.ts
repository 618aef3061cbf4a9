/**
 * Whether a connection is still the approved one when it is to be mounted: identity, class and service account.
 *
 * Never does: write.
 */
import type { AzureAccess } from '../../azure/access';
import type { ClassContent } from '../../domain/csi/secret-provider-class';
import type { KubeConnection } from '../kubernetes/connection';
import type { StepWork } from '../run-activity';
import { principalOf } from './identity';
import { approvedClass, notAsApproved } from './approved-class';
import { accountPath, findPart } from './objects';

type Azure = Pick<AzureAccess, 'identities' | 'clusters' | 'nodeMachines'>;
type Work = StepWork<'prove-mount'>;

/**
 * Looks at what Azure has.
 * @returns what looks inside the cluster, and gives the class
 * @throws ApplicationFailure `ConnectionNotAsApproved`, `IdentityNotAsApproved`, non-retryable; ArmError, KubeError, TokenError
 */
export async function approvedConnection(
  azure: Azure,
  work: Work,
): Promise<(connection: KubeConnection) => Promise<ClassContent>> {
  const clientId = await approvedClientId(azure, work);
  const { step, signal } = work;
  return async (connection) => {
    const content = await approvedClass(connection, { ...step, clientId }, signal);
    await requireAccount(connection, work);
    return content;
  };
}

/** Of the identity that the plan names; undefined where it names none. */
async function approvedClientId(azure: Azure, { step, cluster, signal }: Work): Promise<string | undefined> {
  if (step.identity === undefined) return undefined;
  return (await principalOf(azure, cluster, step.identity, { abortSignal: signal })).clientId ?? '';
}

/** A pod cannot run as a service account that is gone. */
async function requireAccount(connection: KubeConnection, { step, signal }: Work): Promise<void> {
  const { namespace, serviceAccount } = step;
  if (serviceAccount === null || (await findPart(connection, accountPath(namespace, serviceAccount), signal))) return;
  throw notAsApproved(`The service account ${namespace}/${serviceAccount} is not there.`);
}
