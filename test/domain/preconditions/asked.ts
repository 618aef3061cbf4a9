/** A request of a kind with the facts that it is planned from: good ones, which the rows of the tables change. */
import { KINDS } from '../../../domain/kinds';
import type { Census } from '../../../domain/census';
import type { IdentityAccess, ObservedVault } from '../../../domain/identity-access';
import type { Ledger } from '../../../domain/ledger';
import type { AzureObservation, ObservedCluster, ObservedKey } from '../../../domain/observed';
import { plan } from '../../../domain/planner';
import type { PlanResult } from '../../../domain/plan/plan';
import { OperationRequest } from '../../../domain/request';
import {
  azureFor,
  CLUSTER,
  clusterToMake,
  goodKey,
  insideFor,
  KEY_1,
  KEY_2,
  ledgerFor,
  requestOf,
  VAULT_CONTRIBUTOR,
  VAULT_ID,
} from '../fixtures';

/** Why the kinds that connect pods with vaults are guarded by no precondition of keys and KMS. */
export const NO_KMS: Readonly<Record<string, string>> = {
  'connect-csi': 'It has nothing to do with KMS.',
  'disconnect-csi': 'It has nothing to do with KMS.',
};

/** Every kind. */
export const NAMES: readonly string[] = KINDS.map(({ name }) => name);

/** What is asked for, and what is observed. */
export interface Asked {
  readonly kind: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly azure: AzureObservation;
  readonly ledger: Ledger | null;
  readonly census?: Census;
}

/** One precondition: which kinds it guards, and how facts violate it. */
export interface Precondition {
  readonly what: string;
  /** The code of the refusal: of every kind that is guarded, or of each. */
  readonly code: string | Readonly<Record<string, string>>;
  /** Kinds that it does not guard, each with the reason. All others are guarded. */
  readonly exempt: Readonly<Record<string, string>>;
  /** What of a good request comes near it and does not violate it; the good request itself when absent. */
  readonly kept?: (good: Asked) => Asked;
  /** The same with the violation; undefined where a request of the kind cannot have it. */
  readonly violated: (good: Asked) => Asked | undefined;
}

/** A good request of a kind. */
export function good(kind: string, { proven = true }: { readonly proven?: boolean } = {}): Asked {
  return {
    kind,
    parameters: requestOf(kind).parameters,
    // An hour after the last switch: KMS v1 does not show which key API servers write with.
    azure: { ...azureFor(kind), ...(proven ? {} : { at: '2026-11-22T14:00:00.000Z' }) },
    ledger: kind === 'create-cluster' ? null : ledgerFor(kind, { proven }),
  };
}

/** Plans it; a request that the schema refuses has the code of the refusal. */
export function answerTo({ kind, parameters, azure, ledger, census }: Asked): PlanResult {
  const parsed = OperationRequest.safeParse({ kind, cluster: CLUSTER, change: { number: 'CHG1' }, parameters });
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => ({
      code: issue.code === 'custom' ? String(issue.params?.['code']) : 'InvalidRequest',
      detail: issue.message,
    }));
    return { plan: null, faults: faults as PlanResult['faults'] };
  }
  const facts = { azure, ledger, csiInside: insideFor(kind), ...(census === undefined ? {} : { census }) };
  return plan(parsed.data, facts, { approvalsRequired: 1 });
}

/** Every code of its refusal; none when there is a plan. */
export function codesOf(asked: Asked): string[] {
  return [...new Set(answerTo(asked).faults.map(({ code }): string => code))];
}

/** With another cluster; undefined for a kind that makes its cluster. */
export function withCluster(asked: Asked, change: Partial<ObservedCluster>): Asked | undefined {
  const { cluster } = asked.azure;
  if (!cluster.found) return undefined;
  return {
    ...asked,
    azure: { ...asked.azure, cluster: { found: true, cluster: { ...cluster.cluster, ...change } } },
  };
}

/** With other facts of Azure. */
export function withAzure(asked: Asked, change: Partial<AzureObservation>): Asked {
  return { ...asked, azure: { ...asked.azure, ...change } };
}

