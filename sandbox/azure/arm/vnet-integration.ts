/**
 * API Server VNet Integration: `apiServerAccessProfile.enableVnetIntegration`. Pure.
 *
 * On a cluster that exists it is turned on with a subnet for the API servers (REST API reference, `apiServerAccessProfile.subnetId`).
 * It cannot be turned off, and on a cluster that exists it takes effect with the next stop and start (AKS documents, "API Server VNet
 * Integration": "this operation is a one-way operation", "the cluster must be restarted").
 */
import { badRequest } from '../errors';
import { objectAt, type JsonObject } from '../json';

/** Whether the resource asks for it, wherever the API servers are now. */
export function asksForVnetIntegration(body: JsonObject | undefined): boolean {
  return accessProfile(body)['enableVnetIntegration'] === true;
}

/** What a PUT asks for, with what it leaves out kept. @throws AzureError 400 when it would turn the integration off, or on without a subnet */
export function withVnetIntegration(sent: JsonObject, before: JsonObject | undefined, clusterName: string): JsonObject {
  const isOn = asksForVnetIntegration(before);
  const hasSubnet = typeof accessProfile(sent)['subnetId'] === 'string';
  if (before !== undefined && !isOn && asksForVnetIntegration(sent) && !hasSubnet) {
    throw badRequest(
      `Turning API Server VNet Integration on for the managed cluster ${clusterName} needs apiServerAccessProfile.subnetId.`,
      'SandboxApiServerSubnetMissing',
      { shape: 'bare' },
    );
  }
  if (!isOn) return sent;
  const profile = accessProfile(sent);
  if (profile['enableVnetIntegration'] === false) {
    throw badRequest(
      `API Server VNet Integration is on for the managed cluster ${clusterName} and cannot be turned off.`,
      'SandboxVnetIntegrationIsOneWay',
      { shape: 'bare' },
    );
  }
  const properties = objectAt(sent, 'properties');
  const kept = { ...accessProfile(before), ...profile, enableVnetIntegration: true };
  return { ...sent, properties: { ...properties, apiServerAccessProfile: kept } };
}

function accessProfile(body: JsonObject | undefined): JsonObject {
  return objectAt(body, 'properties', 'apiServerAccessProfile');
}
