/** The identity of a managed cluster: what a PUT asks for, and the principal that it stands for. */
import { z } from 'zod';
import type { Directory, ServicePrincipal } from '../entra/directory';
import { badRequest } from '../errors';
import { objectAt, type JsonObject } from '../json';
import type { Identities } from './identities';

/** The member `identity` of a PUT. */
export const SentIdentity = z.looseObject({
  type: z.enum(['SystemAssigned', 'UserAssigned', 'None']),
  userAssignedIdentities: z.record(z.string(), z.unknown()).nullish(),
});

/** Where identities are. */
export interface IdentitySources {
  readonly directory: Directory;
  readonly identities: Identities;
}

/**
 * The identity block with ids filled in, and the principal of the user-assigned identity if there is one.
 * @param cluster.body what ARM has of the cluster; undefined when it is new
 * @throws AzureError 400
 */
export function resolveIdentity(
  { directory, identities }: IdentitySources,
  sent: z.infer<typeof SentIdentity> | undefined,
  cluster: { readonly clusterName: string; readonly body: JsonObject | undefined },
): { identity: JsonObject; principal: ServicePrincipal | undefined } {
  if (sent?.type !== 'UserAssigned') {
    const old = objectAt(cluster.body, 'identity');
    if (old['type'] === 'SystemAssigned') return { identity: old, principal: undefined };
    const { objectId } = directory.registerManagedIdentity(cluster.clusterName);
    return {
      identity: { type: sent?.type ?? 'SystemAssigned', principalId: objectId, tenantId: directory.tenantId },
      principal: undefined,
    };
  }
  const ids = Object.keys(sent.userAssignedIdentities ?? {});
  const [id] = ids;
  if (id === undefined || ids.length > 1) {
    throw badRequest(
      `A cluster takes exactly one user-assigned identity; the PUT names ${ids.length}.`,
      'SandboxIdentityCountNotValid',
      { shape: 'bare' },
    );
  }
  const found = identities.find(id);
  if (found === undefined) {
    throw badRequest(`The user-assigned identity '${id}' was not found.`, 'SandboxIdentityNotFound', {
      shape: 'bare',
    });
  }
  const { appId, objectId } = found.principal;
  return {
    identity: {
      type: 'UserAssigned',
      userAssignedIdentities: { [found.id]: { clientId: appId, principalId: objectId } },
    },
    principal: found.principal,
  };
}

/**
 * The principal that a cluster acts as now: a PUT may have changed the identity. None once the identity was deleted, also when one of
 * that name was made anew: that is another principal.
 */
export function identityOf(
  { identities }: Pick<IdentitySources, 'identities'>,
  body: JsonObject,
): ServicePrincipal | undefined {
  const [id] = Object.keys(objectAt(body, 'identity', 'userAssignedIdentities'));
  if (id === undefined) return undefined;
  const principal = identities.find(id)?.principal;
  const { principalId } = objectAt(body, 'identity', 'userAssignedIdentities', id);
  return principal?.objectId === principalId ? principal : undefined;
}
