/**
 * The operation in the model: R0, the switch, convergence, Rc, rewrite, proof, second look, in the order of
 * domain/plan/transition.ts. Secrets are settled by the product's own code, domain/settling.ts, several at a time.
 *
 * A generator that stops wherever others may act: before each request, and between the steps. Faults that end an activity are
 * not in it: they do not lead to "proven".
 */
import { sameProcesses } from '../../../domain/convergence';
import { isComplete, wentBackwards, type ProofBounds } from '../../../domain/proof';
import { settling, type Answer, type ObjectState, type Question, type Settlement } from '../../../domain/settling';
import type { Cluster } from './cluster';
import type { Behaviour } from './behaviour';
import type { Scenario } from './scenarios';

/** What becomes of one request: which Secret it is for, who answers it, and whether the answer comes. */
export interface Turn {
  readonly pick: number;
  readonly server: number;
  /** `lost`: done, but nobody hears of it. `never-arrived`: not done, which looks the same. */
  readonly fate: 'answered' | 'lost' | 'never-arrived';
}

/** Where the operation is, for those who act around it. */
export interface Stage {
  switchAsked: boolean;
  /** From the moment that convergence is seen until it has to be seen again. */
  converged: boolean;
  /** The processes that convergence was seen of. */
  processes: readonly string[];
  /** The resource version of the list of the proof, from then on. */
  proofListed: number | undefined;
}

/** How it ended. */
export interface Ending {
  readonly proven: boolean;
  readonly attempts: number;
  readonly bounds: ProofBounds;
}

interface Context {
  readonly cluster: Cluster;
  readonly scenario: Scenario;
  readonly behaviour: Behaviour;
  readonly stage: Stage;
}

type Item = ObjectState & { readonly name: string };
type Listing = ReturnType<Cluster['list']>;

const MOST_ATTEMPTS = 2;
const IN_FLIGHT = 3;
const NOT_FOUND: Answer = { type: 'notFound', refusal: { reason: 'ServerError', message: 'not found' } };

/** Runs the operation. A second attempt is what a person's retry does: convergence is seen anew, with a new Rc. */
export function* operation(context: Context): Generator<void, Ending, Turn> {
  const { cluster, scenario, behaviour, stage } = context;
  const before = cluster.list();
  const baselineRv = scenario.baseline ? before.resourceVersion : null;
  yield;
  stage.switchAsked = true;
  for (let attempts = 1; ; attempts++) {
    const early = cluster.list().resourceVersion;
    yield;
    while (behaviour.convergence === 'seen' && !hasConverged(context)) yield;
    stage.converged = true;
    const processes = cluster.processes();
    stage.processes = processes;
    yield;
    const late = cluster.list().resourceVersion;
    const convergedRv = behaviour.notesRc === 'after-convergence' ? late : early;
    yield;
    const bounds: ProofBounds = { baselineRv, convergedRv, method: behaviour.method ?? scenario.method };
    const list = (): Listing => (behaviour.lists === 'anew' ? cluster.list() : before);
    yield* pass(context, bounds, list());
    const listed = list();
    stage.proofListed = Number(listed.resourceVersion);
    const unproven = yield* pass(context, bounds, listed);
    const lastList = cluster.list().resourceVersion;
    const wentBack = behaviour.comparesLists === 'to-the-end' && wentBackwards(listed.resourceVersion, lastList);
    const convergenceHeld = !wentBack && holds(context, processes);
    const proven = unproven !== 'old-list' && isComplete({ unproven, convergenceHeld });
    if (proven || attempts === MOST_ATTEMPTS) return { proven, attempts, bounds };
    Object.assign(stage, { converged: false, proofListed: undefined });
  }
}

