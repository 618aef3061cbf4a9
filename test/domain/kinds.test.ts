/** Every kind of the table: its order of steps, its gates, and what no plan of it ever does. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { KINDS } from '../../domain/kinds';
import { kind, type Kind } from '../../domain/kinds/kind';
import { keysNeeded, type Ledger } from '../../domain/ledger';
import { planFaults } from '../../domain/plan/check-plan';
import { keysNeededNow } from '../../domain/plan/outputs';
import { plan } from '../../domain/planner';
import { requestSchema } from '../../domain/request';
import { z } from 'zod';
import {
  azure,
  CLUSTER,
  goodKey,
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

describe('the order of steps', () => {
  it.each([
    ['rotate-key', true, ['gate', 'create-key-version', ...SWITCH]],
    ['rotate-key', false, ['gate', ...IN_PLACE, 'create-key-version', ...SWITCH]],
    ['rewrite-secrets', true, ['gate', ...IN_PLACE]],
    ['rewrite-secrets', false, ['gate', ...IN_PLACE]],
    ['disable-kms', true, ['gate', 'gate', ...SWITCH]],
    ['disable-kms', false, ['gate', 'gate', ...IN_PLACE, ...SWITCH]],
    ['enable-kms', true, ['gate', ...SWITCH]],
    ['enable-kms', false, ['gate', ...IN_PLACE, ...SWITCH]],
  ])('of %s, with the current state proven: %s', (name, proven, types) => {
    expect(planned(name, { proven }).steps.map(({ type }) => type)).toEqual(types);
  });

  it.each(KINDS.map(({ name }) => name))('of %s never disables or deletes a key (K1, K3)', (name) => {
    for (const { title } of planned(name).steps) expect(title).not.toMatch(/(?:disable|delete|purge) (?:the |a )?key/i);
  });

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
