/**
 * Who needs a key version: what Keyturn can see of that in every subscription that it can read, before the key is retired (K1).
 *
 * Azure reports the current key of a cluster only. What a cluster's second slot holds, and what its Secrets may still be stored
 * under, is in its ledger.
 */
import { z } from 'zod';
import { mustParseKeyId, parseKeyId, resourceName, sameKeyId, shortKeyId } from './resource-ids';
import type { Fault } from './errors';
import { Warning } from './plan/plan';
import { listed } from './listed';

/** What was found. */
export const KeyUsers = z.object({
  keyId: z.string(),
  /** Clusters that need it, by ARM resource id. `current`: Azure reports it as the key; `ledger`: the ledger in the cluster needs it. */
  users: z.array(z.object({ cluster: z.string(), by: z.enum(['current', 'ledger']) })),
  /** Clusters that were looked at. */
  clusters: z.int(),
  /** Clusters whose ledger could not be read. */
  unread: z.array(z.string()),
  /** Subscriptions whose clusters Keyturn may not list. */
  refusedSubscriptions: z.array(z.string()),
});
/** What was found. */
export type KeyUsers = z.infer<typeof KeyUsers>;

/** What was found, and what an owner of the key must still look at, for people. */
export const KeyUsersReport = KeyUsers.extend({
  warnings: z.array(Warning).meta({ description: 'What Keyturn could not see.' }),
}).meta({ id: 'KeyUsers', description: 'Who needs a key version, as far as Keyturn can see.' });
/** What was found, and what an owner of the key must still look at. */
export type KeyUsersReport = z.infer<typeof KeyUsersReport>;

/** What one cluster needs. */
export interface ClusterKeys {
  readonly cluster: string;
  /** The key that Azure reports. */
  readonly current?: string;
  /** Whether it reaches the vault of that key over a private endpoint. */
  readonly privately?: boolean;
  /** Keys that its ledger needs; null when the ledger could not be read. */
  readonly ledger: readonly string[] | null;
}

/** What all clusters need that Keyturn can see. */
export interface KeyUsage {
  readonly clusters: readonly ClusterKeys[];
  readonly refusedSubscriptions: readonly string[];
}

/** The users of one key version. */
export function usersOf({ clusters, refusedSubscriptions }: KeyUsage, keyId: string): KeyUsers {
  const users = clusters.flatMap(({ cluster, current, ledger }): KeyUsers['users'] => {
    if (current !== undefined && sameKeyId(current, keyId)) return [{ cluster, by: 'current' }];
    return needsKey(ledger ?? [], keyId) ? [{ cluster, by: 'ledger' }] : [];
  });
  return {
    keyId,
    users,
    clusters: clusters.length,
    unread: clusters
      .filter(({ ledger }) => ledger === null)
      .map(({ cluster }) => cluster)
      .sort(),
    refusedSubscriptions: [...refusedSubscriptions].sort(),
  };
}

/** What a caller may see of it: clusters that are not theirs have no names. */
export function shownUsers(users: KeyUsers, maySee: (cluster: string) => boolean): KeyUsers {
  return {
    ...users,
    users: users.users.filter(({ cluster }) => maySee(cluster)),
    unread: users.unread.filter((cluster) => maySee(cluster)),
  };
}

/** That clusters without names need the key, or could not be read: nobody must take a shortened list for the whole. */
export function hiddenUserWarnings(all: KeyUsers, shown: KeyUsers): Warning[] {
  if (all.users.length > shown.users.length)
    return [{ code: 'UsersNotShown', detail: 'Clusters that you may not see need this key. Do not retire it.' }];
  if (all.unread.length > shown.unread.length)
    return [
      { code: 'UsersNotShown', detail: 'Clusters that you may not see could not be read; they may need this key.' },
    ];
  return [];
}

