/** The names of clouds in the words of the Azure provider. */
import type { Cloud } from '../clouds';

const CLOUD_NAMES: Readonly<Record<Cloud['name'], string>> = {
  AzureCloud: 'AzurePublicCloud',
  AzureChinaCloud: 'AzureChinaCloud',
  AzureUSGovernment: 'AzureUSGovernmentCloud',
};

/** The name of a cloud in the provider's words, which are those of go-autorest, and not those of az. */
export function csiCloudName({ name }: Pick<Cloud, 'name'>): string {
  return CLOUD_NAMES[name];
}
