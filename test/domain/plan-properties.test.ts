/**
 * The abstract machine of DESIGN.md section 4: real plans of the real planner fold over a model of what really is (etcd, key slots, Azure's
 * profile, vault, ledger, evidence), with a crash, a cancel, a lost lock or others at every prefix, and the next operation planned from
 * what is left. After each effect and each act of others:
 *
 * - K1: each key that a stored Secret, an API server or a slot needs is shown as needed.
 * - K2: each Secret can be read with the two slots: no switch of Keyturn evicts a key that is needed.
 * - K1 of a retirement: what is disabled or deleted is in no slot, under no Secret, written by no API server, and needed by no other
 *   cluster: a restart of all API servers loses nothing. An upgrade leaves no record that the version cannot read.
 * - K1 of a vault whose public address closes: no slot, no Secret and no other cluster needs it.
 * - K3: the same with KMS off: the key stays needed. K4: only disabled versions are deleted.
 * - K5: what the ledger calls proven is; and what evidence confirms of it is, whoever edited it.
 * - O3: nothing is written before the start gate, no plaintext, upgrade or deletion before its own. The result of an operation is true.
 *
 * Left out, and why:
 * - Somebody who sets a key and sets the proven one again between two looks of Keyturn: no key id tells of it (docs/proof.md, "What it
 *   does not prove"; test/domain/ledger-properties.test.ts shows what it does). While nothing is called proven, it happens here.
 * - Somebody who evicts a key that Secrets still need: then nothing can be read, and no operation begins.
 * - K1 of what Keyturn cannot know: a key that others set, until the ledger has it; the second slot after their switch; and keys that an
 *   edit of the ledger made it forget, until its next proof. The others' keys do not weaken K2 and K5.
 * - Where API servers do not show which key they write with (KMS v1; before 1.29), ones that are late after a switch by others: nobody
 *   knows when that was.
 * - Where all keys of KMS v1 have one provider name: others who set two keys while an operation switches or proves. Records do not tell of it; the
 *   product looks at Azure every few seconds meanwhile, and setting a key takes minutes, which the machine does not have.
 * - A restore of etcd inside an operation but for its soak, and requests in flight when a server switches:
 *   test/domain/proof-properties.test.ts has them. A restored backup whose Secrets are under a key that has left its slots: nothing
 *   can read them, and the warning of every retirement says so. After a restore, or after others have set a key, nobody puts a proof
 *   back into the ledger that evidence confirms.
 */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { keysNeeded } from '../../domain/ledger';
import { planFaults } from '../../domain/plan/check-plan';
import { isComplete } from '../../domain/proof';
import { planned } from './fixtures';
import { AS_PRODUCT, type Behaviour } from './plan-model/behaviour';
import {
  changed,
  exchanged,
  forOtherState,
  twice,
  without,
  withoutProofBefore,
  type Mistake,
} from './plan-model/mistakes';
import type { Breach } from './plan-model/judge';
import { awayAndBack, breachesOf, inQuiet, play, retirements, stories, type Story } from './plan-model/stories';

/** A fault found once is found each time; other stories are told with another seed. */
const SEED = Number(process.env.KEYTURN_SEED ?? 20_261);

/** @param of only these breaches count */
const holds = (
  change: Partial<Behaviour> = {},
  told = stories(),
  of?: readonly Breach['invariant'][],
): fc.IProperty<[Story]> => {
  const behaviour = { ...AS_PRODUCT, ...change };
  return fc.property(
    told,
    (story) => !breachesOf(story, behaviour).some(({ invariant }) => of === undefined || of.includes(invariant)),
  );
};
/** Whether a plan of each kind runs to its end when no other client acts, and is true. */
const succeeds = (change: Partial<Behaviour> = {}): fc.IProperty<[Story]> => {
  const behaviour = { ...AS_PRODUCT, ...change };
  return fc.property(stories(), (story) => inQuiet(story, behaviour));
};

/** Whether fast-check finds a counterexample; anything else that fails is an error. */
function refuted(property: fc.IProperty<[Story]>, numRuns = 2000): boolean {
  const { failed, errorInstance } = fc.check(property, { seed: SEED, numRuns, endOnFailure: true });
  if (failed && !/by returning false/.test(String(errorInstance))) throw errorInstance;
  return failed;
}

/**
 * While an operation converges after its switch, others set another key, and another operation sets the first one again: the canaries
 * of the first have changed for the others, and a late server still writes with their key.
 */
const awayForOthers: Story = {
  beginning: { scheme: 'kms-v2', metrics: false, kmsOn: false, servers: 1, secrets: [], chance: 0 },
  accepts: false,
  events: [
    { type: 'other-operation', ask: { what: 'rewrite', key: 0 }, times: 2 },
    { type: 'go', times: 8, ask: { what: 'change', key: 0 } },
    { type: 'go', times: 9, ask: { what: 'change', key: 3 } },
    { type: 'set', key: 0 },
    { type: 'other-operation', ask: { what: 'change', key: 2 }, times: 1 },
    { type: 'go', times: 60, ask: { what: 'change', key: 0 } },
  ],
};

