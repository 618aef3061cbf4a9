/** Stories: how it begins, and what happens in between. */
import fc from 'fast-check';
import { currentGeneration, type Ledger } from '../../../domain/ledger';
import type { Behaviour } from './behaviour';
import { SETTING_A_KEY_TAKES_IN_MS, type Beginning, type Webhook } from './machine';
import type { Ask } from './requests';
import type { Breach } from './judge';
import { World } from './world';

/** What happens next. */
export type Event =
  | { readonly type: 'go'; readonly times: number; readonly ask: Ask }
  | { readonly type: 'crash' | 'fail' | 'cancel' | 'lose-lock' | 'switch-all' | 'backup' | 'restore' }
  /** Another cluster takes a key; somebody enables one again. */
  | { readonly type: 'other-takes' | 'enable'; readonly key: number }
  | { readonly type: 'other-operation'; readonly ask: Ask; readonly times: number }
  /** A person sets a key with `az aks update`: a new one (0), none, the one before, or any. */
  | { readonly type: 'set'; readonly key: number | 'off' | 'back' }
  | { readonly type: 'write' | 'delete' | 'refuse'; readonly secret: number; readonly server: number }
  | { readonly type: 'rewrite-all' }
  | { readonly type: 'webhook'; readonly webhook: Webhook }
  | { readonly type: 'switch' | 'restart'; readonly server: number }
  | { readonly type: 'ledger'; readonly edit: 'delete' | 'restore' | 'forge'; readonly which: number }
  | { readonly type: 'time'; readonly minutes: number };

/** A story. */
export interface Story {
  readonly beginning: Beginning;
  readonly accepts: boolean;
  /** Others may bring back a key while an operation proves it, also where all keys have one provider name. */
  readonly othersBringBack?: boolean;
  readonly events: readonly Event[];
}

const asks = (): fc.Arbitrary<Ask> =>
  fc.record({
    what: fc.constantFrom<Ask['what'][]>(
      'change',
      'change',
      'disable',
      'rewrite',
      'replace',
      'replace',
      'retire',
      'move',
      'access',
      'upgrade',
    ),
    key: fc.nat(4),
  });

const few = fc.nat(3);

/** How a story begins. */
export function beginnings(): fc.Arbitrary<Beginning> {
  return fc.record({
    scheme: fc.constantFrom('kms-v2', 'kms-v2', 'kms-v1-named', 'kms-v1-shared'),
    metrics: fc.boolean(),
    kmsOn: fc.boolean(),
    servers: fc.integer({ min: 1, max: 2 }),
    secrets: fc.array(fc.boolean(), { maxLength: 3 }),
    chance: fc.nat(1_000_000),
  });
}

/** KMS v2 is on, and API servers show in their metrics which key they write with. */
function withKeysInMetrics(): fc.Arbitrary<Beginning> {
  return beginnings().map((beginning) => ({ ...beginning, scheme: 'kms-v2', metrics: true, kmsOn: true }));
}

function events(): fc.Arbitrary<Event> {
  const constant = <T extends Event['type']>(...types: T[]): fc.Arbitrary<{ type: T }> =>
    fc.record({ type: fc.constantFrom(...types) });
  const times = fc.integer({ min: 1, max: 12 });
  const arbitraries: [number, fc.Arbitrary<Event>][] = [
    [16, fc.record({ type: fc.constant('go' as const), times, ask: asks() })],
    [1, constant('crash', 'fail', 'lose-lock')],
    [1, constant('cancel', 'backup', 'restore')],
    [1, fc.record({ type: fc.constantFrom('other-takes' as const, 'enable' as const), key: fc.nat(5) })],
    [5, constant('switch-all')],
    [1, fc.record({ type: fc.constant('other-operation' as const), ask: asks(), times })],
    [
      2,
      fc.record({
        type: fc.constant('set' as const),
        key: fc.constantFrom<(number | 'off' | 'back')[]>(0, 1, 2, 3, 'off', 'back', 'back'),
      }),
    ],
    [2, fc.record({ type: fc.constant('write' as const), secret: few, server: few })],
    [1, fc.record({ type: fc.constantFrom('delete' as const, 'refuse' as const), secret: few, server: few })],
    [1, constant('rewrite-all')],
    [
      1,
      fc.record({
        type: fc.constant('webhook' as const),
        webhook: fc.constantFrom<Webhook[]>('none', 'none', 'once', 'always'),
      }),
    ],
    [2, fc.record({ type: fc.constantFrom('switch' as const, 'switch' as const, 'restart' as const), server: few })],
    [
      1,
      fc.record({
        type: fc.constant('ledger' as const),
        edit: fc.constantFrom('delete' as const, 'restore' as const, 'forge' as const),
        which: fc.nat(9),
      }),
    ],
    [1, fc.record({ type: fc.constant('time' as const), minutes: fc.constantFrom(1, 20, 70) })],
  ];
  return fc.oneof(...arbitraries.map(([weight, arbitrary]) => ({ weight, arbitrary })));
}

