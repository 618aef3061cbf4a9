/**
 * Every precondition against every kind. A row says which kinds it does not guard and why; all others refuse facts that violate it, with its
 * code, and plan with facts that come near and do not. A kind that is new is guarded by every row until a reason is written here.
 */
import { describe, expect, it } from '@jest/globals';
import { ERRORS } from '../../domain/errors';
import type { EncryptionState } from '../../domain/encryption';
import { planFaults } from '../../domain/plan/check-plan';
import type { Plan } from '../../domain/plan/plan';
import type { PlanStep, StepOf } from '../../domain/plan/steps';
import {
  answerTo,
  codesOf,
  good,
  NAMES,
  NO_KMS,
  withCluster,
  type Asked,
  type Precondition,
} from './preconditions/asked';
import { OF_CLUSTERS } from './preconditions/of-clusters';
import { OF_KEYS } from './preconditions/of-keys';
import { OF_VAULTS } from './preconditions/of-vaults';

const CENSUS = { problems: [], finalizing: { count: 0, secrets: [] } };
const onV1 = (asked: Asked): Asked =>
  withCluster(asked, { kubernetesVersion: '1.26.6', wantedKubernetesVersion: '1.26.6' }) ?? asked;
const V1_STAYS = 'It does not enable KMS v1.';

const OF_PLANS: readonly Precondition[] = [
  {
    what: 'at most 2,000 Secrets where KMS v1 is enabled, the first time or again',
    code: 'TooManySecretsForKmsV1',
    exempt: {
      ...Object.fromEntries(
        NAMES.filter((kind) => !['enable-kms', 'change-vault-access'].includes(kind)).map((kind) => [kind, V1_STAYS]),
      ),
      'replace-key': 'It does not work with KMS v1.',
      'create-cluster': 'A new cluster has few Secrets.',
    },
    kept: (asked) => ({ ...onV1(asked), census: { ...CENSUS, secrets: 2_000 } }),
    violated: (asked) => ({ ...onV1(asked), census: { ...CENSUS, secrets: 2_001 } }),
  },
];

const OF_KMS = [...OF_KEYS, ...OF_VAULTS, ...OF_PLANS].map((row) => ({ ...row, exempt: { ...NO_KMS, ...row.exempt } }));
const ROWS = [...OF_CLUSTERS, ...OF_KMS];
const codeFor = ({ code }: Precondition, kind: string): string =>
  typeof code === 'string' ? code : (code[kind] ?? code['*'] ?? 'none');

it.each(NAMES)('a good request for %s is planned', (kind) => expect(codesOf(good(kind))).toEqual([]));

describe.each(ROWS.map((row) => [row.what, row] as const))('%s', (_what, row) => {
  it('has a reason for each kind that it does not guard, and codes that are documented', () => {
    expect(Object.keys(row.exempt).filter((kind) => !NAMES.includes(kind))).toEqual([]);
    for (const reason of Object.values(row.exempt)) expect(reason).toMatch(/^[A-Z].{10,}\.$/);
    for (const code of typeof row.code === 'string' ? [row.code] : Object.values(row.code))
      expect(Object.keys(ERRORS)).toContain(code);
  });

  const guarded = NAMES.filter((kind) => row.exempt[kind] === undefined);
  it.each(guarded)('guards %s', (kind) => {
    const violated = row.violated(good(kind));
    if (violated === undefined) throw new Error(`${kind} cannot violate it: say why it is exempt.`);
    expect(codesOf(violated)).toEqual([codeFor(row, kind)]);
    for (const { detail } of answerTo(violated).faults) expect(detail).toMatch(/^\S.*\.$/s);
  });

  it.each(guarded)('lets %s pass when it holds', (kind) => {
    expect(codesOf(row.kept?.(good(kind)) ?? good(kind))).not.toContain(codeFor(row, kind));
  });

  it('refuses no kind that it does not guard', () => {
    const refused = Object.keys(row.exempt).filter((kind) => {
      const violated = row.violated(good(kind));
      return violated !== undefined && codesOf(violated).includes(codeFor(row, kind));
    });
    expect(refused).toEqual([]);
  });
});

