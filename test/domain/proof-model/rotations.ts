/**
 * Rotations in the model, in the order of domain/kinds/rotate-key.ts: each step reads and writes the ledger as
 * activities/ledger.ts does, and asks ARM as activities/aks.ts does. Operations are given up between any two steps, steps are
 * repeated, and others set keys.
 */
import * as rules from '../../../domain/ledger';
import type { Ledger } from '../../../domain/ledger';
import { KeySlotsModel } from './arm';

/** The rules of domain/ledger.ts, and the plan's rule that the current key is proven first. */
export interface LedgerRules extends Pick<
  typeof rules,
  'reconcile' | 'activating' | 'activated' | 'proven' | 'keySlots' | 'currentGeneration'
> {
  provesFirst(ledger: Ledger): boolean;
}

/** The product's. */
export const LEDGER_RULES: LedgerRules = {
  ...rules,
  provesFirst: (ledger) => rules.currentGeneration(ledger)?.state !== 'proven',
};

/** What happens next. */
export type Event =
  /** The operation goes on by one step, twice when the worker dies before it reports the first. A new one starts when there is none. */
  | { readonly type: 'step'; readonly twice: boolean; readonly back: boolean }
  /** The operation is given up. */
  | { readonly type: 'give-up' }
  /** Somebody else sets a key: one that was never used here, or the one of before. */
  | { readonly type: 'foreign'; readonly back: boolean };

/** When others may turn back to the key of before: only from a key whose switch the ledger has noted as coming; or always. */
export type TurnsBack = 'noted-switches' | 'any';

const NOW = '2026-11-22T12:00:00.000Z';

/** The cluster, its ledger, and the operation under way. */
export class Rotations {
  readonly arm = new KeySlotsModel();
  /** What went wrong, in sentences; empty is right. */
  readonly faults: string[] = [];
  readonly #rules: LedgerRules;
  readonly #turnsBack: TurnsBack;
  #ledger: Ledger | undefined;
  #operations = 0;
  #steps: (() => void)[] = [];
  #done = 0;

  constructor(ledgerRules: LedgerRules, turnsBack: TurnsBack) {
    this.#rules = ledgerRules;
    this.#turnsBack = turnsBack;
  }

  /** How many rotations have come to their proven end. */
  get done(): number {
    return this.#done;
  }

  happen(event: Event): void {
    if (event.type === 'give-up') this.#steps = [];
    else if (event.type === 'foreign') this.#foreign(event.back);
    else this.#step(event);
    this.#check();
  }

  #step({ twice, back }: Extract<Event, { type: 'step' }>): void {
    if (this.#steps.length === 0) this.#steps = this.#newOperation(back);
    const step = this.#steps.shift();
    try {
      step?.();
      if (twice) step?.();
    } catch {
      // The ledger or ARM refuses: the operation is blocked, and ends.
      this.#steps = [];
    }
  }

  #foreign(back: boolean): void {
    const { arm } = this;
    const last = this.#ledger?.generations.at(-1);
    const noted = last?.state === 'activating' && last.keyId === arm.current;
    const mayTurnBack = back && arm.previous !== null && (noted || this.#turnsBack === 'any');
    arm.set(mayTurnBack && arm.previous !== null ? arm.previous : arm.newKey());
  }

  /** Observes, plans, and gives the steps of the plan. */
  #newOperation(back: boolean): (() => void)[] {
    const { arm } = this;
    const { reconcile, activating, activated, proven, provesFirst } = this.#rules;
    const operationId = `operation-${++this.#operations}`;
    const from = arm.current;
    const to = back && arm.previous !== null ? arm.previous : arm.newKey();
    const proof = { operationId, at: NOW, convergedRv: '1', secrets: 1 };
    const change = (rule: (ledger: Ledger) => Ledger): void => {
      this.#ledger = rule(this.#ledger ?? { version: 1, generations: [] });
    };
    const prove = (key: string): void => {
      if (arm.current !== key) throw new Error('The servers write with another key.');
      arm.prove();
    };
    const noteProven = (key: string): void => change((ledger) => proven(ledger, key, proof));
    const proveFirst = [
      () => prove(from),
      () => change((ledger) => proven(reconcile(ledger, from, NOW, operationId), from, proof)),
    ];
    return [
      ...(provesFirst(reconcile(this.#ledger, from, NOW)) ? proveFirst : []),
      () => change((ledger) => activating(reconcile(ledger, from, NOW, operationId), to, operationId, NOW)),
      () => this.#submit(from, to),
      () => change((ledger) => activated(ledger, to)),
      () => prove(to),
      () => {
        if (arm.current !== to) throw new Error('Azure reports another key.');
        noteProven(to);
        this.#done++;
      },
    ];
  }

  /** Fenced: ARM refuses when somebody else has set a key since the plan. */
  #submit(from: string, to: string): void {
    const { arm } = this;
    if (arm.current === to) return;
    if (arm.current !== from) throw new Error('The cluster was changed outside.');
    const needed = arm.needed;
    const evicted = arm.set(to);
    if (evicted !== undefined && needed.has(evicted))
      this.faults.push(`${evicted} left its slot while Secrets were under it (K2).`);
  }

  /** What the ledger says once it was made to agree with what Azure reports. */
  #check(): void {
    const { arm } = this;
    const ledger = this.#rules.reconcile(this.#ledger, arm.current, NOW);
    const slots = this.#rules.keySlots(ledger);
    if (slots?.current !== arm.current) this.faults.push(`The ledger has ${slots?.current} as current.`);
    if (slots?.previousKnown && slots.previous !== arm.previous)
      this.faults.push(`The ledger has ${slots.previous} as previous, Azure ${arm.previous}.`);
    if (this.#rules.currentGeneration(ledger)?.state === 'proven' && !arm.isProven)
      this.faults.push(`The ledger has ${arm.current} as proven.`);
  }
}
