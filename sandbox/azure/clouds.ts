/** The host names that the sandbox answers for, in every Azure cloud that Keyturn supports. */

/** One Azure cloud, by the names that `az cloud list` uses. */
export interface AzureCloud {
  readonly name: 'AzureCloud' | 'AzureChinaCloud' | 'AzureUSGovernment';
  readonly armHost: string;
  /** Audiences that ARM takes in a token; each also with a trailing slash. */
  readonly armAudiences: readonly string[];
  readonly loginHost: string;
  /** Microsoft Graph; `https://` and this host is the audience of its tokens. */
  readonly graphHost: string;
  /** What follows `{vault}.` in a vault's host name. */
  readonly vaultSuffix: string;
  /** The audience of data-plane tokens, as the 401 challenge names it. */
  readonly vaultAudience: string;
}

/** Public, China and US Government. Source: azure-facts 5.1 and the clouds' own metadata endpoints. */
export const CLOUDS: readonly AzureCloud[] = [
  {
    name: 'AzureCloud',
    armHost: 'management.azure.com',
    armAudiences: ['https://management.azure.com', 'https://management.core.windows.net'],
    loginHost: 'login.microsoftonline.com',
    graphHost: 'graph.microsoft.com',
    vaultSuffix: 'vault.azure.net',
    vaultAudience: 'https://vault.azure.net',
  },
  {
    name: 'AzureChinaCloud',
    armHost: 'management.chinacloudapi.cn',
    armAudiences: ['https://management.chinacloudapi.cn', 'https://management.core.chinacloudapi.cn'],
    loginHost: 'login.chinacloudapi.cn',
    graphHost: 'microsoftgraph.chinacloudapi.cn',
    vaultSuffix: 'vault.azure.cn',
    vaultAudience: 'https://vault.azure.cn',
  },
  {
    name: 'AzureUSGovernment',
    armHost: 'management.usgovcloudapi.net',
    armAudiences: ['https://management.usgovcloudapi.net', 'https://management.core.usgovcloudapi.net'],
    loginHost: 'login.microsoftonline.us',
    graphHost: 'graph.microsoft.us',
    vaultSuffix: 'vault.usgovcloudapi.net',
    vaultAudience: 'https://vault.usgovcloudapi.net',
  },
];

/** What a host name stands for. */
export type HostRole =
  | { readonly kind: 'arm'; readonly cloud: AzureCloud }
  | { readonly kind: 'login'; readonly cloud: AzureCloud }
  | { readonly kind: 'graph'; readonly cloud: AzureCloud }
  | { readonly kind: 'vault'; readonly cloud: AzureCloud; readonly vaultName: string };

/** The role of a host name (any case, no port), or undefined when it is none of Azure's. */
export function hostRole(host: string): HostRole | undefined {
  const name = host.toLowerCase();
  for (const cloud of CLOUDS) {
    if (name === cloud.armHost) return { kind: 'arm', cloud };
    if (name === cloud.loginHost) return { kind: 'login', cloud };
    if (name === cloud.graphHost) return { kind: 'graph', cloud };
    if (name.endsWith(`.${cloud.vaultSuffix}`)) {
      const vaultName = name.slice(0, -(cloud.vaultSuffix.length + 1));
      if (/^[a-z0-9-]+$/.test(vaultName)) return { kind: 'vault', cloud, vaultName };
    }
  }
  return undefined;
}