describe('plans, whatever happens around them,', () => {
  it('keep K1 to K5 at each point', () => {
    fc.assert(holds(), { numRuns: 1000, seed: SEED, endOnFailure: true, examples: [[awayForOthers]] });
  });

  it('keep them while keys are replaced and retired, and others use them', () => {
    fc.assert(holds({}, retirements()), { numRuns: 700, seed: SEED, endOnFailure: true });
  });

  it('keep them while others set a key and the one before again', () => {
    fc.assert(holds({}, awayAndBack()), { numRuns: 400, seed: SEED, endOnFailure: true });
  });

  it('run to their end when no other client acts', () => {
    fc.assert(succeeds(), { numRuns: 200, seed: SEED, endOnFailure: true });
  });

  it('succeed often enough, so that the other tests are about something', () => {
    const ended = fc
      .sample(stories(), { numRuns: 200, seed: SEED, endOnFailure: true })
      .flatMap((story) => play(story, AS_PRODUCT).ended);
    expect(ended.filter((status) => status === 'Succeeded').length).toBeGreaterThan(60);
  });
});

describe('the machine finds out', () => {
  const { reconcile } = AS_PRODUCT.ledger;

  it.each<[string, Partial<Behaviour>]>([
    [
      'a list of needed keys that leaves out what a switch that has begun may have made current',
      { keysNeededNow: (plan, _steps, outputs) => AS_PRODUCT.keysNeededNow(plan, [], outputs) },
    ],
    [
      'one that forgets the keys of before as soon as a switch is noted',
      { keysNeededNow: (plan, ...rest) => AS_PRODUCT.keysNeededNow({ ...plan, keysNeeded: [] }, ...rest).slice(-1) },
    ],
    [
      'a ledger whose superseded keys are not needed (K3)',
      {
        ledger: {
          ...AS_PRODUCT.ledger,
          keysNeeded: (ledger) =>
            keysNeeded({ ...ledger, generations: ledger.generations.filter(({ state }) => state !== 'superseded') }),
        },
      },
    ],
    ["a webhook's change that is taken for a switch", { tellsOfSwitch: () => true, canariesOfBaseline: 'as-made' }],
    ["a webhook's change after the baseline that is taken for a switch", { tellsOfSwitch: () => true }],
    ['a proof behind one provider name that counts', { isConclusive: isComplete }],
    ['a ledger that is believed without evidence', { isConfirmed: () => true }],
    [
      'a ledger that is not made to agree with what Azure reports',
      {
        ledger: {
          ...AS_PRODUCT.ledger,
          reconcile: (ledger, ...rest) =>
            ledger && ledger.generations.length > 0 ? ledger : reconcile(ledger, ...rest),
        },
      },
    ],
  ])('%s', (_what, change) => {
    expect(refuted(holds(change))).toBe(true);
  });

  it.each<[string, Partial<Behaviour>]>([
    ['a proof that is recorded whatever happened since', { voidReason: () => undefined, proofHoldsForMs: Infinity }],
    // An interruption and the age of a proof void it each for itself: a change of the key by others brings about both.
    [
      'a proof that only another key voids',
      {
        voidReason: (since) =>
          AS_PRODUCT.voidReason({ ...since, interruptionsNow: since.interruptionsBefore, ageInMs: 0 }),
        proofHoldsForMs: Infinity,
      },
    ],
    [
      'a proof that no age voids',
      { voidReason: (since) => AS_PRODUCT.voidReason({ ...since, ageInMs: 0 }), proofHoldsForMs: Infinity },
    ],
  ])('%s', (_what, change) => {
    expect(refuted(holds(change, awayAndBack(), ['K5']))).toBe(true);
  });

  it('a switch whose state before it is proven no more', () => {
    const bold = stories().map((story): Story => ({ ...story, othersBringBack: true }));
    expect(refuted(holds({ switchesProvenOnly: false }, bold))).toBe(true);
    fc.assert(holds({}, bold), { numRuns: 100, seed: SEED, endOnFailure: true });
  });

  it('a proof that is recorded though another switch followed', () => {
    const proven: typeof AS_PRODUCT.ledger.proven = (ledger, ...rest) => ({
      ...ledger,
      generations: [
        ...ledger.generations.slice(0, -1),
        ...AS_PRODUCT.ledger.proven({ ...ledger, generations: ledger.generations.slice(-1) }, ...rest).generations,
      ],
    });
    expect(breachesOf(awayForOthers, { ...AS_PRODUCT, ledger: { ...AS_PRODUCT.ledger, proven } })).toMatchObject([
      { invariant: 'K5' },
    ]);
  });
});

