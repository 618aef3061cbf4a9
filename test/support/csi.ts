/** What a team does for pods that read a vault, without Keyturn: secrets in the vault, pods that mount. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { CustomObjectsApi, type V1Pod } from '@kubernetes/client-node';
import type { AzureRequest } from '../../launch/azure-client';
import { makeKey, type SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { makeCertificate, setSecret } from '../../launch/sandbox-objects';
import { CONNECTION_LABEL } from '../../domain/csi/facts';
import { READ_RIGHTS } from '../../domain/csi/objects';
import { credentialName, subjectOf } from '../../domain/csi/parameters';
import { armDelete, armPut } from '../../launch/azure-client';
import { asAdministrator, identityIdOf, putByHand, vaultIdOf } from './by-hand';
import { kubeApi } from './kube';

/** Objects that every vault of the tests gets. */
export const OBJECTS = [
  { objectName: 'db-password', objectType: 'secret' },
  { objectName: 'signing', objectType: 'key' },
  { objectName: 'web', objectType: 'cert' },
] as const;

/** A secret, a key and a certificate in a vault. @param value of the secret */
export async function fillVaultByHand(vault: string, value: string = randomUUID()): Promise<void> {
  const vaultUrl = `https://${vault}.vault.azure.net`;
  await asAdministrator(async (request) => {
    await setSecret(request, vaultUrl, { name: 'db-password', value });
    await makeKey(request, vaultUrl, { name: 'signing' });
    await makeCertificate(request, vaultUrl, 'web');
  });
}

/** The parameters of a connection by workload identity. */
export function workloadIdentity(vault: string, name: string): Record<string, unknown> {
  return {
    mode: 'workload-identity',
    vaultId: vaultIdOf(vault),
    namespace: 'default',
    secretProviderClass: name,
    serviceAccount: name,
    identity: identityIdOf(`id-${name}`),
    objects: OBJECTS,
  };
}

/** What `connect-csi` leaves, made by hand with its labels: the add-on, an identity with its credential, a service account, a class. */
export async function connectByHand(cluster: SandboxClusterFacts, name: string): Promise<void> {
  await setAddOnByHand(cluster, true);
  await federateByHand(cluster, name);
  const labels = { [CONNECTION_LABEL]: 'by-hand' };
  await kubeApi(cluster).core.createNamespacedServiceAccount({
    namespace: 'default',
    body: { metadata: { name, labels } },
  });
  await makeClassByHand(cluster, name, labels);
}

/** Turns the add-on on, with the rotation that it has or another poll interval, or off. The issuer is on afterwards. */
export async function setAddOnByHand(
  { resourceId }: SandboxClusterFacts,
  enabled: boolean,
  rotationPollInterval?: string,
): Promise<void> {
  const config =
    rotationPollInterval === undefined ? {} : { config: { enableSecretRotation: 'true', rotationPollInterval } };
  await putByHand(resourceId, (body) => ({
    ...body,
    properties: {
      ...body.properties,
      addonProfiles: { azureKeyvaultSecretsProvider: { enabled, ...config } },
      oidcIssuerProfile: { enabled: true },
    },
  }));
}

/** Makes a federated credential of the name that Keyturn takes, for an issuer that is not the cluster's. @returns what removes it */
export async function federateByHand({ resourceId }: SandboxClusterFacts, name: string): Promise<() => Promise<void>> {
  const identity = identityIdOf(`id-${name}`);
  const subject = subjectOf({ namespace: 'default', name });
  const credential = `${identity}/federatedIdentityCredentials/${credentialName(resourceId, subject)}`;
  const at = (id: string): string => `https://management.azure.com${id}?api-version=2024-11-30`;
  await asAdministrator(async (request) => {
    await request('PUT', at(identity), { location: 'westeurope' });
    await request('PUT', at(credential), {
      properties: { issuer: 'https://issuer.test/', subject, audiences: ['api://AzureADTokenExchange'] },
    });
  });
  return () => asAdministrator(async (request) => void (await request('DELETE', at(credential))));
}

