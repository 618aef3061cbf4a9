/** Every kind of the table: its order of steps, its gates, and what no plan of it ever does. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { KINDS } from '../../domain/kinds';
import { kind, type Kind } from '../../domain/kinds/kind';
import { keysNeeded, type Ledger } from '../../domain/ledger';
import { planFaults } from '../../domain/plan/check-plan';
import type { PlanStep } from '../../domain/plan/steps';
import { keysNeededNow } from '../../domain/plan/outputs';
import { plan } from '../../domain/planner';
import { requestSchema } from '../../domain/request';
import { z } from 'zod';
import {
  azure,
  azureFor,
  CLUSTER,
  goodKey,
  KEY_0,
  KEY_1,
  KEY_2,
  KEY_3,
  NOW,
  observation,
  planned,
  provenLedger,
  requestOf,
} from './fixtures';

const SWITCH = ['take-baseline', 'set-kms', 'converge', 'rewrite', 'prove', 'record-proof'];
const IN_PLACE = ['converge', 'prove', 'record-proof'];
const MADE = ['create-key-version', ...SWITCH];
const DISABLED = ['check-key-unused', 'disable-key-version'];
const SOAKED = ['soak', 'check-key-unused'];
const UPGRADE = ['upgrade-control-plane', 'upgrade-pool'];
const ADD_ON = ['enable-secrets-provider', 'enable-workload-identity'];
const CONNECTED = [
  'grant-vault-read',
  'create-service-account',
  'create-secret-provider-class',
  'prove-mount',
  'prove-rotation',
];
const DISCONNECTED = [
  'delete-secret-provider-class',
  'delete-federated-credential',
  'delete-service-account',
  'disable-secrets-provider',
];

describe('the order of steps', () => {
  it.each([
    ['rotate-key', true, ['gate', 'create-key-version', ...SWITCH]],
    ['rotate-key', false, ['gate', ...IN_PLACE, 'create-key-version', ...SWITCH]],
    ['rewrite-secrets', true, ['gate', ...IN_PLACE]],
    ['rewrite-secrets', false, ['gate', ...IN_PLACE]],
    ['disable-kms', true, ['gate', 'gate', ...SWITCH]],
    ['disable-kms', false, ['gate', 'gate', ...IN_PLACE, ...SWITCH]],
    ['change-vault', true, ['gate', ...SWITCH]],
    ['change-vault', false, ['gate', ...IN_PLACE, ...SWITCH]],
    ['replace-key', true, ['gate', ...MADE, ...MADE, 'gate', ...DISABLED]],
    ['replace-key', false, ['gate', ...IN_PLACE, ...MADE, ...MADE, 'gate', ...DISABLED]],
    ['retire-key', true, ['gate', ...IN_PLACE, ...DISABLED, ...SOAKED, 'gate', 'delete-key']],
    ['retire-key', false, ['gate', ...IN_PLACE, ...DISABLED, ...SOAKED, 'gate', 'delete-key']],
    ['upgrade-to-kms-v2', true, ['gate', 'gate', 'gate', ...SWITCH, ...UPGRADE, ...SWITCH]],
    ['upgrade-to-kms-v2', false, ['gate', 'gate', 'gate', ...IN_PLACE, ...SWITCH, ...UPGRADE, ...SWITCH]],
    ['enable-vault-diagnostics', true, ['gate', 'set-vault-diagnostics', 'confirm-vault-diagnostics']],
    ['enable-vault-diagnostics', false, ['gate', 'set-vault-diagnostics', 'confirm-vault-diagnostics']],
    ['provision-kms', true, ['gate', 'create-vault', 'create-key', 'grant-key-access']],
    ['provision-kms', false, ['gate', 'create-vault', 'create-key', 'grant-key-access']],
    ['recover-key', true, ['gate', 'enable-key-version', 'extend-key-expiry', 'await-kms', ...IN_PLACE]],
    ['recover-key', false, ['gate', 'enable-key-version', 'extend-key-expiry', 'await-kms', ...IN_PLACE]],
    ['create-cluster', false, ['gate', 'create-identity', 'grant-key-access', 'create-cluster', ...IN_PLACE]],
    ['connect-csi', true, ['gate', ...ADD_ON, 'create-identity', 'create-federated-credential', ...CONNECTED]],
    ['connect-csi', false, ['gate', ...ADD_ON, 'create-identity', 'create-federated-credential', ...CONNECTED]],
    ['disconnect-csi', true, ['gate', ...DISCONNECTED]],
    ['disconnect-csi', false, ['gate', ...DISCONNECTED]],
    ['enable-kms', true, ['gate', ...SWITCH]],
    ['enable-kms', false, ['gate', ...IN_PLACE, ...SWITCH]],
  ])('of %s, with the current state proven: %s', (name, proven, types) => {
    expect(planned(name, { proven }).steps.map(({ type }) => type)).toEqual(types);
  });

  it.each(KINDS.filter(({ retires }) => retires === undefined).map(({ name }) => name))(
    'of %s never disables or deletes a key (K1, K3)',
    (name) => {
      for (const { title, type } of planned(name).steps) {
        expect(title).not.toMatch(/(?:disable|delete|purge) (?:the |a )?key/i);
        expect(['disable-key-version', 'delete-key']).not.toContain(type);
      }
    },
  );

  it.each(['replace-key', 'upgrade-to-kms-v2'])(
    'of %s lets no approver accept Secrets where a later step loses them',
    (name) => {
      const { steps } = planned(name, { proven: false });
      const final = steps.findLastIndex(({ type }) =>
        ['set-kms', 'upgrade-control-plane', 'disable-key-version'].includes(type),
      );
      for (const step of steps.slice(0, final)) expect('acceptable' in step && step.acceptable).toBe(false);
    },
  );

  it('lets no approver accept Secrets where a later switch evicts their key', () => {
    const unproven = planned('rotate-key', { proven: false });
    const acceptable = unproven.steps.flatMap((step) => ('acceptable' in step && step.acceptable ? [step.id] : []));
    expect(acceptable).toEqual(['rotate.rewrite', 'rotate.prove']);
  });
});

describe('a plan that is none is found', () => {
  const { steps, from } = planned('rotate-key', { proven: true });
  const start = { state: from, proven: true };
  const without = (id: string): typeof steps => steps.filter((step) => step.id !== id);

  it('and one that is one is not', () => expect(planFaults(steps, start)).toEqual([]));

  it.each(steps.map(({ id }) => id))('without the step %s', (id) => {
    expect(planFaults(without(id), start)).not.toEqual([]);
  });

  it.each(steps.slice(1).map(({ id }, index) => [id, index + 1] as const))(
    'with %s and its neighbour exchanged',
    (_id, at) => {
      const exchanged = [...steps];
      const [one, other] = [exchanged[at - 1], exchanged[at]];
      if (one === undefined || other === undefined) throw new Error('There are fewer steps.');
      exchanged[at - 1] = other;
      exchanged[at] = one;
      expect(planFaults(exchanged, start)).not.toEqual([]);
    },
  );

  it('when the state before a switch is not proven (K2), not what the step expects, or plaintext without its gate', () => {
    expect(planFaults(steps, { ...start, proven: false }).join()).toMatch(/K2/);
    expect(planFaults(steps, { ...start, state: { mode: 'off' } }).join()).toMatch(/expects another state/);
    const off = planned('disable-kms', { proven: true });
    expect(
      planFaults(
        off.steps.filter(({ id }) => id !== 'approve-plaintext'),
        start,
      ).join(),
    ).toMatch(/plaintext/);
    expect(planFaults([...steps, ...steps], start).join()).toMatch(/unique/);
  });
});

describe.each(['replace-key', 'retire-key', 'upgrade-to-kms-v2', 'change-vault'])('of a plan of %s', (name) => {
  const { steps, from } = planned(name);
  const faults = (changed: readonly PlanStep[]): string[] => planFaults(changed, { state: from, proven: true });
  // A pool that is left behind runs on an older version, which AKS allows. After the last proof nothing depends on it.
  const free = steps.flatMap(({ type, id }, index) =>
    type === 'upgrade-pool' || (index === steps.length - 1 && type !== 'record-proof') ? [id] : [],
  );

  it('nothing is wrong', () => expect(faults(steps)).toEqual([]));

  it.each(steps.map(({ id }) => id).filter((id) => !free.includes(id)))('the step %s cannot be left out', (id) => {
    // One gate of several that the plan asks for is not what a rule needs: retire-key could delete, replace-key does not.
    const gate = name === 'replace-key' && id === 'approve-deletion';
    expect(faults(steps.filter((step) => step.id !== id)).length > 0).toBe(!gate);
  });
});

describe('a retirement', () => {
  const { steps, from } = planned('retire-key', { proven: false });
  const faults = (change: (step: PlanStep) => PlanStep, state = from): string =>
    planFaults(steps.map(change), { state, proven: false }).join();
  const of =
    (type: PlanStep['type'], change: object) =>
    (step: PlanStep): PlanStep =>
      step.type === type ? { ...step, ...change } : step;
  const at = (type: PlanStep['type']): number => steps.findIndex((step) => step.type === type);
  const moved = (type: PlanStep['type'], to: number): string => {
    const step = steps[at(type)];
    const rest = steps.filter((one) => one !== step);
    return planFaults(step ? [...rest.slice(0, to), step, ...rest.slice(to)] : [], {
      state: from,
      proven: false,
    }).join();
  };

  it('looks right before it disables, and for the same key', () => {
    expect(faults(of('check-key-unused', { key: KEY_3 }))).toMatch(/nothing looks right before it/);
    expect(faults(of('disable-key-version', { check: 'approve' }))).toMatch(/nothing looks right before it/);
    expect(moved('soak', at('disable-key-version'))).toMatch(/nothing looks right before it/);
  });

  it('never disables a key in a slot, however its id is spelled', () => {
    const key = KEY_1.replace('/keys/k1/', '/keys/K1/');
    const spelled = (step: PlanStep): PlanStep => ('key' in step ? { ...step, key } : step);
    expect(faults(spelled)).toMatch(/in a slot/);
  });

  it('disables only behind a proof of its own', () => {
    const bare = steps.filter(({ id }) => !id.startsWith('current.'));
    expect(planFaults(bare, { state: from, proven: true }).join()).toMatch(/does not prove the state before it/);
  });

  it('soaks, looks again for the same key, and has a gate, before it deletes', () => {
    expect(moved('soak', steps.length - 2)).toMatch(/nothing looks after the soak/);
    expect(moved('disable-key-version', at('soak'))).toMatch(/its key is not disabled before it/);
    expect(faults(of('delete-key', { key: KEY_3 }))).toMatch(/not disabled and left so/);
    expect(faults(of('delete-key', { check: 'retire.check-key-unused' }))).toMatch(/nothing looks after the soak/);
    const again = (step: PlanStep): PlanStep =>
      step.id === 'retire.check-key-unused-again' ? ({ ...step, key: KEY_3 } as PlanStep) : step;
    expect(faults(again)).toMatch(/nothing looks after the soak/);
    expect(faults(of('gate', { gate: 'start' }))).toMatch(/no gate for deletion/);
  });

  it('is of a cluster in the state that it expects', () => {
    expect(faults(of('check-key-unused', { state: { mode: 'off' } }))).toMatch(/another state/);
  });

  it('is followed by no switch to the key', () => {
    const back = planned('rotate-key')
      .steps.slice(1)
      .map(of('set-kms', { to: { ...from, key: KEY_0 } }));
    expect(planFaults([...steps, ...back], { state: from, proven: false }).join()).toMatch(/disabled before it/);
  });

  it('of replace-key leaves the key object while the new version is one of it, and deletes another one', () => {
    const types = (keyId?: string, nextKeyId?: string): string[] => {
      const lookup = (id?: string) => (id === undefined ? undefined : { found: true as const, key: goodKey(id) });
      const facts = { ...azureFor('replace-key'), requestedKey: lookup(keyId), nextKey: lookup(nextKeyId) };
      const named = { ...(keyId ? { keyId } : {}), ...(nextKeyId ? { nextKeyId } : {}) };
      const observed = observation(facts, provenLedger(KEY_1));
      const made = plan(requestOf('replace-key', named), observed, { approvalsRequired: 1 });
      return made.plan?.steps.map(({ type }) => type) ?? made.faults.map(({ code }) => code);
    };
    const [A, B] = ['a', 'b'].map((digit) => `https://kv1.vault.azure.net/keys/k9/${digit.repeat(32)}`);
    expect(types()).not.toContain('delete-key');
    expect(types(A)).toContain('delete-key');
    expect(types(A, B)).toContain('delete-key');
    expect(types(A, KEY_2)).not.toContain('delete-key');
    expect(types(undefined, A)).not.toContain('delete-key');
    expect(types(A, A)).toEqual(['KeyAlreadyCurrent']);
    expect(types(A, KEY_1)).toEqual(['KeyAlreadyCurrent']);
  });
});

describe('an upgrade', () => {
  const { steps, from } = planned('upgrade-to-kms-v2');
  const faults = (type: PlanStep['type'], change: object): string =>
    planFaults(
      steps.map((step) => (step.type === type ? { ...step, ...change } : step)),
      { state: from, proven: true },
    ).join();

  it('goes from plaintext only, one minor at a time, forward, behind its gate', () => {
    const on = steps.filter(({ id }) => !id.startsWith('off.'));
    expect(planFaults(on, { state: from, proven: true }).join()).toMatch(/cannot read/);
    expect(faults('upgrade-control-plane', { to: '1.28.1' })).toMatch(/skips a minor/);
    expect(faults('upgrade-control-plane', { to: '1.25.1' })).toMatch(/goes back/);
    const gates = steps.filter(({ id }) => id !== 'approve-upgrade');
    expect(planFaults(gates, { state: from, proven: true }).join()).toMatch(/no gate for the upgrade/);
  });

  it('brings pools to the version of the control plane, and enables the KMS of that version', () => {
    expect(faults('upgrade-pool', { to: '1.27.3' })).toMatch(/brings the control plane/);
    const v1 = steps.map((step) => ('to' in step && same(step.to) ? { ...step, to: from } : step)) as PlanStep[];
    expect(planFaults(v1, { state: from, proven: true }).join()).toMatch(/does not encrypt in this way/);
    function same(to: unknown): boolean {
      return typeof to === 'object' && to !== null && 'scheme' in to;
    }
  });
});

it('a plan does not rotate twice with KMS v1: the first proof may not be conclusive (K2)', () => {
  const { steps, from } = planned('replace-key');
  const v1 = JSON.parse(JSON.stringify(steps).replaceAll('kms-v2', 'kms-v1')) as PlanStep[];
  if (from.mode === 'off') throw new Error('KMS is on.');
  const start = { state: { ...from, scheme: 'kms-v1' as const }, proven: true };
  expect(planFaults(v1, start).join()).toMatch(/second.set-kms: the state before it is not proven \(K2\)/);
});

describe('keys needed', () => {
  it('are never fewer than the ledger says before the first step, and have the target from the moment it may be asked for (K1)', () => {
    const facts = observation(azure({ requestedKey: goodKey(KEY_2) }), provenLedger(KEY_3, KEY_1));
    const result = plan(requestOf('rotate-key', { keyId: KEY_2 }), facts, { approvalsRequired: 1 });
    if (!result.plan) throw new Error(JSON.stringify(result.faults));
    expect(keysNeededNow(result.plan, [], {})).toEqual([KEY_3, KEY_1]);
    const begun = [{ id: 'rotate.set-kms', status: 'running' as const, startedAt: NOW }];
    expect(keysNeededNow(result.plan, begun, {})).toEqual([KEY_3, KEY_1, KEY_2]);
  });

  it('after KMS was disabled still have the key, and after it was enabled again the key of the second slot (K3)', () => {
    const generation = (keyId: string | null, state: Ledger['generations'][number]['state'], proof = false) => ({
      keyId,
      state,
      origin: 'operation' as const,
      since: NOW,
      ...(proof ? { proof: { operationId: 'o', at: NOW, convergedRv: '1', secrets: 1 } } : {}),
    });
    const off: Ledger = {
      version: 1,
      generations: [generation(KEY_1, 'superseded', true), generation(null, 'proven', true)],
    };
    expect(keysNeeded(off)).toEqual([KEY_1]);
  });
});

it('a kind of the user is asked for and planned with one file: nothing else has to know it', () => {
  const own: Kind = kind({
    name: 'look-only',
    does: 'Looks.',
    never: 'changes anything.',
    section: 'none',
    parameters: z.strictObject({ often: z.int() }),
    keyFrom: 'current-vault',
    needs: [],
    rules: [
      {
        codes: ['ClusterNotRunning'],
        check: ({ tags }) => (tags.no ? [{ code: 'ClusterNotRunning', detail: 'No.' }] : []),
      },
    ],
    plan: ({ from, parameters, policy }) => ({
      summary: `Look ${parameters.often} times.`,
      to: from,
      steps: [
        {
          id: 'approve',
          type: 'gate',
          gate: 'start',
          approvals: policy.approvalsRequired,
          title: 'Approve',
          reason: 'r',
        },
      ],
      warnings: [],
    }),
  });
  const request = requestSchema([...KINDS, own]).parse({
    kind: 'look-only',
    cluster: CLUSTER,
    change: { number: 'CHG1' },
    parameters: { often: 3 },
  });
  const facts = observation(azure());
  expect(plan(request, facts, { approvalsRequired: 1 }, own).plan).toMatchObject({
    kind: 'look-only',
    summary: 'Look 3 times.',
  });
  const refusing = observation(azure({ cluster: { tags: { no: 'yes' } } }));
  expect(plan(request, refusing, { approvalsRequired: 1 }, own).faults).toMatchObject([{ code: 'ClusterNotRunning' }]);
});

it('a digest does not depend on what is volatile: counts, names and texts of Secrets that are refused', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 5 }),
      fc.string(),
      (secrets, message) => {
        const census = {
          secrets: secrets.length,
          problems: [{ reason: 'AdmissionDenied' as const, count: secrets.length, secrets, message }],
          finalizing: { count: 0, secrets: [] },
        };
        const facts = observation(azure(), provenLedger(KEY_1));
        const digestWith = (observed: typeof facts): string | undefined =>
          plan(requestOf('rotate-key'), observed, { approvalsRequired: 1 }).plan?.digest;
        expect(digestWith({ ...facts, census })).toBe(digestWith({ ...facts, census: { ...census, problems: [] } }));
      },
    ),
  );
});
