/** What `connect-csi` makes where it is missing, part by part: add-on, access, rights, connection; and the proof of rotation. Pure. */
import type { PlanFacts } from '../kinds/kind';
import type { PlanStep, StepOf } from '../plan/steps';
import { resourceName, sameText } from '../resource-ids';
import { listedTypes, READ_RIGHTS, typesOf, type ObjectType } from './objects';
import {
  connectionNameFor,
  credentialName,
  isCredentialFor,
  isId,
  subjectOf,
  type ConnectParameters,
} from './parameters';
import { missingTypes, unknownRights } from './read-rights';
import { rotationProof } from './rotation';
import type { IdentityRef } from './steps';

/** What the whole cluster gets: the add-on, and tokens that Entra ID takes. */
export function addOnSteps({ cluster, parameters, from }: PlanFacts<ConnectParameters>): PlanStep[] {
  const { mode, rotationPollInterval = null } = parameters;
  const { secretsProvider, issuerUrl, workloadIdentity } = cluster;
  return [
    ...(secretsProvider?.enabled === true
      ? []
      : [
          {
            id: 'enable-secrets-provider',
            type: 'enable-secrets-provider' as const,
            expect: from,
            pollInterval: rotationPollInterval,
            title: `Enable the add-on azure-keyvault-secrets-provider ${rotationPollInterval === null ? 'without rotation' : `with rotation every ${rotationPollInterval}`}`,
            reason: 'AKS then runs driver and provider on every node, and makes an identity for them.',
          },
        ]),
    ...(mode !== 'workload-identity' || (issuerUrl !== undefined && workloadIdentity === true)
      ? []
      : [
          {
            id: 'enable-workload-identity',
            type: 'enable-workload-identity' as const,
            expect: from,
            title: 'Enable the OIDC issuer and workload identity of the cluster',
            reason:
              'Entra ID takes tokens of service accounts only from an issuer that it can look up. The issuer cannot be turned off again.',
          },
        ]),
  ];
}

/** How the identity gets to the pods. */
export function accessSteps({ azure, cluster, parameters }: PlanFacts<ConnectParameters>): PlanStep[] {
  const { mode, namespace, identity, serviceAccount } = parameters;
  const { csi } = azure;
  if (!isId(identity)) return [];
  const missing: PlanStep[] =
    csi?.identity.state === 'to-be-made'
      ? [
          {
            id: 'create-identity',
            type: 'create-identity',
            identityId: identity,
            location: cluster.location,
            title: `Create the managed identity ${resourceName(identity)}`,
            reason: 'It reads the vault for the pods.',
          },
        ]
      : [];
  if (mode === 'managed-identity') {
    const lacking =
      csi?.nodes?.known === true
        ? csi.nodes.value.filter((one) => !one.identities.some((id) => sameText(id, identity)))
        : [];
    return lacking.length === 0
      ? missing
      : [
          ...missing,
          {
            id: 'assign-node-identity',
            type: 'assign-node-identity',
            identityId: identity,
            title: `Assign ${resourceName(identity)} to the nodes: ${lacking.map(({ resourceId }) => resourceName(resourceId)).join(', ')}`,
            reason:
              'The provider asks the node for a token of the identity. Node pools that are added later need it too.',
          },
        ];
  }
  const subject = subjectOf({ namespace, name: serviceAccount ?? '' });
  const name = credentialName(cluster.resourceId, subject);
  const credentials = csi?.credentials?.known === true ? csi.credentials.value : [];
  const { issuerUrl } = cluster;
  const usable =
    issuerUrl !== undefined && credentials.some((one) => isCredentialFor(one, { subject, issuer: issuerUrl }));
  return usable
    ? missing
    : [
        ...missing,
        {
          id: 'create-federated-credential',
          type: 'create-federated-credential',
          identityId: identity,
          name,
          subject,
          title: `Let ${subject} be the identity ${resourceName(identity)}`,
          reason: 'Entra ID compares issuer and subject of the token byte by byte with this federated credential.',
        },
      ];
}

