/** Vaults that pods are to read, as ARM shows them: what access policies give to an identity, beside what is the vault's. Reads only. */
import type { Vault } from '@azure/arm-keyvault';
import type { CsiFacts, WaysIn } from '../domain/csi/facts';
import type { CallOptions } from './call-options';
import { lookAt, networkOf, permissionModelOf, policiesOf } from './vaults';
import type { VaultManagement } from './vault-management';

/** What Keyturn asks of such vaults. Everything throws `ArmError` or `TokenError`. */
export interface ReadVaults {
  /** @param principalId object id of the identity whose access policies matter; undefined while it is not made */
  forReading(vaultId: string, principalId: string | undefined, options?: CallOptions): Promise<CsiFacts['vault']>;
}

/** Makes the client; sends nothing yet. */
export function createReadVaults(management: VaultManagement): ReadVaults {
  return {
    async forReading(vaultId, principalId, options = {}) {
      const found = await lookAt(management, vaultId, options);
      if (!('vault' in found)) return { known: false, why: found.why };
      const { vault } = found;
      const own = principalId === undefined ? [] : policiesOf(vault, principalId);
      const given = (of: 'secrets' | 'keys' | 'certificates'): string[] =>
        own.flatMap(({ permissions }) => (permissions[of] ?? []).map((word: string) => word.toLowerCase()));
      return {
        known: true,
        value: {
          vaultId,
          tenantId: vault.properties.tenantId,
          permissionModel: permissionModelOf(vault),
          openToAllNetworks: networkOf(vault) === 'open',
          ...waysInOf(vault),
          policy: { secrets: given('secrets'), keys: given('keys'), certificates: given('certificates') },
        },
      };
    },
  };
}

/** Without the subnets of private endpoints, which the endpoints themselves have. */
function waysInOf(vault: Vault): { readonly waysIn?: WaysIn } {
  const network = networkOf(vault);
  if (network === 'open') return {};
  const { publicNetworkAccess, networkAcls, privateEndpointConnections = [] } = vault.properties;
  const endpoints = privateEndpointConnections
    .map(({ id = '', privateEndpoint, privateLinkServiceConnectionState: state }) => ({
      endpointId: privateEndpoint?.id ?? id,
      status: state?.status ?? 'Unknown',
    }))
    .sort((one, other) => (one.endpointId < other.endpointId ? -1 : 1));
  return {
    waysIn: {
      publicAddress: publicNetworkAccess?.toLowerCase() === 'securedbyperimeter' ? 'perimeter' : network,
      addressRules: networkAcls?.ipRules?.length ?? 0,
      subnetRules: (networkAcls?.virtualNetworkRules ?? []).map((rule) => rule.id),
      endpoints,
    },
  };
}
