/**
 * `oidcIssuerProfile` and `securityProfile.workloadIdentity` of a managed cluster. Pure.
 *
 * The issuer cannot be turned off, and a new cluster has one from Kubernetes 1.34 on (AKS documents, "Create an OpenID Connect provider
 * on AKS").
 */
import { minorNumber } from '../../cluster/kubernetes-minor';
import type { AzureCloud } from '../clouds';
import { badRequest, type AzureError } from '../errors';
import { objectAt, type JsonObject } from '../json';

const ON_BY_DEFAULT_SINCE_MINOR = 34;

/** What a PUT is looked at with. */
export interface IssuerContext {
  /** As ARM has it; undefined for a new cluster. */
  readonly before: JsonObject | undefined;
  /** What a new cluster is to run: `1.34`. */
  readonly kubernetesMinor: string;
  /** The URL that the cluster has, or will have when its issuer is turned on. */
  readonly url: string;
}

/** The URL of a cluster's issuer. Only AKS knows how a cluster gets its id; another cluster of the same name has another one. */
export function issuerUrl(cloud: AzureCloud, location: string, tenantId: string, id: string): string {
  return `https://${location.toLowerCase().replaceAll(' ', '')}.${cloud.issuerSuffix}/${tenantId}/${id}/`;
}

/** The URL that the resource shows; undefined while the issuer is off. */
export function issuerOf(body: JsonObject | undefined): string | undefined {
  const { enabled, issuerURL } = profileOf(body);
  return enabled === true && typeof issuerURL === 'string' ? issuerURL : undefined;
}

/** Whether the resource asks for the workload identity webhook. */
export function asksForWorkloadIdentity(body: JsonObject | undefined): boolean {
  return objectAt(body, 'properties', 'securityProfile', 'workloadIdentity')['enabled'] === true;
}

/**
 * What a PUT asks for, with what it leaves out kept; the URL is the service's own, whatever was sent.
 * @throws AzureError 400 when it would turn the issuer off, or workload identity on without one
 */
export function withOidcIssuer(sent: JsonObject, { before, kubernetesMinor, url }: IssuerContext): JsonObject {
  const properties = objectAt(sent, 'properties');
  const wasOn = profileOf(before)['enabled'] === true;
  const asked = profileOf(sent)['enabled'];
  if (wasOn && asked === false) throw refuse('BadRequest', 'OIDC issuer feature cannot be disabled.');
  const byDefault = before === undefined && minorNumber(kubernetesMinor) >= ON_BY_DEFAULT_SINCE_MINOR;
  const enabled = wasOn || asked === true || (typeof asked !== 'boolean' && byDefault);
  const known = asked !== undefined || profileOf(before)['enabled'] !== undefined || enabled;
  const withIssuer = {
    ...sent,
    properties: {
      ...properties,
      ...(known ? { oidcIssuerProfile: enabled ? { enabled, issuerURL: url } : { enabled } } : {}),
    },
  };
  const complete = withWorkloadIdentity(withIssuer, before);
  if (asksForWorkloadIdentity(complete) && !enabled) {
    throw refuse(
      'SandboxWorkloadIdentityNeedsIssuer',
      'Workload identity needs the OIDC issuer: set oidcIssuerProfile.enabled to true in the same request, or before it.',
    );
  }
  return complete;
}

/** A PUT that does not name workload identity keeps it. */
function withWorkloadIdentity(sent: JsonObject, before: JsonObject | undefined): JsonObject {
  const properties = objectAt(sent, 'properties');
  const security = objectAt(properties, 'securityProfile');
  const old = objectAt(before, 'properties', 'securityProfile')['workloadIdentity'];
  if (old === undefined || 'workloadIdentity' in security) return sent;
  return { ...sent, properties: { ...properties, securityProfile: { ...security, workloadIdentity: old } } };
}

function profileOf(body: JsonObject | undefined): JsonObject {
  return objectAt(body, 'properties', 'oidcIssuerProfile');
}

function refuse(code: string, message: string): AzureError {
  return badRequest(message, code, { shape: 'bare' });
}