/** Clusters that need the public address of a vault. */
export const VaultUsers = z.object({
  /** `https://kv1.vault.azure.net` */
  vaultUrl: z.string(),
  clusters: z.array(z.string()),
  /** What could not be read: clusters, subscriptions. */
  unread: z.array(z.string()),
  refusedSubscriptions: z.array(z.string()),
});
/** Clusters that need the public address of a vault. */
export type VaultUsers = z.infer<typeof VaultUsers>;

/** Who needs the public address of a vault. @param except the cluster that the operation is for */
export function usersOfVault({ clusters, refusedSubscriptions }: KeyUsage, keyId: string, except: string): VaultUsers {
  const vault = mustParseKeyId(keyId).vaultUrl;
  const isThere = (key: string | undefined): boolean => key !== undefined && vaultUrlOf(key) === vault.toLowerCase();
  const others = clusters.filter(({ cluster }) => cluster.toLowerCase() !== except.toLowerCase());
  const needs = ({ current, ledger, privately }: ClusterKeys): boolean => {
    // Behind a private endpoint to the vault every key of it is reached that way.
    if (privately === true && isThere(current)) return false;
    return isThere(current) || (ledger ?? []).some(isThere);
  };
  return {
    vaultUrl: vault,
    clusters: others.filter(needs).map(({ cluster }) => cluster),
    unread: others.filter(({ ledger }) => ledger === null).map(({ cluster }) => cluster),
    refusedSubscriptions: [...refusedSubscriptions].sort(),
  };
}

function vaultUrlOf(keyId: string): string | undefined {
  const parsed = parseKeyId(keyId);
  return 'fault' in parsed ? undefined : parsed.vaultUrl.toLowerCase();
}

/** Why a key may not be retired. @param except the cluster that the operation is for: the plan itself moves it away from the key */
export function keyUserFaults({ keyId, users }: KeyUsers, except?: string): Fault[] {
  const others = users.filter(({ cluster }) => cluster.toLowerCase() !== except?.toLowerCase());
  if (others.length === 0) return [];
  const names = listed(
    others.map(({ cluster, by }) => `${resourceName(cluster)} (${by === 'current' ? 'its KMS key' : 'by its ledger'})`),
  );
  return [
    {
      code: 'KeyInUse',
      pointer: '/parameters',
      detail: `${shortKeyId(keyId)} is needed by ${names}. Without it these clusters lose Secrets. Rotate their keys first, twice, then ask again.`,
    },
  ];
}

/** What Keyturn could not see. */
export function keyUserWarnings({ keyId, unread, refusedSubscriptions, clusters }: KeyUsers): Warning[] {
  const warnings: Warning[] = [
    {
      code: 'OtherUsersOfTheKey',
      detail: `Keyturn looked at AKS clusters only. Programs, disks, storage accounts and databases may use ${shortKeyId(keyId)}, and so may backups of etcd. Ask the owners of the vault before you approve.`,
    },
  ];
  const unseen = [
    ...(unread.length > 0 ? [`the ledgers of ${namesOf(unread)}`] : []),
    ...(refusedSubscriptions.length > 0 ? [`the clusters of the subscriptions ${listed(refusedSubscriptions)}`] : []),
  ];
  if (unseen.length > 0) {
    warnings.push({
      code: 'KeyUsersUnseen',
      detail: `Keyturn could not read ${unseen.join(', nor ')}: what they need is not known. Look there yourself before you approve.`,
      // Which clusters answer changes from minute to minute.
      volatile: true,
    });
  }
  // How many were looked at changes from day to day.
  warnings.push({ code: 'KeyUsersLookedAt', detail: `Keyturn looked at ${clusters} cluster(s).`, volatile: true });
  return warnings;
}

/** Whether the key is among some. */
export function needsKey(needed: readonly string[], keyId: string): boolean {
  return needed.some((one) => sameKeyId(one, keyId));
}

/** The names of clusters, as many as a sentence has room for. */
export function namesOf(clusters: readonly string[]): string {
  return listed(clusters.map(resourceName));
}