/** With other parameters. */
export function asking(asked: Asked, change: Readonly<Record<string, unknown>>): Asked {
  return { ...asked, parameters: { ...asked.parameters, ...change } };
}

/** Whether requests of the kind may have a member. */
export function takes(kind: string, member: string): boolean {
  const schema = KINDS.find(({ name }) => name === kind)?.parameters;
  const values: Readonly<Record<string, unknown>> = { keyId: KEY_2, nextKeyId: KEY_2, vaultAccess: 'Private' };
  const issues = schema?.safeParse({ [member]: values[member] ?? '2027-12-01T00:00:00.000Z' }).error?.issues ?? [];
  return !issues.some(({ code }) => code === 'unrecognized_keys');
}

/** With a key that is named; undefined where requests of the kind name none. */
export function namingKey(asked: Asked, change: Partial<ObservedKey>, keyId?: string): Asked | undefined {
  if (!takes(asked.kind, 'keyId')) return undefined;
  const { keyId: good = KEY_2 } = asked.parameters;
  if (typeof good !== 'string') throw new Error('A key is named by a text.');
  const named = keyId ?? good;
  const requestedKey = { found: true as const, key: goodKey(named, change) };
  return withAzure(asking(asked, { keyId: named }), { requestedKey });
}

/** With another current key; undefined where KMS is off. */
export function withCurrentKey(asked: Asked, change: Partial<ObservedKey>): Asked | undefined {
  const { currentKey } = asked.azure;
  if (currentKey === undefined) return undefined;
  return withAzure(asked, { currentKey: { found: true, key: goodKey(KEY_1, change) } });
}

/** With another vault, or other rights on it; undefined where a kind looks at neither. */
export function withAccess(
  asked: Asked,
  change: { readonly vault?: Partial<ObservedVault> } & Pick<IdentityAccess, 'roles'>,
): Asked | undefined {
  const { identityAccess: before, clusterToMake: making } = asked.azure;
  if (making?.vault?.known === true) {
    const made = clusterToMake({ vault: { ...making.vault.value, ...change.vault } });
    return withAzure(asked, { clusterToMake: { ...making, vault: made.vault } });
  }
  if (before?.vault.known !== true) return undefined;
  const after: IdentityAccess = {
    ...before,
    vault: { known: true, value: { ...before.vault.value, ...change.vault } },
    ...(change.roles === undefined ? {} : { roles: change.roles }),
  };
  return withAzure(asked, { identityAccess: after });
}

/** With a vault that Keyturn does not see. */
export function withUnseenVault(asked: Asked): Asked | undefined {
  const vault = { known: false as const, why: 'Keyturn sees no such vault.' };
  const { identityAccess: before, clusterToMake: making } = asked.azure;
  if (making) return withAzure(asked, { clusterToMake: { ...making, vault } });
  return before ? withAzure(asked, { identityAccess: { ...before, vault } }) : undefined;
}

const subnet = (name: string): string =>
  `/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/net/subnets/${name}`;

/** The same with private access to the vault, and all that this needs; kinds that neither ask for it nor keep it stay as they are. */
export function privately(asked: Asked): Asked {
  if (asked.kind === 'create-cluster') {
    return asking(asked, { vaultAccess: 'Private', apiServerSubnetId: subnet('api'), nodeSubnetId: subnet('nodes') });
  }
  const rights = { roles: { known: true as const, value: [VAULT_CONTRIBUTOR] } };
  const integrated = withCluster(asked, { vnetIntegration: true }) ?? asked;
  const allowed = withAccess(integrated, rights) ?? integrated;
  if (takes(asked.kind, 'vaultAccess')) return asking(allowed, { vaultAccess: 'Private' });
  if (asked.azure.currentKey === undefined && asked.kind !== 'recover-key') return asked;
  const kms = { enabled: true, keyId: KEY_1, networkAccess: 'Private', vaultId: VAULT_ID };
  return withCluster(allowed, { kms }) ?? allowed;
}