/** A kind with a rule, or all rules of the ledger, left out. */
const withoutRules = (name: string, codes: readonly string[]): Partial<Behaviour> => ({
  kindOf: (asked) => {
    const { rules, factRules = [], ...rest } = AS_PRODUCT.kindOf(asked);
    const kept = <R extends { readonly codes: readonly string[] }>(all: readonly R[]): R[] =>
      all.filter((rule) => asked !== name || !rule.codes.some((code) => codes.includes(code)));
    return { ...rest, rules: kept(rules), factRules: kept(factRules) };
  },
});
const nobody: Pick<Behaviour, 'keyUserFaults' | 'usersOf'> = {
  keyUserFaults: () => [],
  usersOf: (usage, keyId) => ({ ...AS_PRODUCT.usersOf(usage, keyId), users: [] }),
};
const unchecked = (mistake: Mistake): Partial<Behaviour> => ({
  mistake,
  planFaults: () => [],
  switchesProvenOnly: false,
});
/** The steps of a retirement in front of all switches: as if the order in `retirement` or in a kind were another. */
const retiredFirst: Mistake = (plan) => {
  const late = plan.steps.filter(({ id }) => id.startsWith('retire.') || id === 'approve-deletion');
  const [start, ...rest] = plan.steps.filter((step) => !late.includes(step));
  const first = rest.findIndex(({ type }) => type === 'create-key-version' || type === 'take-baseline');
  if (!start || first < 0) return plan;
  return { ...plan, steps: [start, ...rest.slice(0, first), ...late, ...rest.slice(first)] };
};
/** The upgrade without the switch to plaintext before it. */
const upgradedFirst: Mistake = (plan) => ({
  ...plan,
  steps: plan.steps
    .filter(({ id }) => !id.startsWith('off.'))
    .map((step) => (step.type === 'upgrade-control-plane' ? { ...step, expect: plan.from } : step)),
});
const dropped =
  (...ids: string[]): Mistake =>
  (plan) => ({
    ...plan,
    steps: plan.steps.filter(({ id }) => !ids.includes(id)),
  });

describe('the machine finds out of a retirement', () => {
  it.each<[string, Partial<Behaviour>, Breach['invariant']]>([
    [
      'that neither other clusters nor the slots count',
      { ...nobody, ...withoutRules('retire-key', ['KeyInUse', 'KeyNotEvicted']) },
      'K1',
    ],
    ['that keyUserFaults finds no cluster', { keyUserFaults: () => [] }, 'K1'],
    ['that usersOf finds no cluster', nobody, 'K1'],
    ['that it comes before the rotations', { ...unchecked(retiredFirst), ...nobody }, 'K1'],
    ['that no person approves the deletion', unchecked(dropped('approve-deletion')), 'O3'],
  ])('%s', (_what, change, invariant) => {
    expect(refuted(holds(change, retirements(), [invariant]))).toBe(true);
  });

  it('that the ledger is not asked whether the key left its slots, after changes by others', () => {
    const blind = withoutRules('retire-key', ['KeyInUse', 'KeyNotEvicted']);
    const usersOf: Behaviour['usersOf'] = ({ clusters, ...rest }, keyId) =>
      AS_PRODUCT.usersOf({ ...rest, clusters: clusters.map((one) => ({ ...one, ledger: [] })) }, keyId);
    expect(refuted(holds({ ...blind, usersOf }, retirements(), ['K1']))).toBe(true);
  });
});

/** The public address of the vault closes before the cluster moves to its private endpoint. */
const closedFirst: Mistake = (plan) => {
  const closing = plan.steps.filter((step) => step.type === 'set-vault-network' && step.to === 'closed');
  const [start, ...rest] = plan.steps.filter((step) => !closing.includes(step));
  return start ? { ...plan, steps: [start, ...closing, ...rest] } : plan;
};

describe('the machine finds out of a change of the vault access', () => {
  it('that it closes the public address first', () => {
    const change = { ...unchecked(closedFirst), looksBeforeClosing: false };
    expect(refuted(holds(change, stories(), ['K1']))).toBe(true);
    expect(refuted(succeeds({ mistake: closedFirst }), 100)).toBe(true);
  });

  it('that Keyturn does not look right before it closes whether other clusters need it', () => {
    expect(refuted(holds({ looksBeforeClosing: false }, stories(), ['K1']))).toBe(true);
  });
});

describe('the machine finds out of an upgrade', () => {
  it.each<[string, Mistake, Breach['invariant']]>([
    ['that it comes with KMS v1 on', upgradedFirst, 'K2'],
    ['that no person approves it', dropped('approve-upgrade'), 'O3'],
    [
      'that nothing is rewritten before it',
      dropped('off.converge', 'off.rewrite', 'off.prove', 'off.record-proof'),
      'K2',
    ],
  ])('%s', (_what, mistake, invariant) => {
    expect(refuted(holds(unchecked(mistake), stories(), [invariant]))).toBe(true);
  });
});

