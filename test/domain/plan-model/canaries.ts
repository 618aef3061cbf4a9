/** Canaries and convergence in the machine, as activities/canaries.ts, canary-watch.ts and convergence.ts have them. */
import { allRestarted, type Baseline, type Canary, type Convergence } from '../../../domain/convergence';
import type { EncryptionTarget } from '../../../domain/encryption';
import type { ApiServer } from '../proof-model/cluster';
import { PLAINTEXT, type Machine } from './machine';
import { Blocked, type Execution } from './running';

const COUNT = 2;
const STILL_PATCHES = 4;
const MOST_CHANGES = 5;

interface Watched {
  readonly name: string;
  readonly ofBaseline: boolean;
  resourceVersion: string;
  content: number;
  state: 'old' | 'settled';
}

/** The names of an operation's own canaries. */
export function canariesOf(operationId: string): string[] {
  return Array.from({ length: COUNT }, (_, index) => `canary-${operationId}-${index}`);
}

/** Makes them, or finds them. */
export function ensureCanaries(machine: Machine, operationId: string): Canary[] {
  return canariesOf(operationId).map((name) => {
    if (!machine.cluster.read(name)) machine.cluster.write(name, machine.anyServer());
    return canaryOf(machine, name);
  });
}

/** Canaries that keep still, and R0. */
export function takeBaseline({ machine, behaviour, run }: Execution): Baseline {
  const canaries = ensureCanaries(machine, run.id).map((made) => {
    let known = made;
    let [still, changes] = [0, 0];
    while (still < STILL_PATCHES && behaviour.canariesOfBaseline === 'still') {
      patch(machine, made.name, machine.anyServer());
      const now = canaryOf(machine, made.name);
      const same = now.resourceVersion === known.resourceVersion;
      still = same ? still + 1 : 0;
      changes += same ? 0 : 1;
      if (changes > MOST_CHANGES) throw new Blocked('CanariesNotStill');
      known = now;
    }
    return known;
  });
  const { resourceVersion } = machine.cluster.list();
  return { baselineRv: resourceVersion, canaries, processes: machine.cluster.processes() };
}

/** Probes canaries and keeps the score. */
export class Watch {
  flips = 0;
  contentChanges = 0;
  #canaries: Watched[];
  #witnessed: boolean;

  constructor(
    private readonly execution: Execution,
    private readonly target: EncryptionTarget,
    private readonly baseline: Baseline | undefined,
  ) {
    this.#canaries = (baseline?.canaries ?? []).map((canary) => watched(canary, true));
    this.#witnessed = baseline === undefined;
  }

  /** One look. @returns undefined as long as not every server is seen to write with the target */
  look(): Convergence | undefined {
    const { machine } = this.execution;
    const { target, baseline } = this;
    for (const canary of this.#canaries) if (canary.state === 'old') this.#probe(canary, machine.anyServer());
    const unswitched = this.#canaries.some(({ state }) => state === 'old');
    if (unswitched) {
      const silent = target.scheme === 'kms-v1' && baseline !== undefined && !this.#witnessed;
      const concluded = silent && allRestarted(baseline.processes, machine.cluster.processes());
      return concluded ? this.#conclude('forced', 'Every process is a new one.') : undefined;
    }
    if (!this.#isStill()) return undefined;
    if (machine.metrics) {
      const expected = target.scheme === 'identity' ? PLAINTEXT : target.keyId;
      return machine.cluster.allWriteWith(expected) ? this.#conclude('no-op') : undefined;
    }
    if (!this.#witnessed) return undefined;
    const method = target.scheme === 'kms-v1' && baseline === undefined ? 'forced' : 'no-op';
    return this.#conclude(method, 'Canaries alone.');
  }

  #conclude(method: Convergence['method'], ...weaknesses: string[]): Convergence {
    const { cluster, metrics } = this.execution.machine;
    return {
      baselineRv: this.baseline?.baselineRv ?? null,
      convergedRv: cluster.list().resourceVersion,
      probes: 0,
      stillProbes: 0,
      flips: this.flips,
      contentChanges: this.contentChanges,
      leases: [],
      processes: cluster.processes(),
      metrics: metrics ? 'confirmed' : 'unavailable',
      method,
      weaknesses,
    };
  }

  /** Twenty probes over fresh connections meet every server: that chance is the proof's, and not this machine's. */
  #isStill(): boolean {
    const { machine, run } = this.execution;
    if (this.#canaries.length === 0)
      this.#canaries = ensureCanaries(machine, run.id).map((canary) => watched(canary, false));
    return this.#canaries.every((canary) => machine.cluster.servers.every((server) => this.#probe(canary, server)));
  }

  /** @returns whether nothing changed */
  #probe(canary: Watched, server: ApiServer): boolean {
    const { machine, behaviour } = this.execution;
    if (!machine.cluster.read(canary.name)) {
      this.#canaries = this.#canaries.filter((other) => other !== canary);
      return true;
    }
    patch(machine, canary.name, server);
    const { resourceVersion } = canaryOf(machine, canary.name);
    if (resourceVersion === canary.resourceVersion) return true;
    const content = machine.contentOf(canary.name);
    const tells = behaviour.tellsOfSwitch(canary.content, content);
    if (!tells && ++this.contentChanges > MOST_CHANGES * COUNT) throw new Blocked('CanariesNotStill');
    if (tells && canary.state === 'settled') this.flips++;
    if (tells && canary.ofBaseline) this.#witnessed = true;
    Object.assign(canary, { resourceVersion, content, state: 'settled' });
    return false;
  }
}

function patch(machine: Machine, name: string, server: ApiServer): void {
  const fence = machine.cluster.read(name);
  if (fence) machine.cluster.patch(name, fence, machine.webhookChanges(name), server);
}

function canaryOf(machine: Machine, name: string): Canary {
  const { uid = '', resourceVersion = '0' } = machine.cluster.read(name) ?? {};
  return { namespace: 'kube-system', name, uid, resourceVersion, content: String(machine.contentOf(name)) };
}

function watched({ name, resourceVersion, content }: Canary, ofBaseline: boolean): Watched {
  return { name, ofBaseline, resourceVersion, content: Number(content), state: ofBaseline ? 'old' : 'settled' };
}
