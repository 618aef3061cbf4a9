/** The events of an operation: a list that only grows, whatever the view forgets. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { eventId, eventsOf, isLast, sequenceOf, type OperationEvent } from '../../domain/events';
import { milestonesAfter } from '../../domain/milestones';
import { newOperation } from '../../domain/new-operation';
import { OperationStatus, stepStates, type Operation, type StepState } from '../../domain/operation';
import { memoOf, operationInMemo } from '../../domain/operation-memo';
import { millisecondsAfter } from '../../domain/times';
import { NOW, person, planned, request, SIGNED } from './fixtures';

const ID = `op-${'a'.repeat(26)}`;
const PLAN = planned('rotate-key');

/** An operation as its workflow shows it: each change, as it is stored and read again. */
class Shown {
  view: Operation = newOperation({ id: ID, request: request(), requestedBy: person('olga'), requestedAt: NOW });
  #ticks = 0;

  get events(): OperationEvent[] {
    return eventsOf(operationInMemo(JSON.parse(JSON.stringify(memoOf(this.view))) as Record<string, unknown>));
  }

  now = (): string => millisecondsAfter(NOW, this.#ticks * 700 - 5);

  show(change: Partial<Operation>): void {
    this.#ticks += 1;
    const after = { ...this.view, ...change };
    this.view = { ...after, milestones: [...milestonesAfter(this.view, after, this.now())] };
  }

  step(index: number, change: Partial<StepState>): Pick<Operation, 'steps'> {
    return { steps: this.view.steps.map((step, at) => (at === index ? { ...step, ...change } : step)) };
  }

  /** The step at hand: the first that is not done. */
  get at(): number {
    return this.view.steps.findIndex(({ status }) => status !== 'done');
  }
}

/** What a workflow may do with its view. One that does not fit at the moment does nothing. */
const ACTIONS: Readonly<Record<string, (shown: Shown) => void>> = {
  plan: (shown) => {
    const { view } = shown;
    if (view.status !== 'Planning' && view.status !== 'AwaitingCluster') return;
    const planRevision = view.planRevision + 1;
    shown.show({ plan: PLAN, planRevision, steps: stepStates(PLAN, []), approvals: [] });
  },
  begin: (shown) => {
    if (shown.view.plan === null || shown.at < 0 || shown.view.steps[shown.at]?.status !== 'pending') return;
    const gate = PLAN.steps[shown.at]?.type === 'gate';
    const status = gate ? OperationStatus.AwaitingApproval : OperationStatus.Running;
    shown.show({ ...shown.step(shown.at, { status: 'running', startedAt: shown.now() }), status });
  },
  approve: (shown) => {
    const gate = PLAN.steps[shown.at];
    if (shown.view.status !== 'AwaitingApproval' || gate === undefined) return;
    const by = person(`anna-${shown.view.approvals.length}`);
    const approval = { ...SIGNED, by, at: shown.now(), planDigest: PLAN.digest, gate: gate.id };
    shown.show({ approvals: [...shown.view.approvals, approval] });
  },
  done: (shown) => {
    if (shown.view.steps[shown.at]?.status !== 'running') return;
    shown.show({ ...shown.step(shown.at, { status: 'done', endedAt: shown.now() }), status: OperationStatus.Planning });
  },
  block: (shown) => {
    if (shown.view.steps[shown.at]?.status !== 'running' || shown.view.status !== 'Running') return;
    const reason = { code: 'KeyNotReported', detail: 'A text of others.' };
    shown.show({ ...shown.step(shown.at, { status: 'blocked' }), status: 'Blocked', reason, faults: [reason] });
  },
  retry: (shown) => {
    const step = shown.view.steps[shown.at];
    if (step?.status !== 'blocked') return;
    const change = { status: 'running' as const, attempt: (step.attempt ?? 1) + 1 };
    shown.show({ ...shown.step(shown.at, change), status: 'Running', reason: null, faults: [] });
  },
  wait: (shown) => {
    if (shown.view.status === 'Planning') shown.show({ status: 'AwaitingCluster', waitingFor: 'another' });
  },
  nothing: (shown) => shown.show({ waitingFor: 'something else' }),
};

describe('the events of an operation', () => {
  it('only grow: those of an earlier view are the beginning of those of a later one, without gaps and in the order of time', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...Object.keys(ACTIONS)), { maxLength: 40, size: 'max' }), (names) => {
        const shown = new Shown();
        let after = shown.events;
        for (const name of names) {
          const before = after;
          ACTIONS[name]?.(shown);
          after = shown.events;
          expect(after.slice(0, before.length)).toEqual(before);
          expect(after.length - before.length).toBeLessThanOrEqual(1);
        }
        expect(after.map(({ data }) => data.sequence)).toEqual(after.map((_, index) => index + 1));
        const times = after.slice(1).map(({ timestamp }) => timestamp);
        expect([...times].sort()).toEqual(times);
      }),
      { numRuns: 25 },
    );
  });

  it('tell a rotation with a second plan, a block and a retry, by ids and codes, from the request to the evidence', () => {
    const shown = new Shown();
    const run = (...names: string[]): void => names.forEach((name) => ACTIONS[name]?.(shown));
    run(
      'plan',
      'begin',
      'approve',
      'done',
      'wait',
      'plan',
      'begin',
      'approve',
      'done',
      'begin',
      'block',
      'retry',
      'done',
    );
    shown.show({ status: 'Failed', reason: { code: 'CreateKeyRefused', detail: 'No.' }, endedAt: shown.now() });
    shown.show({ evidence: { file: 'f', digest: 'd', signingKeyId: 's' } });
    const first = PLAN.steps[1]?.id;
    const told = shown.events.map(({ type, data: { step, attempt, revision, code, by } }) =>
      [type.slice('operation.'.length), step, attempt, revision, code, by].filter((one) => one !== undefined).join(' '),
    );
    expect(told).toEqual([
      'requested',
      'planned 1',
      'approval_requested approve',
      'approved approve oid-anna-0',
      'step.done approve',
      'waits_for_cluster',
      'planned 2',
      'approval_requested approve',
      'approved approve oid-anna-0',
      'step.done approve',
      `step.started ${first}`,
      `blocked ${first} 1 KeyNotReported`,
      `retried ${first} 2`,
      `step.done ${first}`,
      'failed CreateKeyRefused',
      'evidence_sealed',
    ]);
    expect(shown.events.map(isLast).indexOf(true)).toBe(shown.events.length - 1);
    const text = JSON.stringify(shown.events);
    expect(text).not.toMatch(/A text of others|anna"|olga/);
    for (const event of shown.events) expect(JSON.stringify(event).length).toBeLessThan(1_000);
  });

  it('have the end of a workflow that was ended from outside, which could not write it', () => {
    const shown = new Shown();
    ACTIONS.plan?.(shown);
    const outside = {
      ...shown.view,
      status: OperationStatus.Failed,
      endedAt: NOW,
      reason: { code: 'InternalError', detail: '' },
    };
    expect(eventsOf(outside).at(-1)).toMatchObject({
      type: 'operation.failed',
      data: { sequence: 3, code: 'InternalError' },
    });
    expect(eventsOf(outside).slice(0, -1)).toEqual(shown.events);
  });

  it('have a limit for what people may cause again and again; steps and the end are told all the same', () => {
    const shown = new Shown();
    for (const name of ['plan', 'begin', 'approve', 'done', 'begin']) ACTIONS[name]?.(shown);
    const lengths = Array.from({ length: 40 }, () => {
      ACTIONS.block?.(shown);
      ACTIONS.retry?.(shown);
      return shown.events.length;
    });
    expect(lengths[9]).toBe(6 + 2 * 10);
    expect(lengths[39]).toBe(lengths[30]);
    ACTIONS.done?.(shown);
    expect(shown.events.at(-1)).toMatchObject({
      type: 'operation.step.done',
      data: { sequence: (lengths[39] ?? 0) + 1 },
    });
  });

  it('have ids that tell where to go on, and only for their own operation', () => {
    const [first] = new Shown().events;
    if (!first) throw new Error('There is no event.');
    expect(eventId(first)).toBe(`${ID}.1`);
    expect(sequenceOf(eventId(first), ID)).toBe(1);
    for (const wrong of [`op-${'b'.repeat(26)}.1`, ID, `${ID}.0`, `${ID}.-1`, `${ID}.1x`, '']) {
      expect(sequenceOf(wrong, ID)).toBeUndefined();
    }
  });

  it('have links that are paths, or URLs where the public address is known', () => {
    const { view } = new Shown();
    const selves = [eventsOf(view), eventsOf(view, 'https://keys.example')].map(([event]) => event?.data.links.self);
    expect(selves).toEqual([`/v1/operations/${ID}`, `https://keys.example/v1/operations/${ID}`]);
  });
});