/** The rights that the identity lacks. */
export function grantSteps({ azure, parameters }: PlanFacts<ConnectParameters>): PlanStep[] {
  const { mode, objects, vaultId } = parameters;
  if (azure.csi?.vault.known !== true) return [];
  const { permissionModel } = azure.csi.vault.value;
  const who = identityOf(parameters);
  const types = missingTypes(azure.csi, { types: typesOf(objects), history: listedTypes(objects) });
  const given = types.length === 0 ? typesOf(objects) : types;
  const history = listedTypes(objects).filter((type) => given.includes(type));
  return types.length === 0 && unknownRights(azure.csi).length === 0
    ? []
    : [
        {
          id: 'grant-vault-read',
          type: 'grant-vault-read' as const,
          vaultId,
          permissionModel,
          identity: who,
          types: given,
          ...(history.length === 0 ? {} : { history }),
          title: `Let ${nameOf(who, azure.csi.otherNodes?.length)} read ${words(given)} of the vault ${resourceName(vaultId)}${history.length === 0 ? '' : `, and list versions of ${words(history)}`}`,
          reason: `${mode === 'service-connector' ? 'Service Connector gives rights for secrets and certificates; what is missing after it is given here. ' : ''}${
            permissionModel === 'rbac'
              ? `The AKS documents name ${[...new Set(given.map((type) => READ_RIGHTS[type].role.name))].join(' and ')}. Rights that are there already are left as they are.`
              : `The AKS documents name the permission get${history.length === 0 ? '' : '; older versions are found with list'}. Rights that are there already are left as they are.`
          }`,
        },
      ];
}

/** What Service Connector is asked for; undefined in the other modes. */
export function connectionStep({
  azure: { csi },
  parameters: { mode, namespace, vaultId, connectionName },
}: PlanFacts<ConnectParameters>): StepOf<'create-service-connection'> | undefined {
  if (mode !== 'service-connector') return undefined;
  const found = csi?.connections?.known === true ? csi.connections.value : [];
  const existing = found.find(({ targetId }) => sameText(targetId, vaultId));
  const name = existing?.name ?? connectionNameFor(vaultId, connectionName);
  return {
    id: 'create-service-connection',
    type: 'create-service-connection',
    name,
    namespace,
    vaultId,
    exists: existing !== undefined,
    title: existing
      ? `Check the connection ${name} to the vault`
      : `Have Service Connector make the connection ${name} to the vault`,
    reason:
      'Service Connector lets the identity of the add-on read the vault. A connection of the vault that is there already is used.',
  };
}

/** Whether mounted files follow the vault, which a mount alone does not show. */
export function rotationSteps({ azure, cluster, parameters }: PlanFacts<ConnectParameters>): PlanStep[] {
  const { mode, namespace, secretProviderClass, serviceAccount, vaultId, image } = parameters;
  const rotation = rotationProof(cluster, parameters, azure.csi?.vault);
  if (rotation.state !== 'proven') return [];
  const { probe, pollInterval } = rotation;
  const right = probe === 'secret' ? 'secrets (role Key Vault Secrets Officer' : 'keys (role Key Vault Crypto Officer';
  return [
    {
      id: 'prove-rotation',
      type: 'prove-rotation',
      namespace,
      class: secretProviderClass,
      access: mode === 'workload-identity' ? mode : 'managed-identity',
      serviceAccount: serviceAccount ?? null,
      vaultId,
      probe,
      pollInterval,
      image,
      title: `Prove rotation: make a ${probe} of Keyturn's own in the vault ${resourceName(vaultId)}, mount it in a pod, make a second version, see the file follow, and remove all three`,
      reason: `Files that are mounted once may not be renewed later. Rotation polls every ${pollInterval}. The probe holds nothing. Keyturn needs the rights to make, list and delete ${right}, or the permissions of an access policy).`,
    },
  ];
}

/** Which identity reads, by the parameters. */
export function identityOf({ mode, identity }: ConnectParameters): IdentityRef {
  if (isId(identity)) return { from: 'resource', identityId: identity };
  return mode === 'managed-identity' && identity === 'system-assigned' ? { from: 'nodes' } : { from: 'add-on' };
}

/** The identity in a sentence. @param otherNodes how many scale sets have an identity of their own beside the first */
export function nameOf(who: IdentityRef, otherNodes = 0): string {
  if (who.from === 'resource') return `the identity ${resourceName(who.identityId)}`;
  if (who.from === 'add-on') return 'the identity of the add-on';
  return otherNodes === 0
    ? 'the system-assigned identity of the nodes'
    : `the system-assigned identities of the ${otherNodes + 1} scale sets of the nodes`;
}

function words(types: readonly ObjectType[]): string {
  const plural = types.map((type) => (type === 'cert' ? 'certificates' : `${type}s`));
  return [...(plural.length > 1 ? [plural.slice(0, -1).join(', ')] : []), ...plural.slice(-1)].join(' and ');
}