function planOf(asked: Asked): Plan {
  const { plan, faults } = answerTo(asked);
  if (plan === null) throw new Error(JSON.stringify(faults));
  return plan;
}

const switches = ({ steps }: Plan): StepOf<'set-kms'>[] =>
  steps.filter((step): step is StepOf<'set-kms'> & PlanStep => step.type === 'set-kms');
const SWITCHING = NAMES.filter((kind) => switches(planOf(good(kind))).length > 0);
const IN_PLACE = SWITCHING.filter((kind) =>
  switches(planOf(good(kind))).some(({ expect: from, to }) => from.mode === 'on' && to.mode === 'on'),
);

describe('K2: nothing is switched while Secrets may be under something older', () => {
  it.each(SWITCHING)('by %s, whose plan proves first what no operation has proven', (kind) => {
    const made = planOf(good(kind, { proven: false }));
    const first = made.steps.findIndex(({ type }) => type === 'set-kms');
    expect(made.steps.slice(0, first).map(({ type }) => type)).toContain('record-proof');
    const without = made.steps.filter(({ id }) => !id.startsWith('current.'));
    expect(planFaults(without, { state: made.from, proven: false }).join()).toMatch(/not proven \(K2\)/);
  });
});

describe('K3: the keys of a cluster whose KMS is disabled stay', () => {
  const disabling = SWITCHING.filter((kind) => switches(planOf(good(kind))).some(({ to }) => to.mode === 'off'));
  it.each(disabling)('in a plan of %s', (kind) => {
    const types = planOf(good(kind)).steps.map(({ type }) => type);
    expect(types).not.toContain('disable-key-version');
    expect(types).not.toContain('delete-key');
  });
});

describe('the access to a vault does not change while KMS is on', () => {
  const flipped = (state: EncryptionState): EncryptionState =>
    state.mode === 'off' ? state : { ...state, access: state.access === 'Public' ? 'Private' : 'Public' };

  it.each(SWITCHING)('in a plan of %s', (kind) => {
    for (const { expect: from, to } of switches(planOf(good(kind)))) {
      if (from.mode === 'off' || to.mode === 'off' || kind === 'change-vault') continue;
      expect(to.access).toBe(from.access);
    }
  });

  it.each(IN_PLACE.filter((kind) => kind !== 'change-vault'))('and a plan of %s that does it is none', (kind) => {
    const made = planOf(good(kind));
    const changed = made.steps.map((step) =>
      'to' in step && typeof step.to === 'object' ? { ...step, to: flipped(step.to) } : step,
    );
    expect(planFaults(changed as PlanStep[], { state: made.from, proven: true }).join()).toMatch(
      /does not change the access to a vault while KMS is on/,
    );
  });
});

describe('no upgrade to a version with KMS v2 while KMS v1 is on', () => {
  const upgrading = NAMES.filter((kind) =>
    planOf(good(kind)).steps.some(({ type }) => type === 'upgrade-control-plane'),
  );

  it('is in a plan of any kind but upgrade-to-kms-v2', () => expect(upgrading).toEqual(['upgrade-to-kms-v2']));

  it.each(upgrading)('is in a plan of %s, and one that does it is none', (kind) => {
    const { steps, from } = planOf(good(kind));
    const at = steps.findIndex(({ type }) => type === 'upgrade-control-plane');
    const off = steps.slice(0, at).findLastIndex((step) => step.type === 'set-kms' && step.to.mode === 'off');
    expect(off).toBeGreaterThan(0);
    const still = steps.filter(({ id }) => !id.startsWith('off.'));
    expect(planFaults(still, { state: from, proven: true }).join()).toMatch(/new version cannot read/);
  });
});