/** `safe`: a breach of an invariant. `ends`: a plan that cannot run to its end, or ends untrue. `none`: the steps make up for it themselves. */
type Harm = 'safe' | 'ends' | 'none';

describe('a mistaken transition', () => {
  it.each<[string, Mistake, Harm]>([
    ['without the proof of the state before it', withoutProofBefore, 'safe'],
    ['without its baseline', without('take-baseline'), 'ends'],
    ['with its baseline after the switch', exchanged('take-baseline', 'set-kms'), 'ends'],
    ['without convergence', without('converge'), 'ends'],
    ['with convergence before the switch', exchanged('converge', 'set-kms'), 'ends'],
    ['with the rewrite before convergence', exchanged('rewrite', 'converge'), 'none'],
    ['without its proof', without('prove'), 'ends'],
    ['with its record before its proof', exchanged('prove', 'record-proof'), 'none'],
    ['without its record', without('record-proof'), 'ends'],
  ])('%s is kept out, and does harm if it is not', (_what, mistake, harm) => {
    const alone = unchecked(mistake);
    if (harm !== 'none') expect(refuted(harm === 'safe' ? holds(alone) : succeeds(alone))).toBe(true);
    expect(refuted(succeeds({ mistake }), 100)).toBe(true);
    fc.assert(holds({ mistake }), { numRuns: 40, seed: SEED });
  });
});

describe('a rule of checkPlan is all that keeps out', () => {
  it.each<[string, RegExp, Mistake, Harm]>([
    [
      'a plan without its start gate',
      /begins with its start gate/,
      (plan) => ({ ...plan, steps: plan.steps.slice(1) }),
      'safe',
    ],
    ['a plan that uses an id twice', /not unique/, twice('rotate', false), 'ends'],
    ['a plan that switches an unproven state', /\(K2\)/, withoutProofBefore, 'safe'],
    [
      'a plan without the gate for plaintext',
      /gate for plaintext/,
      (plan) => ({ ...plan, steps: plan.steps.filter(({ id }) => id !== 'approve-plaintext') }),
      'safe',
    ],
    ['a plan without its record', /not followed by/, without('record-proof'), 'ends'],
  ])('%s', (_what, rule, mistake, harm) => {
    const withoutRule: typeof planFaults = (...plan) => planFaults(...plan).filter((fault) => !rule.test(fault));
    const change = { mistake, planFaults: withoutRule, switchesProvenOnly: false };
    expect(refuted(harm === 'safe' ? holds(change) : succeeds(change))).toBe(true);
  });
});

describe('checkPlan refuses', () => {
  it.each<[string, RegExp, Mistake]>([
    [
      'a key that no step makes',
      /not made by an earlier step/,
      (plan) => ({ ...plan, steps: plan.steps.filter(({ type }) => type !== 'create-key-version') }),
    ],
    [
      'a switch that expects another state',
      /expects another state/,
      changed('set-kms', () => ({ expect: { mode: 'off' } })),
    ],
    [
      'a switch that changes nothing',
      /changes nothing/,
      changed('set-kms', (step) => ('expect' in step ? { to: step.expect } : {})),
    ],
    [
      'a baseline that is not right before the switch',
      /no baseline is taken right before/,
      exchanged('create-key-version', 'take-baseline'),
    ],
    ['convergence to another state', /another state/, forOtherState('converge')],
    [
      'convergence with a baseline that is none',
      /its baseline is no earlier step/,
      changed('converge', () => ({ baseline: 'approve' })),
    ],
    [
      'a switch whose convergence has no baseline',
      /only a switch has a baseline/,
      changed('converge', () => ({ baseline: null })),
    ],
    ['a proof of another state', /another state/, forOtherState('prove')],
    ['a proof since no convergence', /convergence is no earlier step/, changed('prove', () => ({ since: 'approve' }))],
    ['Secrets that are accepted before a later switch', /cannot be accepted/, twice('again', true)],
    ['a record of another state', /another state/, forOtherState('record-proof')],
    ['a record of no proof', /its proof is no earlier step/, changed('record-proof', () => ({ proof: 'approve' }))],
    ['a proof that is not recorded right after it', /not recorded right after/, exchanged('prove', 'record-proof')],
  ])('%s', (_what, rule, mistake) => {
    const made = planned('rotate-key', { proven: false });
    const found = planFaults(mistake(made).steps, { state: made.from, proven: false });
    expect(found.filter((fault) => rule.test(fault))).not.toEqual([]);
    expect(planFaults(made.steps, { state: made.from, proven: false })).toEqual([]);
  });
});