/** @returns how many Secrets are not proven */
function* pass(
  context: Context,
  bounds: ProofBounds,
  { resourceVersion, items }: Listing,
): Generator<void, number | 'old-list', Turn> {
  const { behaviour } = context;
  const earlier = [bounds.baselineRv, bounds.convergedRv].filter((rv) => rv !== null);
  if (behaviour.comparesLists !== 'never' && earlier.some((rv) => wentBackwards(rv, resourceVersion)))
    return 'old-list';
  const waiting = [...items];
  const inFlight: Settling[] = [];
  let unproven = 0;
  for (;;) {
    while (inFlight.length < IN_FLIGHT) {
      const item = waiting.shift();
      if (item === undefined) break;
      inFlight.push(new Settling(item, bounds, context));
    }
    const ended = inFlight.findIndex(({ settlement }) => settlement !== undefined);
    if (ended >= 0) {
      const type = inFlight.splice(ended, 1)[0]?.settlement?.type;
      if (type === 'contradiction' || type === 'refused') unproven++;
      continue;
    }
    if (inFlight.length === 0) return unproven;
    const turn = yield;
    inFlight[turn.pick % inFlight.length]?.advance(turn);
  }
}

/** One Secret that is being settled. */
class Settling {
  settlement: Settlement | undefined;
  readonly #steps: Generator<Question, Settlement, Answer>;
  readonly #item: Item;
  readonly #context: Context;
  #question: Question | undefined;

  constructor(item: Item, bounds: ProofBounds, context: Context) {
    this.#item = item;
    this.#context = context;
    this.#steps = settling(item, bounds, context.behaviour.rule);
    this.#take(this.#steps.next());
  }

  /** Puts one question to a server. */
  advance(turn: Turn): void {
    if (this.#question === undefined) return;
    const answer = this.#question.type === 'read' ? this.#read(turn) : this.#patch(this.#question, turn);
    if (answer === 'done') this.settlement = { type: 'rewritten' };
    else this.#take(this.#steps.next(answer));
  }

  #read({ fate }: Turn): Answer {
    if (fate !== 'answered') return { type: 'unknown' };
    const state = this.#context.cluster.read(this.#item.name);
    return state ? { type: 'state', state } : NOT_FOUND;
  }

  #patch({ fence, forced }: Extract<Question, { type: 'patch' }>, turn: Turn): Answer | 'done' {
    const { cluster, behaviour } = this.#context;
    const annotated = forced && behaviour.forcedPatch === 'annotates';
    const reply =
      turn.fate === 'never-arrived'
        ? undefined
        : cluster.patch(this.#item.name, fence, annotated, cluster.server(turn.server));
    if (reply === undefined || turn.fate === 'lost')
      return behaviour.onLostAnswer === 'done' ? 'done' : { type: 'unknown' };
    if (reply.type === 'state') return { type: 'state', state: reply.state };
    if (reply.type === 'notFound') return behaviour.onNotFound === 'done' ? 'done' : NOT_FOUND;
    return behaviour.onConflict === 'done' ? 'done' : { type: 'unknown' };
  }

  #take(step: IteratorResult<Question, Settlement>): void {
    if (step.done) this.settlement = step.value;
    else this.#question = step.value;
  }
}

/** No server, and none that was replaced and has not ended, writes with another key. */
function hasConverged({ cluster, scenario, behaviour }: Context): boolean {
  const awaitsEnd = behaviour.replacedServers === 'waited-for' && cluster.replaced.length > 0;
  return cluster.allWriteWith(scenario.target) && !awaitsEnd;
}

/** The second look, as activities/second-look.ts takes it. */
function holds({ cluster, scenario, behaviour }: Context, first: readonly string[]): boolean {
  if (behaviour.secondLook === 'none') return true;
  // Behind one provider name a canary tells nothing; anywhere else a server with another key changes it back.
  if (scenario.scheme !== 'kms-v1-shared' && !cluster.allWriteWith(scenario.target)) return false;
  return behaviour.secondLook === 'servers-agree' || sameProcesses(first, cluster.processes());
}