/** Random stories. */
export function stories(): fc.Arbitrary<Story> {
  return fc.record({
    beginning: beginnings(),
    accepts: fc.boolean(),
    events: fc.array(events(), { maxLength: 50, size: 'max' }),
  });
}

/** Stories of keys that are replaced and retired, with others who use them, bring them back, or restore a backup. */
export function retirements(): fc.Arbitrary<Story> {
  const wanted = fc.record({
    what: fc.constantFrom<Ask['what'][]>('change', 'replace', 'replace', 'move', 'retire', 'retire', 'retire'),
    key: fc.nat(5),
  });
  const happening = fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({ type: fc.constant('go' as const), times: fc.integer({ min: 1, max: 40 }), ask: wanted }),
    },
    { weight: 6, arbitrary: fc.record({ type: fc.constant('switch-all' as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constantFrom('other-takes' as const, 'enable' as const), key: fc.nat(5) }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('backup' as const, 'restore' as const) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('crash' as const, 'cancel' as const) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('write' as const), secret: few, server: few }) },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant('set' as const), key: fc.constantFrom<number[]>(0, 1, 2, 3, 4) }),
    },
  );
  return fc.record({
    beginning: withKeysInMetrics(),
    accepts: fc.boolean(),
    events: fc.array(happening, { maxLength: 50, size: 'max' }),
  });
}

/** Stories of one operation after the other, while others set a key and the one before again, at any point. */
export function awayAndBack(): fc.Arbitrary<Story> {
  const happening = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        type: fc.constant('go' as const),
        times: fc.integer({ min: 1, max: 6 }),
        ask: fc.record({ what: fc.constant('change' as const), key: few }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ type: fc.constantFrom('switch-all' as const, 'fail' as const) }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('write' as const), secret: few, server: few }) },
    {
      weight: 4,
      arbitrary: fc.record({
        type: fc.constant('set' as const),
        key: fc.constantFrom<(number | 'back')[]>(0, 'back', 'back'),
      }),
    },
  );
  return fc.record({
    beginning: withKeysInMetrics(),
    accepts: fc.boolean(),
    events: fc.array(happening, { maxLength: 40, size: 'max' }),
  });
}

/** Plays a story up to the first breach. */
export function play(
  { beginning, accepts, othersBringBack = false, events: schedule }: Story,
  behaviour: Behaviour,
): World {
  const world = new World(beginning, behaviour);
  world.accepts = accepts;
  world.othersBringBack = othersBringBack;
  for (const event of schedule) {
    happen(world, event);
    if (world.breaches.length > 0) break;
  }
  return world;
}

/** The breaches of a story. */
export function breachesOf(story: Story, behaviour: Behaviour): readonly Breach[] {
  return play(story, behaviour).breaches;
}

const MOST_EFFECTS = 200;

/** Whether three operations in turn come to their end, Succeeded and true, when nobody else acts and servers switch in time. */
export function inQuiet({ beginning, events: schedule }: Story, behaviour: Behaviour): boolean {
  const world = new World(beginning, behaviour);
  const wanted = schedule.flatMap((event) => (event.type === 'go' ? [event.ask] : [])).slice(0, 3);
  for (const ask of wanted) {
    world.machine.pass(61 * 60_000);
    const planning = world.planning(ask);
    if (planning === 'faulty') return false;
    if (planning === 'refused') continue;
    const before = world.ended.length;
    for (let effects = 0; effects < MOST_EFFECTS && world.ended.length === before; effects++) {
      world.go(ask);
      world.machine.switchAll();
    }
    if (world.breaches.length > 0 || world.ended[before] !== 'Succeeded') return false;
  }
  return true;
}

