/** What must hold before pods are connected with a vault: nothing of others is overwritten. */
import { csiCloudName } from '../csi/cloud-name';
import {
  connectionNameFor,
  credentialName,
  isCredentialFor,
  isId,
  subjectOf,
  TOKEN_AUDIENCE,
  type ConnectParameters,
} from '../csi/parameters';
import { classDifferences, type ClassContent } from '../csi/secret-provider-class';
import type { CsiInside, SeenClass } from '../csi/facts';
import type { Fault } from '../errors';
import type { FactRule, PlanFacts, Rule } from '../kinds/kind';
import { listed } from '../listed';
import { mustParseVaultId, resourceName, sameText } from '../resource-ids';

/** The vault is seen: its tenant and permission model decide what is made. */
export const csiVaultRule: Rule<Pick<ConnectParameters, 'vaultId'>> = {
  codes: ['VaultNotFound'],
  check(_, { csi }, { vaultId }) {
    if (csi?.vault.known === true) return [];
    const why = csi?.vault.known === false ? csi.vault.why : `Keyturn did not see the vault ${resourceName(vaultId)}.`;
    return [{ code: 'VaultNotFound', pointer: '/parameters/vaultId', detail: `${why} Nothing was changed.` }];
  },
};

/** A managed identity gets tokens of its own tenant only, and a vault takes those of its own. */
export const csiTenantRule: Rule<Pick<ConnectParameters, 'vaultId'>> = {
  codes: ['VaultInOtherTenant'],
  check({ resourceId }, { csi }, { vaultId }) {
    if (csi?.vault.known !== true || csi.tenantId === undefined || sameText(csi.vault.value.tenantId, csi.tenantId))
      return [];
    const detail = `The vault ${resourceName(vaultId)} is in the tenant ${csi.vault.value.tenantId}, and the cluster ${resourceName(resourceId)} with its identities in ${csi.tenantId}. No managed identity can read a vault of another tenant. Nothing was changed. Name a vault of the tenant of the cluster.`;
    return [{ code: 'VaultInOtherTenant', pointer: '/parameters/vaultId', detail }];
  },
};

/** The identity that reads is seen, or is made. */
export const csiIdentityRule: Rule<unknown> = {
  codes: ['IdentityNotSeen'],
  check(_, { csi }) {
    const unseen = [
      ...(csi?.identity.state === 'unknown' ? [csi.identity.why] : []),
      ...(csi?.nodes?.known === false ? [csi.nodes.why] : []),
      ...(csi?.credentials?.known === false ? [csi.credentials.why] : []),
    ];
    return unseen.map((why) => ({
      code: 'IdentityNotSeen',
      pointer: '/parameters/identity',
      detail: `${why} Nothing was changed.`,
    }));
  },
};

/** An add-on that is on stays as it is. */
export const addOnRule: Rule<Pick<ConnectParameters, 'rotationPollInterval'>> = {
  codes: ['SecretsProviderDiffers'],
  check({ secretsProvider, resourceId }, _, { rotationPollInterval: wanted }) {
    if (secretsProvider?.enabled !== true || wanted === undefined || secretsProvider.pollInterval === wanted) return [];
    const { pollInterval } = secretsProvider;
    const detail = `The add-on azureKeyvaultSecretsProvider is on, ${pollInterval === null ? 'without rotation' : `with rotation every ${pollInterval}`}, and ${wanted} is asked for. All pods of the cluster share it, so Keyturn does not change it. Leave rotationPollInterval out; or change it for all: az aks addon update --addon azure-keyvault-secrets-provider --ids ${resourceId} --enable-secret-rotation --rotation-poll-interval ${wanted}.`;
    return [{ code: 'SecretsProviderDiffers', pointer: '/parameters/rotationPollInterval', detail }];
  },
};

/**
 * A federated credential of the name that does something else is not overwritten, and Azure takes no second one of an issuer and a subject.
 * Issuers are compared byte by byte, as Entra ID does.
 */