/** Makes a class that no pod can mount. The definition must be there. @returns what removes it */
export async function makeClassByHand(
  cluster: SandboxClusterFacts,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<() => Promise<void>> {
  const api = kubeApi(cluster).config.makeApiClient(CustomObjectsApi);
  const at = { ...CLASSES, namespace: 'default' };
  await api.createNamespacedCustomObject({
    ...at,
    body: {
      apiVersion: 'secrets-store.csi.x-k8s.io/v1',
      kind: 'SecretProviderClass',
      metadata: { name, labels },
      spec: { provider: 'azure' },
    },
  });
  return async () => void (await api.deleteNamespacedCustomObject({ ...at, name }));
}

const CLASSES = { group: 'secrets-store.csi.x-k8s.io', version: 'v1', plural: 'secretproviderclasses' } as const;

/** SecretProviderClasses of a namespace, by name. */
export async function classesOf(
  { kubeconfig }: Pick<SandboxClusterFacts, 'kubeconfig'>,
  namespace = 'default',
): Promise<Record<string, { readonly spec: unknown }>> {
  const { items } = (await kubeApi({ kubeconfig }).config.makeApiClient(CustomObjectsApi).listNamespacedCustomObject({
    group: 'secrets-store.csi.x-k8s.io',
    version: 'v1',
    namespace,
    plural: 'secretproviderclasses',
  })) as { items: { metadata: { name: string }; spec: unknown }[] };
  return Object.fromEntries(items.map((item) => [item.metadata.name, item]));
}

/** A pod of the team that mounts a class. */
export function podOf(name: string, secretProviderClass: string, serviceAccountName?: string): V1Pod {
  return {
    metadata: { name, namespace: 'default' },
    spec: {
      ...(serviceAccountName === undefined ? {} : { serviceAccountName }),
      containers: [
        {
          name: 'app',
          image: 'busybox',
          command: ['sh', '-c', 'sleep 10000'],
          volumeMounts: [{ name: 'secrets', mountPath: '/mnt/secrets-store', readOnly: true }],
        },
      ],
      volumes: [
        {
          name: 'secrets',
          csi: { driver: 'secrets-store.csi.k8s.io', readOnly: true, volumeAttributes: { secretProviderClass } },
        },
      ],
    },
  };
}

/**
 * `az network private-endpoint create`: an endpoint of a vault in the network of a cluster's nodes, or in another one that is not peered with
 * it. @returns what removes it
 */
export async function makeEndpointByHand(
  { resourceId }: SandboxClusterFacts,
  vault: string,
  where: 'nodes' | 'elsewhere',
): Promise<() => Promise<void>> {
  const [group = ''] = resourceId.split('/providers/');
  const nodes = `${group.replace(/[^/]+$/, '')}MC_keyturn_${resourceId.split('/').at(-1) ?? ''}_westeurope`;
  const network = `${where === 'nodes' ? nodes : group}/providers/Microsoft.Network/virtualNetworks/${where}`;
  const id = `${group}/providers/Microsoft.Network/privateEndpoints/${vault}-${where}`;
  const properties = { privateLinkServiceId: vaultIdOf(vault), groupIds: ['vault'] };
  await asAdministrator((request) =>
    armPut(request, id, {
      location: 'westeurope',
      properties: {
        subnet: { id: `${network}/subnets/endpoints` },
        privateLinkServiceConnections: [{ name: 'vault', properties }],
      },
    }),
  );
  return () => asAdministrator((request) => armDelete(request, id));
}

/** Key Vault Secrets User. */
export const SECRETS_USER = READ_RIGHTS.secret.role.id;

const AddOn = z.object({
  properties: z.object({
    addonProfiles: z.object({
      azureKeyvaultSecretsProvider: z.object({ identity: z.object({ objectId: z.string() }) }),
    }),
  }),
});
const Named = z.object({ value: z.array(z.object({ name: z.string() })) });
const Assignments = z.object({
  value: z.array(z.object({ properties: z.object({ principalId: z.string(), roleDefinitionId: z.string() }) })),
});
const MANAGEMENT = 'https://management.azure.com';

async function addOnPrincipal(request: AzureRequest, { resourceId }: SandboxClusterFacts): Promise<string> {
  const { body } = await request('GET', `${MANAGEMENT}${resourceId}?api-version=2026-04-01`);
  return AddOn.parse(body).properties.addonProfiles.azureKeyvaultSecretsProvider.identity.objectId;
}

/** `az role assignment create` for the identity of the add-on: Key Vault Secrets User at a vault. */
export async function grantAddOnByHand(cluster: SandboxClusterFacts, vault: string): Promise<void> {
  await asAdministrator(async (request) => {
    const principalId = await addOnPrincipal(request, cluster);
    const roles = `${vaultIdOf(vault)}/providers/Microsoft.Authorization`;
    await request('PUT', `${MANAGEMENT}${roles}/roleAssignments/${randomUUID()}?api-version=2022-04-01`, {
      properties: { roleDefinitionId: `${roles}/roleDefinitions/${SECRETS_USER}`, principalId },
    });
  });
}

/** The roles that the identity of the add-on has at a vault: their ids. */
export async function addOnRolesAt(cluster: SandboxClusterFacts, vault: string): Promise<string[]> {
  return await asAdministrator(async (request) => {
    const principalId = await addOnPrincipal(request, cluster);
    const url = `${MANAGEMENT}${vaultIdOf(vault)}/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01`;
    return Assignments.parse((await request('GET', url)).body)
      .value.filter(({ properties }) => properties.principalId === principalId)
      .map(({ properties }) => properties.roleDefinitionId.split('/').at(-1) ?? '');
  });
}

/** The names of the connections of Service Connector. */
export async function connectionsOf({ resourceId }: SandboxClusterFacts): Promise<string[]> {
  const url = `${MANAGEMENT}${resourceId}/providers/Microsoft.ServiceLinker/linkers?api-version=2024-07-01-preview`;
  return await asAdministrator(async (request) =>
    Named.parse((await request('GET', url)).body).value.map(({ name }) => name),
  );
}
