/** What an operation leaves behind when it ends before its plan is done. */
import type { Operation } from './operation';
import { StepId } from './plan';

/** One or two sentences for whoever reads the end: what was changed, and what must be kept. */
export function stateLeft({ steps }: Pick<Operation, 'steps'>): string {
  const status = (id: StepId): string | undefined => {
    const step = steps.find((one) => one.id === id);
    return step?.startedAt === undefined ? undefined : step.status;
  };
  switch (status(StepId.SetKey)) {
    case undefined:
      return status(StepId.CreateKeyVersion) === 'done'
        ? 'The key of the cluster was not changed; a new key version was made and is not in use.'
        : 'Nothing was changed.';
    case 'done':
      return 'The cluster writes with the new key, but not every Secret is proven to be under it. Keep both keys; the next rotation proves the Secrets first.';
    default:
      return 'Azure was asked for the new key and was not seen to have finished. Keep both keys; look at the provisioning state of the cluster.';
  }
}
