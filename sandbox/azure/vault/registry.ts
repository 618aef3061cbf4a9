/**
 * The vaults: ARM's record of each, and the keys, secrets and certificates inside.
 *
 * Needs: nothing.
 * Does: keeps vaults by name and cloud, live and soft-deleted.
 * Never does: decide who may do what (access.ts), or what a PUT may change (arm/vaults.ts).
 */
import { z } from 'zod';
import type { AzureCloud } from '../clouds';
import type { CertificateBook } from './certificate-book';
import type { KeyRing } from './key-ring';
import type { SecretBook } from './secret-book';

const accessPolicySchema = z.looseObject({
  tenantId: z.string().optional(),
  objectId: z.string(),
  permissions: z.looseObject({
    keys: z.array(z.string()).nullish(),
    secrets: z.array(z.string()).nullish(),
    certificates: z.array(z.string()).nullish(),
  }),
});

const networkAclsSchema = z.looseObject({
  bypass: z.string().default('AzureServices'),
  defaultAction: z.enum(['Allow', 'Deny']).default('Allow'),
  ipRules: z.array(z.looseObject({ value: z.string() })).default([]),
  virtualNetworkRules: z.array(z.looseObject({ id: z.string() })).default([]),
});

/** `properties` of a vault, as the sandbox reads them; unknown properties stay as they were sent. */
export const vaultPropertiesSchema = z.looseObject({
  tenantId: z.string(),
  sku: z.looseObject({ family: z.string(), name: z.enum(['standard', 'premium']) }),
  accessPolicies: z.array(accessPolicySchema).default([]),
  enableRbacAuthorization: z.boolean().optional(),
  enableSoftDelete: z.boolean().default(true),
  softDeleteRetentionInDays: z.int().min(7).max(90).default(90),
  enablePurgeProtection: z.boolean().nullish(),
  publicNetworkAccess: z.enum(['Enabled', 'Disabled']).default('Enabled'),
  networkAcls: networkAclsSchema.optional(),
});

/** `properties` of a vault with the defaults filled in. */
export type VaultProperties = z.infer<typeof vaultPropertiesSchema>;

/** A vault. The ARM part is replaced whole by a PUT; what is inside stays. */
export interface Vault {
  readonly name: string;
  readonly cloud: AzureCloud;
  readonly resourceGroup: string;
  /** ARM id, in the case that it was created with. */
  readonly id: string;
  location: string;
  tags: Record<string, unknown>;
  properties: VaultProperties;
  readonly keys: KeyRing;
  readonly secrets: SecretBook;
  readonly certificates: CertificateBook;
  /** When it was soft-deleted; undefined while it lives. */
  deletedAt?: Date;
}

/** The host name of a vault's data plane: `kv.vault.azure.net`. */
export function vaultHost(vault: Pick<Vault, 'name' | 'cloud'>): string {
  return `${vault.name.toLowerCase()}.${vault.cloud.vaultSuffix}`;
}

/** Every vault of the sandbox. */
export class VaultRegistry {
  readonly #vaults = new Map<string, Vault>();

  /** A vault that lives, by data-plane host name. */
  findByHost(host: string): Vault | undefined {
    const vault = this.#vaults.get(host.toLowerCase());
    return vault?.deletedAt === undefined ? vault : undefined;
  }

  /** A vault by name in one cloud, soft-deleted ones included. */
  findByName(name: string, cloud: AzureCloud): Vault | undefined {
    return this.#vaults.get(vaultHost({ name, cloud }));
  }

  /** Every vault, soft-deleted ones included. */
  all(): readonly Vault[] {
    return [...this.#vaults.values()];
  }

  add(vault: Vault): void {
    this.#vaults.set(vaultHost(vault), vault);
  }

  /** Forgets a vault and its content for good. */
  purge(vault: Vault): void {
    this.#vaults.delete(vaultHost(vault));
  }
}
