/** The connection of Service Connector that `connect-csi` made for a class: whether it can go with the class. Pure. */
import { resourceName, sameText } from '../resource-ids';
import type { CsiFacts, MadeConnection, SeenClass } from './facts';

/** Where a connection is. */
export interface ConnectionPlace {
  readonly classes: readonly SeenClass[];
  /** The class that is to be removed. */
  readonly of: { readonly namespace: string; readonly name: string };
  /** Of the identity that the add-on has; absent while it is off. */
  readonly addOnClientId: string | undefined;
}

/** The other classes that read the vault by the identity of the add-on, which a connection of the vault allows: as `namespace/name`. */
export function classesNeeding(
  { vaultId }: Pick<MadeConnection, 'vaultId'>,
  { classes, of, addOnClientId }: ConnectionPlace,
): string[] {
  return classes
    .filter(({ namespace, name }) => namespace !== of.namespace || name !== of.name)
    .filter(
      ({ content }) =>
        content?.identity.mode === 'managed-identity' &&
        addOnClientId !== undefined &&
        sameText(content.identity.clientId, addOnClientId) &&
        sameText(content.vaultName, resourceName(vaultId)),
    )
    .map(({ namespace, name }) => `${namespace}/${name}`);
}

/**
 * Why a connection stays that is there beside the one that a class notes as Keyturn's; undefined when that one can go, or is gone. Azure
 * has one connection of a cluster for a vault.
 */
export function whyItStays(
  { name, vaultId }: Pick<MadeConnection, 'name' | 'vaultId'>,
  connections: CsiFacts['connections'],
): string | undefined {
  if (connections?.known !== true) return undefined;
  const named = connections.value.find((one) => sameText(one.name, name));
  if (named && !(sameText(named.targetId, vaultId) && named.byCsiDriver))
    return `Keyturn made a connection ${name} to the vault ${resourceName(vaultId)} with the Secrets Store CSI driver. The one of this name now goes to ${named.targetId || 'an unknown resource'}${named.byCsiDriver ? '' : ' without the driver'}: another client made it, and it stays.`;
  const other = connections.value.find((one) => sameText(one.targetId, vaultId));
  if (named === undefined && other)
    return `The connection ${name} that Keyturn made is gone. The connection ${other.name} to the vault ${resourceName(vaultId)} was made by another client, and stays.`;
  return undefined;
}
