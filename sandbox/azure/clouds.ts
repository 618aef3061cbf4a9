/** The host names that the sandbox answers for, in every Azure cloud that Keyturn supports. */

/** One Azure cloud, by the names that `az cloud list` uses. */
export interface AzureCloud {
  readonly name: 'AzureCloud' | 'AzureChinaCloud' | 'AzureUSGovernment';
  readonly armHost: string;
  /** Audiences that ARM takes in a token; each also with a trailing slash. */
  readonly armAudiences: readonly string[];
  readonly loginHost: string;
  /**
   * The host in the issuer of v2.0 tokens. In China it is another one than the host that one signs in at, and MSAL asks it for tokens
   * (`preferred_network` of its own table of clouds).
   */
  readonly issuerHost: string;
  /** Microsoft Graph; `https://` and this host is the audience of its tokens. */
  readonly graphHost: string;
  /** What follows `{vault}.` in a vault's host name. */
  readonly vaultSuffix: string;
  /** The audience of data-plane tokens, as the 401 challenge names it. */
  readonly vaultAudience: string;
  /** What follows `{location}.` in the host name of clusters' OIDC issuers. That of the public cloud is documented, the others follow its pattern. */
  readonly issuerSuffix: string;
  /** What follows `{account}.` in the host name of Blob Storage. */
  readonly blobSuffix: string;
}

/** Public, China and US Government. Source: azure-facts 5.1 and the clouds' own metadata endpoints. */
export const CLOUDS: readonly AzureCloud[] = [
  {
    name: 'AzureCloud',
    armHost: 'management.azure.com',
    armAudiences: ['https://management.azure.com', 'https://management.core.windows.net'],
    loginHost: 'login.microsoftonline.com',
    issuerHost: 'login.microsoftonline.com',
    graphHost: 'graph.microsoft.com',
    vaultSuffix: 'vault.azure.net',
    vaultAudience: 'https://vault.azure.net',
    issuerSuffix: 'oic.prod-aks.azure.com',
    blobSuffix: 'blob.core.windows.net',
  },
  {
    name: 'AzureChinaCloud',
    armHost: 'management.chinacloudapi.cn',
    armAudiences: ['https://management.chinacloudapi.cn', 'https://management.core.chinacloudapi.cn'],
    loginHost: 'login.chinacloudapi.cn',
    issuerHost: 'login.partner.microsoftonline.cn',
    graphHost: 'microsoftgraph.chinacloudapi.cn',
    vaultSuffix: 'vault.azure.cn',
    vaultAudience: 'https://vault.azure.cn',
    issuerSuffix: 'oic.prod-aks.azure.cn',
    blobSuffix: 'blob.core.chinacloudapi.cn',
  },
  {
    name: 'AzureUSGovernment',
    armHost: 'management.usgovcloudapi.net',
    armAudiences: ['https://management.usgovcloudapi.net', 'https://management.core.usgovcloudapi.net'],
    loginHost: 'login.microsoftonline.us',
    issuerHost: 'login.microsoftonline.us',
    graphHost: 'graph.microsoft.us',
    vaultSuffix: 'vault.usgovcloudapi.net',
    vaultAudience: 'https://vault.usgovcloudapi.net',
    issuerSuffix: 'oic.prod-aks.azure.us',
    blobSuffix: 'blob.core.usgovcloudapi.net',
  },
];

/** The audience of tokens for storage, in every cloud. */
export const STORAGE_AUDIENCE = 'https://storage.azure.com';

/** What a host name stands for. */
export type HostRole =
  | { readonly kind: 'arm'; readonly cloud: AzureCloud }
  | { readonly kind: 'login'; readonly cloud: AzureCloud }
  | { readonly kind: 'graph'; readonly cloud: AzureCloud }
  | { readonly kind: 'issuer'; readonly cloud: AzureCloud }
  | { readonly kind: 'vault'; readonly cloud: AzureCloud; readonly vaultName: string }
  | { readonly kind: 'blob'; readonly cloud: AzureCloud; readonly account: string };

/** The role of a host name (any case, no port), or undefined when it is none of Azure's. */
export function hostRole(host: string): HostRole | undefined {
  const name = host.toLowerCase();
  for (const cloud of CLOUDS) {
    if (name === cloud.armHost) return { kind: 'arm', cloud };
    if (name === cloud.loginHost || name === cloud.issuerHost) return { kind: 'login', cloud };
    if (name === cloud.graphHost) return { kind: 'graph', cloud };
    if (name.endsWith(`.${cloud.issuerSuffix}`)) return { kind: 'issuer', cloud };
    if (name.endsWith(`.${cloud.blobSuffix}`)) {
      const account = name.slice(0, -(cloud.blobSuffix.length + 1));
      if (/^[a-z0-9]{3,24}$/.test(account)) return { kind: 'blob', cloud, account };
    }
    if (name.endsWith(`.${cloud.vaultSuffix}`)) {
      const vaultName = name.slice(0, -(cloud.vaultSuffix.length + 1));
      if (/^[a-z0-9-]+$/.test(vaultName)) return { kind: 'vault', cloud, vaultName };
    }
  }
  return undefined;
}
