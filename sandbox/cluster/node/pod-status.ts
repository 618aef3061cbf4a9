/** The status of a pod, as a kubelet writes it. Pure. */
import type { ContainerEnd } from './container';
import type { Pod } from './pod';

/** What a container is doing. */
export type ContainerState =
  | { readonly kind: 'waiting'; readonly reason: string; readonly message?: string }
  | { readonly kind: 'running'; readonly startedAt: string }
  | { readonly kind: 'terminated'; readonly end: ContainerEnd };

/** A container, and how often it was started again. */
export interface ContainerProgress {
  readonly state: ContainerState;
  readonly restarts: number;
  readonly last?: ContainerEnd;
}

/** Why the pod itself failed, whatever its containers did. */
export interface PodFailure {
  readonly reason: string;
  readonly message: string;
}

/** The whole status. @param startedAt when the node took the pod */
export function podStatus(
  pod: Pod,
  progress: ReadonlyMap<string, ContainerProgress>,
  startedAt: string,
  failure?: PodFailure,
): object {
  const states = [...progress.values()].map(({ state }) => state);
  const phase = failure === undefined ? phaseOf(states) : 'Failed';
  const mounted = states.every(({ kind, ...rest }) => kind !== 'waiting' || !isCreating(rest));
  const ready = phase === 'Running' && states.every(({ kind }) => kind === 'running');
  const over = phase === 'Succeeded' ? 'PodCompleted' : phase === 'Failed' ? 'PodFailed' : 'ContainersNotReady';
  return {
    phase,
    reason: failure?.reason ?? null,
    message: failure?.message ?? null,
    startTime: startedAt,
    hostIP: '127.0.0.1',
    conditions: [
      condition('PodReadyToStartContainers', mounted, startedAt),
      condition('Initialized', true, startedAt),
      condition('Ready', ready, startedAt, over),
      condition('ContainersReady', ready, startedAt, over),
      condition('PodScheduled', true, startedAt),
    ],
    containerStatuses: pod.spec.containers.map(({ name, image }) => {
      const { state, restarts, last } = progress.get(name) ?? { state: CREATING, restarts: 0 };
      return {
        name,
        image,
        imageID: '',
        ready: state.kind === 'running',
        started: state.kind === 'running',
        restartCount: restarts,
        state: stateBody(state),
        lastState: last === undefined ? {} : stateBody({ kind: 'terminated', end: last }),
      };
    }),
  };
}

/** A container whose volumes are not mounted yet. */
export const CREATING: ContainerState = { kind: 'waiting', reason: 'ContainerCreating' };

function isCreating(rest: object): boolean {
  return 'reason' in rest && rest.reason === 'ContainerCreating';
}

function phaseOf(states: readonly ContainerState[]): string {
  if (states.every((state) => state.kind === 'terminated')) {
    return states.every((state) => state.end.exitCode === 0) ? 'Succeeded' : 'Failed';
  }
  return states.some(
    (state) => state.kind === 'running' || (state.kind === 'waiting' && state.reason === 'CrashLoopBackOff'),
  )
    ? 'Running'
    : 'Pending';
}

function condition(type: string, holds: boolean, lastTransitionTime: string, reason?: string): object {
  return {
    type,
    status: holds ? 'True' : 'False',
    lastTransitionTime,
    ...(holds || reason === undefined ? {} : { reason }),
  };
}

function stateBody(state: ContainerState): object {
  switch (state.kind) {
    case 'waiting':
      return { waiting: { reason: state.reason, ...(state.message === undefined ? {} : { message: state.message }) } };
    case 'running':
      return { running: { startedAt: state.startedAt } };
    case 'terminated': {
      const { exitCode, signal, message, startedAt, finishedAt } = state.end;
      return {
        terminated: {
          exitCode,
          reason: exitCode === 0 ? 'Completed' : 'Error',
          startedAt,
          finishedAt,
          ...(signal === undefined ? {} : { signal }),
          ...(message === '' ? {} : { message }),
        },
      };
    }
  }
}
