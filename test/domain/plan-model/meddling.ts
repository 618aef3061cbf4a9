/** What a person does with the commands of the documents, at any time: az keyvault, az role, az identity, az aks, kubectl. */
import fc from 'fast-check';
import type { Machine } from './machine';
import { objectOf } from './names';
import type { World } from './world';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Vaults and keys that are soft-deleted are purged after so long. */
const RETENTION_IN_DAYS = 90;
const SETTING_A_KEY_TAKES_IN_MS = 2 * 60_000;

/** Commands that name a key version, or a key object or a vault by one of its versions. */
const ON_KEYS = [
  'key set-attributes --enabled false',
  'key set-attributes --enabled true',
  'key set-attributes --expires past',
  'key set-attributes --expires soon',
  'key set-attributes --expires later',
  'key delete',
  'key recover',
  'key purge',
  'keyvault delete',
  'keyvault recover',
  'keyvault purge',
  'keyvault update --public-network-access Disabled',
  'keyvault update --public-network-access Enabled',
  'role assignment delete',
  'role assignment create',
  'aks update --key-id',
] as const;
const OTHERS = [
  'aks update',
  'aks update --disable',
  'aks update --new-key',
  'identity delete',
  'identity create',
  'kubectl replace secrets',
  'restart',
] as const;

/** One act. */
export type Act =
  | { readonly act: (typeof ON_KEYS)[number]; readonly key: number }
  | { readonly act: (typeof OTHERS)[number] }
  | { readonly act: 'kubectl create secret'; readonly secret: number }
  | { readonly act: 'wait'; readonly days: number };

/** Any act. */
export function acts(): fc.Arbitrary<Act> {
  return fc.oneof(
    { weight: 8, arbitrary: fc.record({ act: fc.constantFrom(...ON_KEYS), key: fc.nat(4) }) },
    { weight: 4, arbitrary: fc.record({ act: fc.constantFrom(...OTHERS) }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('kubectl create secret' as const), secret: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('wait' as const), days: fc.constantFrom(0, 1, 40, 100) }) },
  );
}

/** Does it, as far as Azure and the cluster take it. */
export function meddle(world: World, act: Act): void {
  const { machine } = world;
  const { azure, cluster } = machine;
  if ('key' in act) return meddleWithKey(world, act.act, keyNamed(machine, act.key));
  switch (act.act) {
    case 'aks update':
      return update(world, machine.reportedKeyId());
    case 'aks update --disable':
      return update(world, null);
    case 'aks update --new-key': {
      const like = keyNamed(machine, 0);
      const object = objectOf(like);
      if (azure.vault(like)?.state === 'live' && ['enabled', 'disabled'].includes(azure.stateOf(like) ?? ''))
        update(world, machine.newVersion(object));
      return;
    }
    case 'identity delete':
      return azure.deleteIdentity();
    case 'identity create':
      return void azure.makeIdentity();
    case 'kubectl replace secrets':
      if (!machine.writes || machine.unreadable().length > 0) return;
      for (const name of cluster.etcd.records.keys()) machine.write(name, machine.anyServer());
      return;
    case 'kubectl create secret':
      if (machine.writes) machine.write(`secret-${act.secret}`, machine.anyServer());
      return;
    case 'restart':
      return machine.restartServers();
    case 'wait':
      return wait(machine, act.days);
  }
}

/** In the slots first: most harm is done there. */
function keyNamed({ slots, azure }: Machine, number: number): string {
  const keys = [...new Set([slots.current, slots.previous, ...azure.keyIds])].filter((key) => key !== null);
  return keys[number % keys.length] ?? '';
}

function meddleWithKey(world: World, act: (typeof ON_KEYS)[number], key: string): void {
  const { machine } = world;
  const { azure } = machine;
  const vaultIsLive = azure.vault(key)?.state === 'live';
  const keyIsLive = vaultIsLive && ['enabled', 'disabled'].includes(azure.stateOf(key) ?? '');
  switch (act) {
    case 'key set-attributes --enabled false':
    case 'key set-attributes --enabled true':
      return keyIsLive ? azure.setEnabled(key, act.endsWith('true')) : undefined;
    case 'key set-attributes --expires past':
      return keyIsLive ? azure.setExpiry(key, machine.now - HOUR) : undefined;
    case 'key set-attributes --expires soon':
      return keyIsLive ? azure.setExpiry(key, machine.now + 12 * HOUR) : undefined;
    case 'key set-attributes --expires later':
      return keyIsLive ? azure.setExpiry(key, machine.now + 20 * DAY) : undefined;
    case 'key delete':
      return vaultIsLive ? azure.setObject(key, 'deleted') : undefined;
    case 'key recover':
      return vaultIsLive ? azure.setObject(key, 'live') : undefined;
    case 'key purge':
      return vaultIsLive ? azure.setObject(key, 'purged') : undefined;
    case 'keyvault delete':
      return azure.setVault(key, 'deleted');
    case 'keyvault recover':
      return azure.setVault(key, 'live');
    case 'keyvault purge':
      return azure.setVault(key, 'purged');
    case 'keyvault update --public-network-access Disabled':
      return void azure.setOpen(key, false);
    case 'keyvault update --public-network-access Enabled':
      return void azure.setOpen(key, true);
    case 'role assignment delete':
      return void azure.grant(key, azure.principal, false);
    case 'role assignment create':
      return void azure.grant(key, azure.principal);
    case 'aks update --key-id':
      return update(world, key);
  }
}

/** `az aks update`: AKS tries the key that it is given, and nothing else. */
export function update(world: World, keyId: string | null): void {
  const { machine } = world;
  const profile = keyId === null ? ({ mode: 'off' } as const) : machine.profileByHand(keyId);
  if (machine.azure.principal === undefined || !machine.accepts(profile)) return;
  // Nothing tells of it: see plan-properties.test.ts.
  if (machine.oneProviderName && (world.isSwitching || world.isProving(keyId))) return;
  machine.set(profile, 'others');
  machine.now += SETTING_A_KEY_TAKES_IN_MS;
  if (machine.showsNoKeys) machine.switchAll();
  world.othersSet(keyId);
}

function wait(machine: Machine, days: number): void {
  machine.pass(days * DAY);
  if (days < RETENTION_IN_DAYS) return;
  const { azure } = machine;
  for (const key of azure.keyIds) {
    azure.setObject(key, 'purged');
    azure.setVault(key, 'purged');
  }
}
