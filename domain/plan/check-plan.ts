/**
 * What holds for every plan, whatever kind made it. Checked apart from planning, before a plan is shown to people: a mistake in a
 * kind's file must not become an approved program.
 */
import { canonicalJson } from '../canonical';
import { kmsScheme, minorOf, type EncryptionState, type KeyRef } from '../encryption';
import { mustParseKeyId, resourceName, sameKeyId } from '../resource-ids';
import type { StepType, PlanStep, StepOf } from './steps';

/** What follows a `set-kms`, in this order, with nothing in between. */
const AFTER_SET_KMS: readonly StepType[] = ['converge', 'rewrite', 'prove', 'record-proof'];
/** What follows a `create-cluster`: no Secret of the cluster was ever under anything else. */
const AFTER_CREATION: readonly StepType[] = ['converge', 'prove', 'record-proof'];
/** What may come before it: everything else works with a cluster. */
const BEFORE_CREATION: readonly StepType[] = [
  'gate',
  'create-vault',
  'create-key',
  'create-identity',
  'grant-key-access',
  'grant-endpoint-approval',
];
/** How API Server VNet Integration is turned on, with nothing in between; where ARM reports it already, without the first. */
const RESTART = ['enable-vnet-integration', 'stop-cluster', 'start-cluster', 'await-api-servers'] as const;
/** These look at API servers, for what later steps conclude. */
const SEEN_OF_SERVERS: readonly StepType[] = ['take-baseline', 'converge'];
/** After these, a Secret that is under an older state may be lost. */
const FINAL_FOR_OLDER: readonly StepType[] = ['set-kms', 'upgrade-control-plane', 'disable-key-version', 'delete-key'];

/** Where a plan starts. */
export interface PlanStart {
  /** The state that the cluster is in. */
  readonly state: EncryptionState;
  /** Whether every Secret is proven to be under it. */
  readonly proven: boolean;
}

/** Every way in which steps are not a plan; empty when they are one. */
export function planFaults(steps: readonly PlanStep[], initial: PlanStart): string[] {
  const walk = new Walk(steps, initial);
  walk.require(steps[0]?.type === 'gate' && steps[0].gate === 'start', 'A plan begins with its start gate.');
  walk.require(new Set(steps.map(({ id }) => id)).size === steps.length, 'Step ids are not unique.');
  steps.forEach((step, index) => walk.take(step, index));
  return [...new Set(walk.faults)];
}

/** @throws Error when steps are not a plan: a fault of Keyturn's own */
export function checkPlan(steps: readonly PlanStep[], initial: PlanStart): void {
  const faults = planFaults(steps, initial);
  if (faults.length > 0) throw new Error(`Keyturn made a plan that it must not run. ${faults.join(' ')}`);
}

/** One walk through the steps: what is so after each, and what is wrong. */
class Walk {
  readonly faults: string[] = [];
  private state: EncryptionState;
  private proven: boolean;
  /** Whether a switch came after the last convergence without one. */
  private switched = false;
  private version: string | undefined;
  /** Keys in the order in which they were current; AKS keeps the last two for reading. */
  private readonly slots: KeyRef[];
  /** Whether a step of this plan has recorded a proof of the state: every API server works with it then. */
  private recorded = false;
  /** Whether something was repaired since the API servers were seen to use their key. */
  private repaired = false;
  private readonly gates = new Set<string>();

  constructor(
    private readonly steps: readonly PlanStep[],
    { state, proven }: PlanStart,
  ) {
    this.state = state;
    this.proven = proven;
    this.slots = state.mode === 'on' ? [state.key] : [];
  }

  require(holds: boolean, fault: string): void {
    if (!holds) this.faults.push(fault);
  }

