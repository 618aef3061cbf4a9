/** What must hold, whatever happened last, and what Keyturn cannot know when it is looked at. */
import { currentGeneration, type Ledger } from '../../../domain/ledger';
import type { PlanStep } from '../../../domain/plan/steps';
import type { Behaviour } from './behaviour';
import { PLAINTEXT, type Machine } from './machine';
import { believed } from './observation';
import type { RunState } from './run-state';

/** What was broken. */
export interface Breach {
  readonly invariant: 'K1' | 'K2' | 'K3' | 'K4' | 'K5' | 'O3' | 'truth' | 'program';
  readonly what: string;
}

/** The judge of a story. */
export class Judge {
  readonly breaches: Breach[] = [];
  /** Somebody edited the ledger: what it says from then on counts only as far as evidence confirms it. */
  edited = false;
  /** Keys that others set, and Keyturn has not noted. */
  readonly untold: Set<string>;
  /** Ledgers that there were. */
  readonly pastLedgers: (Ledger | null)[] = [];
  /** What an edit of the ledger made Keyturn forget, up to its next proof: a forged proof hides older keys. */
  readonly #forgotten = new Set<string>();
  readonly #machine: Machine;
  readonly #behaviour: Behaviour;

  constructor(machine: Machine, behaviour: Behaviour) {
    this.#machine = machine;
    this.#behaviour = behaviour;
    this.untold = new Set(machine.azure.keyIds);
  }

  /** @param runs that have not ended: the holder of the lock is the last */
  check(runs: readonly RunState[]): void {
    const machine = this.#machine;
    const { reconcile } = this.#behaviour.ledger;
    const reported = machine.reportedKeyId();
    if (!machine.isReadable()) this.breach('K2', 'A Secret is under a key that is in no slot.');
    for (const { invariant, what } of machine.harm) this.breach(invariant, what);
    this.#checkKeysShown(runs.at(-1));
    const { ledger } = machine;
    if (ledger === null) return;
    const claims = (known: Ledger): void => {
      const current = currentGeneration(reconcile(known, reported, machine.at));
      if (current?.state === 'proven' && !machine.isAllUnder(current.keyId ?? PLAINTEXT))
        this.breach('K5', `${current.keyId} is called proven.`);
    };
    // With entity tags what the ledger says counts only as far as they tell of no change by others.
    if (!this.edited && machine.eTag === undefined) claims(ledger);
    // Evidence tells of an operation when it has ended: until then the lock keeps others from planning.
    if (runs.length === 0) claims(believed(machine, this.#behaviour, ledger));
  }

  /** Keys that a Secret, an API server or a slot that Keyturn knows needs. */
  needed(): string[] {
    const { slots, previousTold, failed } = this.#machine;
    // After a change that failed the ledger goes by what Azure reports, and not by what API servers still have.
    const inSlots = [slots.current, previousTold && !failed ? slots.previous : null];
    return [...new Set([...this.#machine.keysInUse(), ...inSlots])].filter((key) => key !== null);
  }

  /** What the ledger has, Keyturn was told. */
  learn(): void {
    const { ledger } = this.#machine;
    if (ledger === null) return;
    // What it has of an earlier time tells nothing of a key that others have set again.
    this.untold.delete(ledger.generations.at(-1)?.keyId ?? '');
    if (this.pastLedgers.at(-1) !== ledger) this.pastLedgers.push(ledger);
  }

  /** The ledger was edited. */
  ledgerEdited(runs: readonly RunState[]): void {
    this.edited = true;
    for (const key of this.needed()) {
      this.#forgotten.add(key);
      for (const { blind } of runs) blind.add(key);
    }
  }

  /** A proof was recorded. */
  provenAgain(): void {
    this.#forgotten.clear();
  }

  /** What a finished operation says of itself is true. */
  checkResult({ run, disturbed }: RunState): void {
    const machine = this.#machine;
    try {
      const { currentKeyId, proof } = this.#behaviour.resultOf(run.plan, run.outputs);
      if (disturbed || this.edited) return;
      if (machine.reportedKeyId() !== currentKeyId)
        this.breach('truth', `The result has ${currentKeyId} as the current key.`);
      if (proof === null || !this.#behaviour.isConclusive(proof)) return;
      if (!machine.isAllUnder(currentKeyId ?? PLAINTEXT)) this.breach('truth', 'The result calls proven what is not.');
      const current = machine.ledger && currentGeneration(believed(machine, this.#behaviour, machine.ledger));
      if (current?.state !== 'proven' || current.keyId !== currentKeyId)
        this.breach('truth', 'The result calls proven what the ledger does not.');
    } catch (error) {
      this.breach('program', String(error));
    }
  }

  /** Approved = executed. */
  checkGates({ run }: RunState, step: PlanStep, writes: boolean): void {
    const gates = run.plan.steps.flatMap((one) => (one.type === 'gate' && run.outputs[one.id] ? [one.gate] : []));
    if (writes && !gates.includes('start')) this.breach('O3', `${step.id} runs before anybody has approved.`);
    if (step.type === 'set-kms' && step.to.mode === 'off' && !gates.includes('plaintext'))
      this.breach('O3', `${step.id} runs before anybody has approved plaintext.`);
    if (step.type === 'upgrade-control-plane' && !gates.includes('upgrade'))
      this.breach('O3', `${step.id} runs before anybody has approved the upgrade.`);
    if (step.type === 'delete-key' && !gates.includes('deletion'))
      this.breach('O3', `${step.id} runs before anybody has approved the deletion.`);
  }

  breach(invariant: Breach['invariant'], what: string): void {
    this.breaches.push({ invariant, what });
  }

  /** Each key that is needed is shown as needed. */
  #checkKeysShown(holder: RunState | undefined): void {
    const machine = this.#machine;
    if (!holder && machine.ledger === null) return;
    // The plan says that it does not know them: a kind that is not about keys does not look for them in evidence.
    const { kind, warnings } = holder?.run.plan ?? { kind: '', warnings: [] };
    if (kind !== 'recover-key' && warnings.some(({ code }) => code === 'ClusterNotReadable')) return;
    const { reconcile, keysNeeded } = this.#behaviour.ledger;
    const reported = machine.reportedKeyId();
    const shown = holder
      ? this.#behaviour.keysNeededNow(holder.run.plan, holder.run.statuses, holder.run.outputs)
      : [
          ...keysNeeded(reconcile(machine.ledger ?? undefined, reported, machine.at)),
          // As domain/recovery-keys.ts has it.
          ...(machine.failed && machine.ledger ? keysNeeded(machine.ledger) : []),
        ];
    const blind = holder ? holder.blind : this.untold;
    for (const key of this.needed()) {
      if ([shown, [...this.untold], [...this.#forgotten], [...blind]].some((known) => known.includes(key))) continue;
      this.breach(reported === null ? 'K3' : 'K1', `${key} is needed, and not shown.`);
    }
  }
}
