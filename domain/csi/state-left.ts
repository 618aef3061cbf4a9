/** What an operation on a connection between pods and a vault leaves behind when it ends before its plan is done. */
import type { PlanStep } from '../plan/steps';
import { CSI_STEPS } from './steps';

/** Their types. */
const TYPES: readonly string[] = CSI_STEPS.map(({ shape }) => shape.type.value);
/** They leave nothing that a later request needs. */
const PROOFS: readonly string[] = ['prove-mount', 'prove-rotation'];

/** A few sentences; none when no such step has begun. */
export function connectionLeft(begun: readonly PlanStep[], isDone: (step: PlanStep) => boolean): string[] {
  const parts = begun.filter(({ type }) => TYPES.includes(type) && !PROOFS.includes(type));
  const [last] = parts.slice(-1);
  if (last === undefined) return [];
  const making = parts.some(({ type }) => !type.startsWith('delete') && !type.startsWith('disable'));
  return [
    `Of the connection with the vault this was done: ${
      parts
        .filter(isDone)
        .map(({ id }) => id)
        .join(', ') || 'nothing'
    }.`,
    ...(isDone(last) ? [] : [`${last.id} may have been done: look there.`]),
    making
      ? 'It stays: the same request, asked again, goes on from there; disconnect-csi removes what Keyturn made.'
      : 'The same request, asked again, goes on from there.',
    ...begun
      .filter((step) => step.type === 'prove-rotation' && !isDone(step))
      .map(
        ({ id }) =>
          `Keyturn removes what ${id} made. If the cluster or the vault did not answer, look for objects whose names begin with keyturn-rotation- and keyturn-probe-.`,
      ),
  ];
}
