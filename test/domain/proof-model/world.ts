/**
 * The world around the operation: users who write, servers that switch, die and come, etcd that is restored. A schedule says
 * in which order all of it happens, request by request.
 */
import fc from 'fast-check';
import { Cluster } from './cluster';
import type { Behaviour } from './behaviour';
import type { Snapshot } from './etcd';
import { operation, type Ending, type Stage, type Turn } from './operation';
import type { Scenario } from './scenarios';

/** What happens next. Numbers are taken modulo what there is, so that every action means something at any time. */
export type Action =
  | ({ readonly type: 'operation' } & Turn)
  | { readonly type: 'write' | 'delete' | 'orphan'; readonly secret: number; readonly server: number }
  | { readonly type: 'switch' | 'leave'; readonly server: number }
  | { readonly type: 'restart'; readonly server: number; readonly old: boolean }
  | { readonly type: 'join'; readonly old: boolean }
  /** What a client that stays connected to a server that was replaced writes. */
  | { readonly type: 'write-to-replaced'; readonly secret: number; readonly server: number }
  | { readonly type: 'tick' | 'end-replaced' | 'snapshot' | 'restore' };

/** What may happen in a world. */
export interface Limits {
  /**
   * What a process that was started after convergence, perhaps with the old key, may do before the second look: anything but
   * be gone, or that too.
   */
  readonly latecomers: 'stay' | 'may-vanish';
  /** Whether etcd may be restored. A backup is always one of the history that stands: each restore voids what is newer. */
  readonly restores: boolean;
  /** Whether Secrets come and go, or are only changed. */
  readonly comeAndGo: boolean;
  /** Whether Secrets may lose their namespace. */
  readonly orphans: boolean;
  /** Whether a change of the key reaches the servers at all. */
  readonly switches: boolean;
  /** Whether nobody but the operation does anything once convergence was seen. */
  readonly quietAfterConvergence: boolean;
}

/** One run: how it starts, and what happens. */
export interface Story {
  /** For each Secret, which of the scenario's keys it starts under. */
  readonly secrets: readonly number[];
  /** For each server, whether it starts with the target; counts only in scenarios without a baseline. */
  readonly servers: readonly boolean[];
  readonly schedule: readonly Action[];
}

/** How a run ended. */
export interface Outcome extends Ending {
  readonly cluster: Cluster;
  /** etcd was restored after the list of the proof, and had grown to that list's resource version again by the end. */
  readonly regrown: boolean;
}

const QUIET: Turn = { pick: 0, server: 0, fate: 'answered' };
const MOST_QUIET_TURNS = 1000;

/** Random stories. */
export function stories(): fc.Arbitrary<Story> {
  const number = fc.nat(5);
  const few = fc.nat(2);
  const fate = fc.constantFrom<Turn['fate'][]>('answered', 'answered', 'answered', 'lost', 'never-arrived');
  const action = fc.oneof(
    { weight: 14, arbitrary: fc.record({ type: fc.constant('operation' as const), pick: few, server: few, fate }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant('write' as const), secret: number, server: few }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('delete' as const), secret: number, server: few }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('orphan' as const), secret: number, server: few }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant('switch' as const), server: few }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('leave' as const), server: few }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('restart' as const), server: few, old: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('join' as const), old: fc.boolean() }) },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constant('write-to-replaced' as const), secret: number, server: few }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        type: fc.constantFrom('tick' as const, 'end-replaced' as const, 'snapshot' as const, 'restore' as const),
      }),
    },
  );
  return fc.record({
    secrets: fc.array(few, { maxLength: 4 }),
    servers: fc.array(fc.boolean(), { minLength: 1, maxLength: 3 }),
    schedule: fc.array(action, { maxLength: 70, size: 'max' }),
  });
}