export const federatedCredentialRule: Rule<ConnectParameters> = {
  codes: ['FederatedCredentialDiffers'],
  check({ resourceId, issuerUrl }, { csi }, { namespace, serviceAccount, identity }) {
    if (serviceAccount === undefined || !isId(identity) || csi?.credentials?.known !== true) return [];
    const subject = subjectOf({ namespace, name: serviceAccount });
    const name = credentialName(resourceId, subject);
    const found = csi.credentials.value.filter(
      (one) => sameText(one.name, name) || (one.subject === subject && one.issuer === issuerUrl),
    );
    const differing = found.find((one) => !isCredentialFor(one, { subject, issuer: issuerUrl ?? one.issuer }));
    if (!differing) return [];
    const { issuer, audiences } = differing;
    const detail = `The identity ${resourceName(identity)} has a federated credential ${differing.name} for the issuer ${issuer}, the subject ${differing.subject} and the audience ${audiences.join(', ') || 'none'}; the cluster's issuer is ${issuerUrl ?? 'not known yet'}, the subject is ${subject}, and the audience is ${TOKEN_AUDIENCE}. A token matches byte by byte only. Keyturn overwrites none: delete it (az identity federated-credential delete --name ${differing.name} --ids ${identity}), if nothing else uses it, and ask again.`;
    return [{ code: 'FederatedCredentialDiffers', pointer: '/parameters/identity', detail }];
  },
};

/** A connection of the name that goes elsewhere is not overwritten, nor one to the vault that does not use the driver. */
export const serviceConnectionRule: Rule<ConnectParameters> = {
  codes: ['ServiceConnectionDiffers'],
  check(_, { csi }, { vaultId, connectionName }) {
    if (csi?.connections === undefined) return [];
    const pointer = '/parameters/connectionName';
    if (!csi.connections.known)
      return [{ code: 'ServiceConnectionDiffers', pointer, detail: `${csi.connections.why} Nothing was changed.` }];
    const name = connectionNameFor(vaultId, connectionName);
    const toVault = csi.connections.value.find(({ targetId }) => sameText(targetId, vaultId));
    if (toVault) {
      if (toVault.byCsiDriver) return [];
      const detail = `The cluster has a connection ${toVault.name} to the vault already, and it does not use the Secrets Store CSI driver. Azure makes one connection for a vault, and Keyturn overwrites none: delete it (az aks connection delete), if nothing uses it; or ask for another mode.`;
      return [{ code: 'ServiceConnectionDiffers', pointer: '/parameters/vaultId', detail }];
    }
    const found = csi.connections.value.find((one) => sameText(one.name, name));
    if (!found) return [];
    const detail = `The cluster has a connection ${found.name} already, to ${found.targetId}. Name another connectionName.`;
    return [{ code: 'ServiceConnectionDiffers', pointer, detail }];
  },
};

/** The driver is AKS's: one that Helm installed has the same CRDs and daemon sets. */
export const noOtherDriverRule: FactRule<unknown> = {
  codes: ['CsiDriverInstalledOtherwise'],
  check: (facts) => {
    const others = insideOf(facts).otherInstallations;
    if (others.length === 0) return [];
    const detail = `The cluster has a Secrets Store CSI driver that the add-on did not install: ${listed(others)}. Two of them fight over the same mounts. Remove it (helm uninstall), or go on using it without Keyturn. Its CRDs may stay.`;
    return [{ code: 'CsiDriverInstalledOtherwise', pointer: '/cluster', detail }];
  },
};

/** An add-on that is on has what Kubernetes needs to mount: AKS brings both, and somebody may have removed them. */
export const driverCompleteRule: FactRule<unknown> = {
  codes: ['SecretsProviderIncomplete'],
  check: (facts) => {
    const { missing = [] } = insideOf(facts);
    if (facts.cluster.secretsProvider?.enabled !== true || missing.length === 0) return [];
    const detail = `The add-on azureKeyvaultSecretsProvider is on, and a part of it is not in the cluster. ${missing.join(' ')} No pod can mount files of a vault without it. Nothing was changed. If the add-on was turned on just now, ask again in a minute; otherwise turn it off and on: az aks disable-addons, then az aks enable-addons, with --addons azure-keyvault-secrets-provider.`;
    return [{ code: 'SecretsProviderIncomplete', pointer: '/cluster', detail }];
  },
};

