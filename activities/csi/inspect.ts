/** Looks at what connects the pods of a cluster with vaults. Writes nothing, and reads no value. */
import type { AzureAccess } from '../../azure/access';
import type { CallOptions } from '../../azure/call-options';
import type { ClusterSnapshot } from '../../azure/managed-clusters';
import type { CsiFacts, ReadingIdentity, SeenClass } from '../../domain/csi/facts';
import { inspectCsi as inspected } from '../../domain/csi/inspection';
import { parseClusterId, sameText } from '../../domain/resource-ids';
import type { CsiInspected } from '../contract';
import { readIfItAnswers, type Look } from '../look';
import { whyNotThere } from '../observe-azure';
import { systemAssignedOf } from './identity';
import { readCsiInside } from './inside';
import { nodeNetworksOf, withEndpointSubnets } from './network';
import { credentialsOf, nodesOf } from './observe';
import { readingRights, rightsOfOtherNodes } from './rights';

/** Classes whose vault and identity are looked up; a cluster has a few dozen at most. */
const MOST_CLASSES = 50;
/** Any namespace: no request names one. */
const ANY_NAMESPACE = { namespace: 'default', accounts: true };

/** @throws ArmError, TokenError when Azure cannot say now */
export async function inspectCsi(look: Look, cluster: string): Promise<CsiInspected> {
  const { azure, signal } = look;
  const options = { abortSignal: signal };
  let snapshot: ClusterSnapshot;
  try {
    snapshot = await azure.clusters.read(cluster, options);
  } catch (error) {
    const why = whyNotThere(error);
    if (why === undefined) throw error;
    return { found: false, why };
  }
  const read = await readIfItAnswers(look, cluster, (connection, limited) =>
    readCsiInside(connection, ANY_NAMESPACE, limited),
  );
  const inside = 'unreadable' in read ? read : read.value;
  const classes = 'classes' in inside ? inside.classes.slice(0, MOST_CLASSES) : [];
  const facts = { at: new Date().toISOString(), cluster: snapshot.observed, inside };
  const shared = sharedLooks(azure, snapshot, options);
  const lookUps = await Promise.all(classes.map((one) => factsOf(azure, snapshot, one, { shared, options })));
  return { found: true, inspection: inspected({ ...facts, azure: lookUps }) };
}

/** What several classes need: each is asked of Azure once, and only when a class needs it. */
interface SharedLooks {
  readonly nodes: () => Promise<NonNullable<CsiFacts['nodes']>>;
  readonly identities: () => ReturnType<AzureAccess['identities']['list']>;
  readonly vaultId: (vaultName: string) => Promise<string | undefined>;
  /** Of a private endpoint. */
  readonly subnetOf: (endpointId: string) => Promise<string | undefined>;
}

function sharedLooks(azure: AzureAccess, snapshot: ClusterSnapshot, options: CallOptions): SharedLooks {
  const { subscriptionId } = parseClusterId(snapshot.observed.resourceId) ?? { subscriptionId: '' };
  const looks = new Map<string, Promise<unknown>>();
  const once = <T>(what: string, look: () => Promise<T>): Promise<T> => {
    const looking = (looks.get(what) as Promise<T> | undefined) ?? look();
    looks.set(what, looking);
    return looking;
  };
  return {
    nodes: () => once('nodes', () => nodesOf(azure, snapshot, options)),
    identities: () => once('identities', () => azure.identities.list(subscriptionId, options)),
    vaultId: (vaultName) =>
      once(`vault ${vaultName.toLowerCase()}`, () =>
        azure.vaults.locate({ key: { vaultName }, subscriptionId }, options),
      ),
    subnetOf: (id) => once(`endpoint ${id.toLowerCase()}`, () => azure.privateEndpoints.subnetOf(id, options)),
  };
}

/** What Azure shows of the vault and the identity that a class names; undefined when the class cannot be read. */
async function factsOf(
  azure: AzureAccess,
  snapshot: ClusterSnapshot,
  { content }: SeenClass,
  { shared, options }: { readonly shared: SharedLooks; readonly options: CallOptions },
): Promise<CsiFacts | undefined> {
  if (content === undefined) return undefined;
  const byNodes = content.identity.mode === 'managed-identity';
  const [vaultId, nodes] = await Promise.all([shared.vaultId(content.vaultName), byNodes ? shared.nodes() : undefined]);
  const identity = await identityOf(shared, snapshot, { clientId: content.identity.clientId, nodes });
  const principalId = identity.state === 'exists' ? identity.principalId : undefined;
  const why = `Keyturn sees no vault ${content.vaultName}: it does not exist, or Keyturn has no right to read it (Microsoft.KeyVault/vaults/read).`;
  const rights =
    vaultId === undefined
      ? { vault: { known: false as const, why } }
      : await readingRights(azure, { vaultId, principalId }, options);
  const otherNodes =
    vaultId === undefined ? undefined : await rightsOfOtherNodes(azure, { vaultId, nodes, identity }, options);
  const id = identity.state === 'exists' ? identity.resourceId : undefined;
  const credentials = byNodes || id === undefined ? undefined : await credentialsOf(azure, id, identity, options);
  const nodeNetworks = nodeNetworksOf(snapshot);
  return {
    cloud: azure.cloud.name,
    ...rights,
    vault: await withEndpointSubnets(rights.vault, shared.subnetOf),
    identity,
    ...(nodeNetworks === undefined ? {} : { nodeNetworks }),
    ...(otherNodes === undefined ? {} : { otherNodes }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(nodes === undefined ? {} : { nodes }),
  };
}

async function identityOf(
  { identities }: SharedLooks,
  { observed }: ClusterSnapshot,
  { clientId, nodes }: { readonly clientId: string | undefined; readonly nodes: CsiFacts['nodes'] },
): Promise<ReadingIdentity> {
  const addOn = observed.secretsProvider?.identity;
  if (clientId === undefined) {
    if (nodes?.known !== true) return { state: 'unknown', why: nodes?.why ?? 'The nodes were not looked at.' };
    const found = systemAssignedOf(nodes.value);
    return 'why' in found
      ? { state: 'unknown', why: found.why }
      : { state: 'exists', principalId: found.principalIds[0] };
  }
  if (addOn && sameText(addOn.clientId, clientId)) {
    return { state: 'exists', resourceId: addOn.resourceId, clientId, principalId: addOn.objectId };
  }
  const found = (await identities()).find((one) => sameText(one.clientId, clientId));
  if (found) return { state: 'exists', ...found };
  const why = `Keyturn sees no managed identity of the cluster's subscription with the client id ${clientId}: it was deleted, it is elsewhere, or Keyturn may not read it.`;
  return { state: 'unknown', why };
}
