/**
 * API Server VNet Integration: `apiServerAccessProfile.enableVnetIntegration`. Pure.
 *
 * It cannot be turned off, and on a cluster that exists it takes effect with the next stop and start (AKS documents, "API Server VNet
 * Integration": "this operation is a one-way operation", "the cluster must be restarted").
 */
import { badRequest } from '../errors';
import { objectAt, type JsonObject } from '../json';

/** Whether the resource asks for it, wherever the API servers are now. */
export function asksForVnetIntegration(body: JsonObject | undefined): boolean {
  return accessProfile(body)['enableVnetIntegration'] === true;
}

/** What a PUT asks for, with what it leaves out kept. @throws AzureError 400 when it would turn the integration off */
export function withVnetIntegration(sent: JsonObject, before: JsonObject | undefined, clusterName: string): JsonObject {
  if (!asksForVnetIntegration(before)) return sent;
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