/** The namespace is there. */
export const namespaceRule: FactRule<Pick<ConnectParameters, 'namespace'>> = {
  codes: ['NamespaceNotFound'],
  check(facts) {
    if (insideOf(facts).namespaceFound) return [];
    const detail = `The cluster has no namespace ${facts.parameters.namespace}, or it is being deleted.`;
    return [{ code: 'NamespaceNotFound', pointer: '/parameters/namespace', detail }];
  },
};

/** A service account that names another identity is not overwritten. */
export const serviceAccountRule: FactRule<ConnectParameters> = {
  codes: ['ServiceAccountDiffers'],
  check(facts) {
    const { identity, vault } = facts.azure.csi ?? {};
    const found = insideOf(facts).serviceAccount;
    if (found?.clientId === undefined) return [];
    const pointer = '/parameters/serviceAccount';
    const tenantId = vault?.known === true ? vault.value.tenantId : undefined;
    if (identity?.state === 'exists' && sameText(found.clientId, identity.clientId)) {
      if (found.tenantId === undefined || tenantId === undefined || sameText(found.tenantId, tenantId)) return [];
      const detail = `The service account ${found.namespace}/${found.name} names the tenant ${found.tenantId} (azure.workload.identity/tenant-id), and ${tenantId} is wanted. Pods use it, so Keyturn does not change it. Name another serviceAccount.`;
      return [{ code: 'ServiceAccountDiffers', pointer, detail }];
    }
    const wanted =
      identity?.state === 'exists' ? (identity.clientId ?? 'unknown') : 'of an identity that is to be made';
    const detail = `The service account ${found.namespace}/${found.name} names the identity with the client id ${found.clientId} (azure.workload.identity/client-id), and ${wanted} is wanted. Pods use it, so Keyturn does not change it. Name another serviceAccount.`;
    return [{ code: 'ServiceAccountDiffers', pointer, detail }];
  },
};

/** A class that means something else is not overwritten. */
export const providerClassRule: FactRule<ConnectParameters> = {
  codes: ['SecretProviderClassDiffers'],
  check(facts): Fault[] {
    const { namespace, secretProviderClass: name } = facts.parameters;
    const found = classOf(insideOf(facts), namespace, name);
    if (!found) return [];
    const wanted = wantedClass(facts);
    // No class can name what is not there yet.
    const unmade = facts.azure.csi?.identity.state === 'to-be-made';
    const identity = unmade
      ? { ...wanted.identity, clientId: 'that of an identity that is to be made' }
      : wanted.identity;
    const differences = found.content ? classDifferences(found.content, { ...wanted, identity }) : found.problems;
    if (differences.length === 0) return [];
    const detail = `The SecretProviderClass ${namespace}/${name} is there, and not as it is wanted: ${differences.join(' ')} Keyturn overwrites none. Name another secretProviderClass, or change this one.`;
    return [{ code: 'SecretProviderClassDiffers', pointer: '/parameters/secretProviderClass', detail }];
  },
};

/** The class that a request asks for, as far as its identity is known. */
export function wantedClass({
  azure,
  parameters,
}: Pick<PlanFacts<ConnectParameters>, 'azure' | 'parameters'>): ClassContent {
  const { csi } = azure;
  if (csi?.vault.known !== true) throw new Error('A class was planned without its vault.');
  const { identity, cloud, vault } = csi;
  const clientId = identity.state === 'exists' ? identity.clientId : undefined;
  return {
    vaultName: mustParseVaultId(vault.value.vaultId).name,
    tenantId: vault.value.tenantId,
    cloudName: csiCloudName({ name: cloud }),
    identity:
      parameters.mode === 'workload-identity'
        ? { mode: 'workload-identity', clientId: clientId ?? '' }
        : { mode: 'managed-identity', ...(clientId === undefined ? {} : { clientId }) },
    objects: parameters.objects,
  };
}

/** @throws Error when a kind was planned without a look into the cluster */
export function insideOf({ csiInside }: Pick<PlanFacts<unknown>, 'csiInside'>): CsiInside {
  if (!csiInside) throw new Error('A connection was planned without a look into the cluster.');
  return csiInside;
}

/** The class of a name. */
export function classOf({ classes }: CsiInside, namespace: string, name: string): SeenClass | undefined {
  return classes.find((one) => one.namespace === namespace && one.name === name);
}
