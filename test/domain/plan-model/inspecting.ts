/** What an inspection says of the machine, and what comes of following it. */
import type { Inspection, InspectionFacts } from '../../../domain/inspection';
import { currentGeneration } from '../../../domain/ledger';
import { claimsProof } from '../../../domain/trusted-ledger';
import type { Behaviour } from './behaviour';
import { PLAINTEXT, type Machine } from './machine';
import { trustOf } from './observation';
import { lookUp, recoveryOf } from './recovery';
import { update } from './meddling';
import { objectOf } from './names';
import { requestOf } from './requests';
import type { World } from './world';

/** By then every API server has switched. */
const SWITCHED_IN_MS = 61 * 60_000;
const MOST_OPERATIONS = 8;
const MOST_EFFECTS = 200;
/** What is no repair. */
const LATER = ['retire-key', 'upgrade-to-kms-v2'];

/** As activities/inspect.ts looks. */
function look(machine: Machine, behaviour: Behaviour): InspectionFacts {
  const cluster = machine.observed();
  const { ledger, answers } = machine;
  const recovery = recoveryOf(machine, behaviour, answers ? ledger : undefined);
  const identityAccess = recovery.slots.find(({ slot }) => slot === 'current')?.access;
  const ofLedger = answers ? (ledger?.generations ?? []).map(({ keyId }) => keyId).reverse() : [];
  const keyIds = [...new Set([machine.reportedKeyId(), ...ofLedger])].filter((keyId) => keyId !== null);
  const trust = claimsProof(ledger)
    ? trustOf(machine, behaviour, ledger)
    : { confirmed: true, changedSinceProof: false };
  return {
    at: machine.at,
    cluster,
    keys: keyIds.map((keyId) => recovery.slots.find((slot) => slot.keyId === keyId)?.key ?? lookUp(machine, keyId)),
    inside: answers
      ? { ledger, ...trust, apiServers: machine.cluster.servers.length }
      : { unreadable: 'No API server answers.' },
    recovery,
    ...(identityAccess === undefined ? {} : { identityAccess }),
  };
}

/** What an inspection of the machine says now. */
export function inspectionOf(machine: Machine, behaviour: Behaviour): Inspection {
  return behaviour.inspect(look(machine, behaviour));
}

/**
 * Does what inspections name, one operation after the other, while nobody else acts.
 * @returns what is wrong with what they say; undefined when in the end all is well, or they say why nothing can help
 */
export function follow(world: World, behaviour: Behaviour): string | undefined {
  const { machine } = world;
  const told: string[] = [];
  for (let operations = 0; operations <= MOST_OPERATIONS; operations++) {
    if (!world.idle) world.cancel();
    machine.pass(SWITCHED_IN_MS);
    const inspection = inspectionOf(machine, behaviour);
    const named = inspection.findings.find(({ repair }) => repair !== undefined && !LATER.includes(repair));
    const says = inspection.findings.map(({ code, repair = '-' }) => `${code} ${repair}`).join(', ');
    told.push(says);
    if (undoneByHand(world, inspection)) {
      told.push('→ undone by hand');
      continue;
    }
    if (isWell(machine) && inspection.proven && named?.repair === 'recover-key' && named.code !== 'KeyExpiresSoon')
      return `Named although all is well: ${says}`;
    if (named?.repair === undefined) return whatIsLeft(machine, inspection, told);
    const result = perform(world, named.repair);
    if (world.breaches.length > 0)
      return world.breaches.map(({ invariant, what }) => `${invariant}: ${what}`).join(' ');
    told.push(`→ ${named.repair}: ${result}`);
    if (result === 'Succeeded') continue;
    // What can only be lost is tried once, and said plainly.
    if (saysWhy(machine, inspection)) return undefined;
    if (result === 'refused' || told.indexOf(says) < told.length - 2) return `No end: ${told.join('; ')}`;
  }
  return `No end: ${told.join('; ')}`;
}