function happen(world: World, event: Event): void {
  const { machine } = world;
  const { cluster } = machine;
  switch (event.type) {
    case 'go':
      return goOn(world, event.times, event.ask);
    case 'crash':
      return world.crash();
    case 'fail':
      return world.fail();
    case 'cancel':
      return world.cancel();
    case 'lose-lock':
      return world.loseLock();
    case 'other-operation':
      world.loseLock(event.ask);
      return goOn(world, event.times, event.ask);
    case 'set':
      return setByHand(world, event.key);
    case 'write':
      return machine.write(`secret-${event.secret}`, cluster.server(event.server));
    case 'delete':
      return cluster.etcd.delete(`secret-${event.secret}`);
    case 'refuse': {
      const name = `secret-${event.secret}`;
      if (!cluster.orphans.delete(name)) cluster.orphans.add(name);
      return;
    }
    case 'rewrite-all':
      for (const name of cluster.etcd.records.keys()) machine.write(name, machine.anyServer());
      return;
    case 'webhook':
      machine.webhook = event.webhook;
      return;
    case 'switch':
      return machine.switchServer(cluster.server(event.server));
    case 'switch-all':
      return machine.switchAll();
    case 'restart': {
      const server = cluster.server(event.server);
      return cluster.restart(server, server.writesWith);
    }
    case 'backup':
      return machine.backUp();
    case 'restore':
      return world.restore();
    case 'other-takes':
    case 'enable': {
      const keys = machine.azure.keyIds;
      const keyId = keys[event.key % keys.length] ?? '';
      return event.type === 'enable' ? machine.enable(keyId) : machine.otherTakes(keyId);
    }
    case 'ledger':
      return edit(world, event);
    case 'time':
      return machine.pass(event.minutes * 60_000);
  }
}

/** So many effects, or fewer: up to the end of the operation. */
function goOn(world: World, times: number, ask: Ask): void {
  for (let time = 0; time < times && world.breaches.length === 0; time++) {
    world.go(ask);
    if (world.idle) return;
  }
}

/** `az aks update` by somebody: as far as this machine goes, see plan-properties.test.ts. */
function setByHand(world: World, which: number | 'off' | 'back'): void {
  const { machine } = world;
  const keys = machine.azure.keyIds;
  const keyId =
    which === 'off' ? null : which === 'back' ? machine.slots.previous : (keys[which - 1] ?? machine.newVersion());
  if (keyId === machine.slots.current || (keyId !== null && machine.azure.stateOf(keyId) !== 'enabled')) return;
  if (machine.oneProviderName && (world.isSwitching || (!world.othersBringBack && world.isProving(keyId)))) return;
  const evicted = machine.evictedBy(keyId);
  if (evicted !== undefined && machine.keysInUse().has(evicted)) return;
  if (machine.ledger !== null && bringsBackProven(world, machine.ledger, keyId)) return;
  machine.set(keyId === null ? { mode: 'off' } : machine.profileByHand(keyId), 'others');
  machine.now += SETTING_A_KEY_TAKES_IN_MS;
  if (machine.showsNoKeys) machine.switchAll();
  world.othersSet(keyId);
  world.check();
}

/** Away and back, with no look of Keyturn in between. */
function bringsBackProven({ machine }: World, ledger: Ledger, keyId: string | null): boolean {
  const last = ledger.generations.at(-1);
  if (last?.state === 'activating' && last.keyId === machine.reportedKeyId()) return false;
  const current = currentGeneration(ledger);
  return current?.state === 'proven' && current.keyId === keyId;
}

function edit(world: World, { edit: how, which }: Extract<Event, { type: 'ledger' }>): void {
  const {
    machine,
    judge: { pastLedgers },
  } = world;
  if (machine.ledger === null || world.restored) return;
  // Where API servers do not show their keys, the note of a switch is all that tells of late ones.
  if (machine.showsNoKeys && machine.ledger.generations.at(-1)?.state === 'activating') return;
  if (machine.showsNoKeys) machine.switchAll();
  if (how === 'delete') return world.editLedger(null);
  if (how === 'restore') {
    const past = pastLedgers[which % Math.max(1, pastLedgers.length)] ?? null;
    if (world.othersHaveSet && past && currentGeneration(past)?.state === 'proven') return;
    return world.editLedger(past);
  }
  if (world.othersHaveSet) return;
  const current = currentGeneration(machine.ledger);
  const proof = pastLedgers.flatMap((ledger) => ledger?.generations ?? []).findLast((one) => one.proof)?.proof;
  world.editLedger({
    ...machine.ledger,
    generations: machine.ledger.generations.map((one) =>
      one === current ? { ...one, state: 'proven', ...(proof ? { proof } : {}) } : one,
    ),
  });
}