  take(step: PlanStep, index: number): void {
    const require = (holds: boolean, fault: string): void => this.require(holds, `Step ${step.id}: ${fault}`);
    const previous = this.steps[index - 1];
    switch (step.type) {
      case 'gate':
        this.gates.add(step.gate);
        break;
      case 'set-kms':
        this.#setKms(step, index, require);
        break;
      case 'converge':
        require(same(step.to, this.state), 'the cluster is in another state.');
        require(!this.repaired, 'the API servers were not seen to use their key again after a repair.');
        require(step.baseline === null ||
          this.#made(step.baseline, 'take-baseline', index), 'its baseline is no earlier step.');
        require((step.baseline === null) ===
          (previous?.type !== 'set-kms'), 'only a switch has a baseline, and every switch has one.');
        this.switched = step.baseline !== null;
        break;
      case 'rewrite':
      case 'prove':
        require(same(step.to, this.state), 'the cluster is in another state.');
        require(this.#made(step.since, 'converge', index), 'convergence is no earlier step.');
        require(!step.acceptable ||
          !this.#later(index, FINAL_FOR_OLDER), 'Secrets cannot be accepted where a later step loses them.');
        require(step.type !== 'prove' ||
          this.steps[index + 1]?.type === 'record-proof', 'its proof is not recorded right after it.');
        break;
      case 'record-proof':
        require(same(step.to, this.state), 'the cluster is in another state.');
        require(this.#made(step.proof, 'prove', index), 'its proof is no earlier step.');
        require(previous?.id === step.proof, 'it does not directly follow its proof.');
        this.recorded = true;
        // Behind one provider name of KMS v1 a proof right after a switch is not conclusive (domain/proof.ts).
        this.proven = !(this.switched && step.to.mode === 'on' && step.to.scheme === 'kms-v1');
        break;
      case 'upgrade-control-plane':
        this.#upgrade(step, require);
        break;
      case 'upgrade-pool':
        require(same(step.expect, this.state), 'it expects another state than the one before it.');
        require(step.to === this.version, 'no step before it brings the control plane to its version.');
        break;
      case 'check-key-unused':
        require(same(step.state, this.state), 'the cluster is in another state.');
        break;
      case 'disable-key-version':
        require(this.proven && this.recorded, 'the plan does not prove the state before it (K1).');
        require(!this.#inSlot(step.key), 'its key is in a slot (K1).');
        require(previous?.id === step.check &&
          this.#checks(previous, step.key), 'nothing looks right before it whether its key is needed (K1).');
        break;
      case 'soak':
        require(this.#disabled(step.key, index), 'its key is not disabled before it.');
        break;
      case 'delete-key':
        require(this.gates.has('deletion'), 'no gate for deletion is before it.');
        require(this.#disabled(step.key, index) &&
          this.steps
            .slice(0, index)
            .some(
              (one) => one.type === 'soak' && sameKeyId(one.key, step.key),
            ), 'its key is not disabled and left so for a while before it (K4).');
        require(this.steps.slice(0, index).some((one) => one.id === step.check && this.#checks(one, step.key)) &&
          !this.#later(
            this.steps.findIndex(({ id }) => id === step.check),
            ['soak'],
            index,
          ), 'nothing looks after the soak whether its key is needed (K1).');
        break;
      case 'set-vault-network':
        require(step.to === 'open' ||
          (this.state.mode === 'on' &&
            this.state.access === 'Private' &&
            this.recorded), 'API servers may need the public address of the vault that it closes (K1).');
        break;
      case 'create-key-version':
      case 'take-baseline':
        break;
      case 'grant-key-access':
      case 'grant-endpoint-approval':
        require(step.principalId !== null ||
          this.steps
            .slice(0, index)
            .some(
              (one) =>
                (one.type === 'create-identity' || one.type === 'restore-identity') &&
                one.identityId === step.identityId,
            ), 'its identity is made by no earlier step.');
        break;
      case 'create-identity':
        break;
      case 'create-cluster':
        this.#createCluster(step, index, require);
        break;
      case 'enable-key-version':
      case 'extend-key-expiry':
      case 'recover-deleted-key':
      case 'recover-vault':
      case 'restore-identity':
        this.repaired = true;
        break;
      case 'reconcile-cluster':
        require(same(step.expect, this.state), 'it expects another state than the one before it.');
        this.repaired = true;
        break;
      case 'await-kms':
        require(same(step.state, this.state), 'the cluster is in another state.');
        this.repaired = false;
        break;
      case 'set-vault-diagnostics': {
        const next = this.steps[index + 1];
        require(next?.type === 'confirm-vault-diagnostics' &&
          next.vaultId === step.vaultId &&
          next.workspaceId === step.workspaceId, 'its setting is not read back right after it.');
        break;
      }
      case 'enable-secrets-provider':
      case 'enable-workload-identity':
      case 'disable-secrets-provider':
        require(same(step.expect, this.state), 'it expects another state than the one before it.');
        break;
      case 'prove-mount':
        require(this.steps
          .slice(0, index)
          .some(
            (one) =>
              one.type === 'create-secret-provider-class' &&
              one.namespace === step.namespace &&
              one.name === step.class,
          ), 'its class is no earlier step.');
        break;
      case 'prove-rotation':
        require(this.steps
          .slice(0, index)
          .some(
            (one) => one.type === 'prove-mount' && one.namespace === step.namespace && one.class === step.class,
          ), 'that its class can be mounted is proven by no earlier step.');
        break;
      case 'assign-node-identity':
      case 'create-federated-credential':
      case 'grant-vault-read':
      case 'create-service-connection':
      case 'create-service-account':
      case 'create-secret-provider-class':
      case 'delete-secret-provider-class':
      case 'delete-service-account':
      case 'delete-federated-credential':
        break;
      case 'delete-service-connection':
        // The class says that the connection is Keyturn's.
        require(!this.steps
          .slice(0, index)
          .some(
            (one) =>
              one.type === 'delete-secret-provider-class' &&
              one.namespace === step.noted.namespace &&
              one.name === step.noted.class,
          ), 'the class that notes its connection is gone by then.');
        break;
      case 'confirm-vault-diagnostics':
      case 'create-vault':
        break;
      case 'create-key':
        require(this.steps.slice(0, index).some((one) => one.type === 'create-vault' && one.vaultId === step.vaultId) ||
          this.#usesVault(step.vaultId), 'its vault is no earlier step, and not that of the current key.');
        break;
      case 'enable-vnet-integration':
      case 'stop-cluster':
      case 'start-cluster':
      case 'await-api-servers':
        this.#restart(step, index, require);
        break;
    }
  }

  #setKms(step: StepOf<'set-kms'>, index: number, require: (holds: boolean, fault: string) => void): void {
    const { expect, to } = step;
    require(same(expect, this.state), 'it expects another state than the one before it.');
    require(!same(to, this.state), 'it changes nothing.');
    require(this.steps[index - 1]?.type === 'take-baseline', 'no baseline is taken right before it.');
    require(this.proven, 'the state before it is not proven (K2).');
    require(!changesAccessInPlace(expect, to), 'AKS does not change the access to a vault while KMS is on.');
    require(to.mode === 'on' || this.gates.has('plaintext'), 'no gate for plaintext is before it.');
    AFTER_SET_KMS.forEach((type, offset) =>
      require(this.steps[index + 1 + offset]?.type === type, `it is not followed by ${AFTER_SET_KMS.join(', ')}.`),
    );
    if (to.mode === 'on') {
      require(typeof to.key === 'string' ||
        this.#made(to.key.madeBy, 'create-key-version', index) ||
        this.#granted(
          to.key.madeBy,
          index,
        ), 'its key is not made by an earlier step, or a key of a new name is not granted.');
      require(this.version === undefined ||
        to.scheme === kmsScheme(this.version), 'the Kubernetes version does not encrypt in this way.');
      require(typeof to.key !== 'string' || !this.#disabled(to.key, index), 'its key is disabled before it (K1).');
      // Plaintext takes no slot: the same key after it leaves the other slot as it is.
      if (!isKey(this.slots.at(-1), to.key)) this.slots.push(to.key);
    }
    this.state = to;
    this.proven = false;
    this.recorded = false;
  }

  #createCluster(
    step: StepOf<'create-cluster'>,
    index: number,
    require: (holds: boolean, fault: string) => void,
  ): void {
    require(step.to.mode === 'on', 'it makes a cluster without KMS.');
    require(this.state.mode === 'off' && !this.proven, 'there is a cluster already.');
    require(this.steps
      .slice(0, index)
      .every(({ type }) => BEFORE_CREATION.includes(type)), 'a step before it needs the cluster.');
    require(step.to.mode === 'off' ||
      typeof step.to.key === 'string' ||
      this.#made(step.to.key.madeBy, 'create-key', index), 'its key is made by no earlier step.');
    require(this.steps
      .slice(0, index)
      .some(
        (one) => one.type === 'grant-key-access' && one.identityId === step.identityId,
      ), 'its identity gets no rights on the key before it.');
    AFTER_CREATION.forEach((type, offset) =>
      require(this.steps[index + 1 + offset]?.type === type, `it is not followed by ${AFTER_CREATION.join(', ')}.`),
    );
    if (step.to.mode === 'on') this.slots.push(step.to.key);
    this.state = step.to;
    this.recorded = false;
  }

  #upgrade(step: StepOf<'upgrade-control-plane'>, require: (holds: boolean, fault: string) => void): void {
    const { from, to, expect } = step;
    require(this.gates.has('upgrade'), 'no gate for the upgrade is before it.');
    require(same(expect, this.state), 'it expects another state than the one before it.');
    require(this.version === undefined ||
      this.version === from, 'it starts from another version than the one before it.');
    const minors = minorOf(to) - minorOf(from);
    require(minors === 0 || minors === 1, 'it skips a minor version, or goes back.');
    require(kmsScheme(from) === kmsScheme(to) ||
      (this.state.mode === 'off' &&
        this.proven), 'Secrets may be encrypted in a way that the new version cannot read.');
    this.version = to;
  }

  /** A cluster that is stopped is started at once, and nothing that was seen of the API servers before holds after it. */
  #restart(
    step: StepOf<(typeof RESTART)[number]>,
    index: number,
    require: (holds: boolean, fault: string) => void,
  ): void {
    if (step.type !== 'await-api-servers')
      require(same(step.expect, this.state), 'it expects another state than the one before it.');
    if (step.type === 'enable-vnet-integration' || step.type === 'stop-cluster') {
      require(this.gates.has('vnet-integration'), 'no gate for API Server VNet Integration is before it.');
    }
    const place = RESTART.indexOf(step.type);
    const [before, after] = [this.steps[index - 1]?.type, this.steps[index + 1]?.type];
    require(place < 2 || before === RESTART[place - 1], `no ${RESTART[place - 1]} is right before it.`);
    require(place === RESTART.length - 1 || after === RESTART[place + 1], `no ${RESTART[place + 1]} follows it.`);
    require(!this.steps
      .slice(0, index)
      .some(({ type }) => SEEN_OF_SERVERS.includes(type)), 'API servers are seen before it, and are others after it.');
  }

  #made(id: string, type: StepType, index: number): boolean {
    return this.steps.slice(0, index).some((one) => one.id === id && one.type === type);
  }

  /** Whether a key of a new name is made before, and the cluster's identity given the rights on it after that. */
  #granted(id: string, index: number): boolean {
    const made = this.steps.findIndex((one) => one.id === id && one.type === 'create-key');
    const key = this.steps[made];
    if (key?.type !== 'create-key' || made >= index) return false;
    return this.steps
      .slice(made, index)
      .some((one) => one.type === 'grant-key-access' && one.vaultId === key.vaultId && one.keyName === key.keyName);
  }

  /** Whether the current key is in a vault. */
  #usesVault(vaultId: string): boolean {
    const current = this.slots.at(-1);
    if (typeof current !== 'string') return false;
    return mustParseKeyId(current).vaultName.toLowerCase() === resourceName(vaultId).toLowerCase();
  }

  #later(index: number, types: readonly StepType[], end = this.steps.length): boolean {
    return this.steps.slice(index + 1, end).some(({ type }) => types.includes(type));
  }

  #disabled(key: string, index: number): boolean {
    return this.steps.slice(0, index).some((one) => one.type === 'disable-key-version' && sameKeyId(one.key, key));
  }

  #inSlot(key: string): boolean {
    return this.slots.slice(-2).some((one) => isKey(one, key));
  }

  #checks(step: PlanStep, key: string): boolean {
    return step.type === 'check-key-unused' && sameKeyId(step.key, key);
  }
}

/** From public to private access, or back, in one vault. */
function changesAccessInPlace(from: EncryptionState, to: EncryptionState): boolean {
  if (from.mode === 'off' || to.mode === 'off' || from.access === to.access) return false;
  if (typeof from.key !== 'string' || typeof to.key !== 'string') return true;
  return mustParseKeyId(from.key).vaultUrl === mustParseKeyId(to.key).vaultUrl;
}

/** Key ids are compared as Azure compares them; a key that a step makes is itself only. */
function isKey(one: KeyRef | undefined, other: KeyRef): boolean {
  if (typeof one === 'string' && typeof other === 'string') return sameKeyId(one, other);
  return one !== undefined && canonicalJson(one) === canonicalJson(other);
}

function same(a: EncryptionState, b: EncryptionState): boolean {
  // The steps of one transition share their states.
  return a === b || canonicalJson(a) === canonicalJson(b);
}