/** Runs a story; when its schedule is over, nobody but the operation acts any more, and servers switch as they should. */
export function run(scenario: Scenario, behaviour: Behaviour, limits: Limits, story: Story): Outcome {
  const world = new World(scenario, limits, story);
  const steps = operation({ cluster: world.cluster, scenario, behaviour, stage: world.stage });
  let step = steps.next(QUIET);
  for (const action of story.schedule) {
    if (step.done) break;
    if (action.type === 'operation') step = steps.next(action);
    else world.act(action);
  }
  for (let turns = 0; !step.done; turns++) {
    if (turns > MOST_QUIET_TURNS) throw new Error('The operation does not come to its end in a quiet world.');
    world.settleDown();
    step = steps.next(QUIET);
  }
  return { ...step.value, cluster: world.cluster, regrown: world.regrown };
}

class World {
  readonly cluster: Cluster;
  readonly stage: Stage = { switchAsked: false, converged: false, processes: [], proofListed: undefined };
  readonly #scenario: Scenario;
  readonly #limits: Limits;
  #snapshot: Snapshot | undefined;
  /** The resource version of the proof's list that etcd was restored after. */
  #restoredAfter: number | undefined;

  constructor(scenario: Scenario, limits: Limits, { secrets, servers }: Story) {
    const { old, target, seeded, baseline } = scenario;
    this.#scenario = scenario;
    this.#limits = limits;
    this.cluster = new Cluster(
      scenario.scheme,
      servers.map((switched) => (switched && !baseline ? target : old)),
    );
    secrets.forEach((key, index) => this.cluster.seed(`secret-${index}`, seeded[key % seeded.length] ?? old));
  }

  get regrown(): boolean {
    const { proofListed } = this.stage;
    return (
      proofListed !== undefined && proofListed === this.#restoredAfter && this.cluster.etcd.revision >= proofListed
    );
  }

  act(action: Exclude<Action, { type: 'operation' }>): void {
    const { cluster } = this;
    if (this.stage.converged && this.#limits.quietAfterConvergence) return;
    switch (action.type) {
      case 'write':
        if (this.#limits.comeAndGo || cluster.read(`secret-${action.secret}`))
          cluster.write(`secret-${action.secret}`, cluster.server(action.server));
        return;
      case 'write-to-replaced': {
        const replaced = cluster.replaced[action.server % Math.max(cluster.replaced.length, 1)];
        if (replaced && cluster.read(`secret-${action.secret}`)) cluster.write(`secret-${action.secret}`, replaced);
        return;
      }
      case 'end-replaced':
        cluster.replaced = [];
        return;
      case 'delete':
        if (this.#limits.comeAndGo) cluster.etcd.delete(`secret-${action.secret}`);
        return;
      case 'orphan':
        if (this.#limits.orphans) cluster.orphans.add(`secret-${action.secret}`);
        return;
      case 'tick':
        return cluster.etcd.tick();
      case 'switch':
        if (this.#maySwitch()) cluster.server(action.server).writesWith = this.#scenario.target;
        return;
      case 'leave':
        if (!this.#isLate(action.server) || this.#limits.latecomers === 'may-vanish')
          cluster.leave(cluster.server(action.server));
        return;
      case 'restart':
        return cluster.restart(cluster.server(action.server), this.#keyOfNewProcess(action.old));
      case 'join':
        if (cluster.servers.length < 3) cluster.join(this.#keyOfNewProcess(action.old));
        return;
      case 'snapshot':
        this.#snapshot = cluster.etcd.snapshot();
        return;
      case 'restore':
        return this.#restore();
    }
  }

  /** Replaced servers end, and the old ones come round, as long as the operation waits for them. */
  settleDown(): void {
    this.cluster.replaced = [];
    if (this.stage.converged || !this.#maySwitch()) return;
    for (const server of this.cluster.servers) server.writesWith = this.#scenario.target;
  }

  #isLate(server: number): boolean {
    const { process } = this.cluster.server(server);
    return this.stage.converged && !this.stage.processes.includes(process);
  }

  #maySwitch(): boolean {
    return this.#limits.switches && this.stage.switchAsked;
  }

  #keyOfNewProcess(old: boolean): string {
    return old || !this.#maySwitch() ? this.#scenario.old : this.#scenario.target;
  }

  #restore(): void {
    if (this.#snapshot === undefined || !this.#limits.restores) return;
    this.#restoredAfter = this.stage.proofListed;
    this.cluster.etcd.restore(this.#snapshot);
  }
}
