/** Who Keyturn is in Azure. */
import type { TokenCredential } from '@azure/core-auth';
import type { HttpClient } from '@azure/core-rest-pipeline';
import { DefaultAzureCredential } from '@azure/identity';
import type { Cloud } from '../domain/clouds';

/**
 * The credential that the standard `AZURE_*` environment describes: a client secret or certificate, workload identity, a
 * managed identity, or a developer's `az login`, in the order of `DefaultAzureCredential`.
 * Tokens are cached by the credential: make one for the whole process.
 */
export function createCredential(cloud: Cloud, httpClient: HttpClient): TokenCredential {
  return new DefaultAzureCredential({ authorityHost: cloud.authorityHost, httpClient });
}

/**
 * The token scope of ARM in a cloud. The management packages' own default is the public cloud's whatever the endpoint is
 * (azure-facts.md 5.1), so it is always given.
 */
export function armScope(cloud: Cloud): string {
  return `${cloud.resourceManager}/.default`;
}
