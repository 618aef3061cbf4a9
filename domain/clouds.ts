/** The Azure clouds: their endpoints, as data. Source: research note azure-facts.md 5.1. */

/** One Azure cloud. */
export interface Cloud {
  readonly name: 'AzureCloud' | 'AzureChinaCloud' | 'AzureUSGovernment';
  /** ARM endpoint; its token scope is this plus `/.default`. */
  readonly resourceManager: string;
  readonly authorityHost: string;
  /** What follows the vault's name in its host name, without a leading dot. */
  readonly vaultSuffix: string;
  /** What follows `{account}.blob.` in the host name of a storage account. */
  readonly storageSuffix: string;
}

/** Every cloud that Keyturn knows; names as `az cloud list` prints them. */
export const CLOUDS: readonly Cloud[] = [
  {
    name: 'AzureCloud',
    resourceManager: 'https://management.azure.com',
    authorityHost: 'https://login.microsoftonline.com',
    vaultSuffix: 'vault.azure.net',
    storageSuffix: 'core.windows.net',
  },
  {
    name: 'AzureChinaCloud',
    resourceManager: 'https://management.chinacloudapi.cn',
    authorityHost: 'https://login.chinacloudapi.cn',
    vaultSuffix: 'vault.azure.cn',
    storageSuffix: 'core.chinacloudapi.cn',
  },
  {
    name: 'AzureUSGovernment',
    resourceManager: 'https://management.usgovcloudapi.net',
    authorityHost: 'https://login.microsoftonline.us',
    vaultSuffix: 'vault.usgovcloudapi.net',
    storageSuffix: 'core.usgovcloudapi.net',
  },
];
