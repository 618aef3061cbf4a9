/** Plans as mistaken kinds or a mistaken `transition` would make them. */
import type { EncryptionState } from '../../../domain/encryption';
import type { Plan } from '../../../domain/plan/plan';
import type { PlanStep } from '../../../domain/plan/steps';
import { transition } from '../../../domain/plan/transition';
import { keyNumber } from './names';

/** What becomes of a plan. */
export type Mistake = (plan: Plan) => Plan;

/** The first version that the machine's vault has: often in the second slot. */
const OTHER_KEY = keyNumber(1);
const steps =
  (change: (all: readonly PlanStep[], plan: Plan) => readonly PlanStep[]): Mistake =>
  (plan) => ({ ...plan, steps: [...change(plan.steps, plan)] });
const after = (all: readonly PlanStep[]): number => all.findIndex(({ type }) => type === 'set-kms');
const other = (to: EncryptionState): EncryptionState =>
  to.mode === 'on' ? { ...to, key: OTHER_KEY } : { mode: 'on', scheme: 'kms-v2', key: OTHER_KEY, access: 'Public' };

/** Without the steps that are of a type, of the switch only when there is one. */
export const without = (...types: PlanStep['type'][]): Mistake =>
  steps((all) => all.filter(({ type }, index) => !(types.includes(type) && index > after(all) - 2)));

/** Without the proof of the current state that stands before a switch (K2). */
export const withoutProofBefore: Mistake = steps((all) =>
  all.filter(({ id }) => !id.startsWith('current.') || after(all) < 0),
);

/** Two steps of the switch exchanged. */
export const exchanged = (one: PlanStep['type'], two: PlanStep['type']): Mistake =>
  steps((all) => {
    const first = all.findLastIndex(({ type }) => type === one);
    const second = all.findLastIndex(({ type }) => type === two);
    if (after(all) < 0 || first < 0 || second < 0) return all;
    return all.map((step, index) => (index === first ? all[second] : index === second ? all[first] : step) ?? step);
  });

/** Each step of a type after the switch as another. */
export const changed = (type: PlanStep['type'], change: (step: PlanStep) => object): Mistake =>
  steps((all) =>
    all.map((step, index) =>
      step.type === type && after(all) >= 0 && index > after(all) - 2 ? { ...step, ...change(step) } : step,
    ),
  );

/** The state that a step is for is another. */
export const forOtherState = (type: PlanStep['type']): Mistake =>
  changed(type, (step) => ('to' in step && typeof step.to !== 'string' ? { to: other(step.to) } : {}));

/** A second switch behind the first. */
export const twice = (id: string, acceptable: boolean): Mistake =>
  steps((all, { to }) => {
    if (after(all) < 0 || to.mode === 'off') return all;
    return [...all, ...transition(id, to, other(to), { perSecond: null, acceptable })];
  });