/** A person does what the finding of a cluster that Failed says. @returns whether it was another key, and AKS took it */
function undoneByHand(world: World, { findings }: Inspection): boolean {
  const { machine } = world;
  const detail = findings.find(({ code }) => code === 'ClusterNotReady')?.detail ?? '';
  const [, key, disable] =
    /(?:--azure-keyvault-kms-key-id (\S+)|(--disable-azure-keyvault-kms))\. Then/.exec(detail) ?? [];
  if (key === undefined && disable === undefined) return false;
  const before = machine.reportedKeyId();
  update(world, key ?? null);
  return machine.reportedKeyId() !== before;
}

/** A key version by hand, where Keyturn cannot make one. */
function parametersFor(machine: Machine, kind: string): Record<string, unknown> {
  const { azure } = machine;
  const current = machine.reportedKeyId();
  if (kind !== 'rotate-key' || current === null || !azure.isClosed(current) || azure.reachesClosedVaults) return {};
  return { keyId: machine.newVersion(objectOf(current)) };
}

/** @returns how it ended */
function perform(world: World, kind: string): string {
  const before = world.ended.length;
  if (!world.begin(requestOf(kind, parametersFor(world.machine, kind)))) return 'refused';
  for (let effects = 0; effects < MOST_EFFECTS && world.ended.length === before; effects++) {
    world.goOn();
    world.machine.switchAll();
  }
  return world.ended[before] ?? 'stuck';
}

function whatIsLeft(machine: Machine, inspection: Inspection, told: readonly string[]): string | undefined {
  if (isWell(machine) && inspection.proven) return undefined;
  return saysWhy(machine, inspection) ? undefined : `Nothing is named: ${told.join('; ')}`;
}

/** Every Secret is under what Azure reports, and API servers work. */
function isWell(machine: Machine): boolean {
  const { failed, kmsWorks } = machine;
  const under = machine.reportedKeyId() ?? PLAINTEXT;
  return !failed && kmsWorks && machine.isAllUnder(under) && machine.unreadable().length === 0;
}

/** Whether no operation can help, and the inspection says why. */
function saysWhy(machine: Machine, { findings }: Inspection): boolean {
  const says = (...codes: string[]): boolean => findings.some(({ code }) => codes.includes(code));
  if (isLost(machine) && says('KeyPurged', 'VaultPurged')) return true;
  if (needsPerson(machine) && says('ClusterNotReady', 'KeyUnusable')) return true;
  // A key that others set, and Keyturn was never told.
  const { current, previous } = machine.slots;
  const told = machine.ledger?.generations.some(({ keyId }) => keyId === previous) ?? false;
  if (previous !== null && previous !== current && !told && !machine.works(previous))
    return (
      says('PreviousSlotUnknown', 'ClusterNotReadable') ||
      findings.some(({ detail }) => detail.includes('older key versions by hand'))
    );
  return false;
}

/** A key that Secrets are under, or that the cluster cannot do without, is purged. */
function isLost({ azure, slots, cluster, answers }: Machine): boolean {
  const isGone = (key: string | null): boolean =>
    key !== null && (azure.stateOf(key) === 'purged' || azure.vault(key)?.state === 'purged');
  const used = [...cluster.etcd.records.values()].map(({ storedUnder }) => storedUnder);
  // A key leaves the second slot by a rotation, which needs KMS on and API servers that answer.
  const stays = slots.current === null || !answers ? [slots.previous] : [];
  return [slots.current, ...stays, ...used.filter((key) => key !== PLAINTEXT)].some(isGone);
}

/** A key was set by hand before the Secrets were rewritten; or a key behind a firewall, which Keyturn does not see, is gone. */
function needsPerson({ azure, slots, failed, couldSucceed, ledger }: Machine): boolean {
  const unseen = [slots.current, slots.previous].some(
    (key) => key !== null && !azure.reachesClosedVaults && azure.isClosed(key),
  );
  const byHand = ledger === null || currentGeneration(ledger)?.origin !== 'operation';
  return (failed && (byHand || !couldSucceed)) || unseen;
}
