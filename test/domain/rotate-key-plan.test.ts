import { describe, expect, it } from '@jest/globals';
import type { Generation, Ledger } from '../../domain/ledger';
import { plan, ruleFaults } from '../../domain/planner';
import type { AzureObservation, Observation, ObservedKey } from '../../domain/observed';
import { planFaults } from '../../domain/plan/check-plan';
import { keysNeededNow } from '../../domain/plan/outputs';
import type { Plan } from '../../domain/plan/plan';
import type { RefusalReason } from '../../domain/refusal';
import { CEILING_TAG } from '../../domain/rewrite-pace';
import type { Provisioning } from '../../domain/provisioning';
import { stateLeft } from '../../domain/state-left';
import { minutesAfter } from '../../domain/times';
import {
  azure,
  goodKey,
  KEY_1,
  KEY_2,
  KEY_3,
  NOW,
  observation,
  provenLedger,
  provisioning,
  request,
  requestOf,
  VAULT_ID,
} from './fixtures';

const policy = { approvalsRequired: 1 };

function planned(...args: Parameters<typeof plan>): Plan {
  const result = plan(...args);
  if (!result.plan) throw new Error(JSON.stringify(result.faults));
  return result.plan;
}

const ceilingOf = ({ steps }: Plan): number | null | undefined =>
  steps.flatMap((step) => (step.type === 'rewrite' ? [step.perSecond] : []))[0];
/** In every plan that rewrites. */
const VERSIONS = { code: 'SecretsChangeVersion' };
const stepsOf = (p: Plan): string[] => p.steps.map(({ id }) => id);
const proven = observation(azure(), provenLedger(KEY_3, KEY_1));

describe('the plan of rotate-key', () => {
  it('creates no key when the request names one', () => {
    const facts = observation(azure({ requestedKey: goodKey(KEY_2) }), provenLedger(KEY_1));
    const p = planned(request({ keyId: KEY_2 }), facts, policy);
    expect(stepsOf(p)).not.toContain('create-key-version');
    expect(p.to).toMatchObject({ mode: 'on', key: KEY_2 });
  });

  describe('to a key of a new name', () => {
    const asked = (parameters: Record<string, unknown> = { newKeyName: 'next' }) => requestOf('rotate-key', parameters);
    const vault = {
      state: 'exists' as const,
      vault: {
        location: 'westeurope',
        tenantId: 'tenant-1',
        permissionModel: 'rbac' as const,
        softDelete: true,
        purgeProtection: true,
        openToAllNetworks: false,
      },
    };
    const facts = (change: Partial<Provisioning> = {}): AzureObservation => ({
      ...azure({ currentKey: { seenThrough: 'arm', keyType: 'RSA-HSM', keySizeInBits: 3072 } }),
      provisioning: provisioning({ vaultId: VAULT_ID, vault, keyThroughArm: true, ...change }),
    });

    it('makes it like the current one, where its vault does not answer too, and grants it before the switch', () => {
      const p = planned(asked(), observation(facts(), provenLedger(KEY_1)), policy);
      expect(stepsOf(p).slice(0, 5)).toEqual([
        'approve',
        'create-key',
        'grant-key-access',
        'rotate.take-baseline',
        'rotate.set-kms',
      ]);
      expect(p.steps.slice(1, 3)).toMatchObject([
        { vaultId: VAULT_ID, keyName: 'next', keyType: 'RSA-HSM', sizeInBits: 3072, exists: null },
        { vaultId: VAULT_ID, keyName: 'next', principalId: 'principal-1', permissionModel: 'rbac' },
      ]);
      expect(p.to).toMatchObject({ key: { madeBy: 'create-key' } });
      expect(p.summary).toContain('to a new key next of its vault');
      expect(p.warnings.map(({ code }) => code)).toEqual(
        expect.arrayContaining(['KeyMadeThroughArm', 'KeySeenThroughArm', 'OtherKeyObject']),
      );
      const start = { state: p.from, proven: true };
      const without = (type: string): string =>
        planFaults(
          p.steps.filter((step) => step.type !== type),
          start,
        ).join();
      expect(without('grant-key-access')).toMatch(/a key of a new name is not granted/);
      expect(without('create-key')).toMatch(/not made by an earlier step/);
      const elsewhere = p.steps.map((step) =>
        step.type === 'create-key' ? { ...step, vaultId: VAULT_ID.replace(/kv1$/, 'kv2') } : step,
      );
      expect(planFaults(elsewhere, start).join()).toMatch(/not that of the current key/);
    });

    it('names what it leaves, as long as Azure was not seen to set it', () => {
      const p = planned(asked(), observation(facts(), provenLedger(KEY_1)), policy);
      const done = (...ids: string[]) => ids.map((id) => ({ id, status: 'done' as const, startedAt: NOW }));
      const outputs = { 'create-key': { type: 'create-key', keyId: KEY_2, created: true } } as const;
      expect(stateLeft(p, done('create-key'), { outputs })).toContain(
        `(${KEY_2}) was made and stays, and Azure was not seen`,
      );
      expect(stateLeft(p, done('create-key', 'rotate.set-kms'), { outputs })).not.toContain(KEY_2);
      expect(keysNeededNow(p, done('create-key', 'rotate.set-kms'), outputs)).toEqual([KEY_1, KEY_2]);
    });

    it('is refused for a name that is taken, a deleted key, a vault that is not seen, and beside a key id', () => {
      const codes = (change: Partial<Provisioning>, key?: ObservedKey): string[] =>
        ruleFaults(asked(), { ...facts(change), ...(key ? { provisionedKey: key } : {}) }).map(({ code }) => code);
      expect(codes({})).toEqual([]);
      expect(codes({ key: 'exists' }, goodKey(KEY_2))).toEqual(['KeyNameTaken']);
      expect(codes({ key: 'soft-deleted' })).toEqual(['KeySoftDeleted']);
      expect(codes({ vault: { state: 'unseen', why: 'A sentence.' } })).toEqual(['VaultNotFound']);
      expect(() => asked({ newKeyName: 'next', keyId: KEY_2 })).toThrow(/Name either a key version/);
      const [fault] = ruleFaults(asked({}), facts());
      expect(fault).toMatchObject({
        code: 'VaultNotReachable',
        detail: expect.stringMatching(/again with `newKeyName`/),
      });
    });
  });

  it.each([
    ['no ledger', null],
    [
      'an unproven current key',
      {
        ...provenLedger(KEY_1),
        generations: provenLedger(KEY_1).generations.map((g) => ({ ...g, state: 'activated' as const })),
      },
    ],
    ['a key that somebody else set', provenLedger(KEY_3)],
  ])('proves the current key before it turns anything when there is %s (K2)', (_what, ledger) => {
    const steps = stepsOf(planned(request(), observation(azure(), ledger), policy));
    expect(steps.indexOf('current.converge')).toBe(1);
    expect(steps.indexOf('current.record-proof')).toBeLessThan(steps.indexOf('rotate.set-kms'));
  });

  it('warns of a key that is older than the current one, and of another key object', () => {
    const warnings = (keyId: string, createdOn?: string): string[] => {
      const requestedKey = goodKey(keyId, { createdOn });
      const facts = azure({ requestedKey, currentKey: { createdOn: '2026-06-01T00:00:00.000Z' } });
      return planned(request({ keyId }), observation(facts, provenLedger(KEY_1)), policy).warnings.map(
        ({ code }) => code,
      );
    };
    expect(warnings(KEY_2, '2026-07-01T00:00:00.000Z')).toEqual([VERSIONS.code]);
    expect(warnings(KEY_2, '2026-05-01T00:00:00.000Z')).toEqual(['KeyOlderThanCurrent', VERSIONS.code]);
    expect(warnings(KEY_2.replace('/k1/', '/k9/'), '2026-05-01T00:00:00.000Z')).toEqual([
      'KeyOlderThanCurrent',
      'OtherKeyObject',
      VERSIONS.code,
    ]);
    expect(warnings(KEY_2)).toEqual([VERSIONS.code]);
  });

  it('warns of the previous key, or of not knowing it', () => {
    expect(planned(request(), proven, policy).warnings).toMatchObject([{ code: 'PreviousKeyLeavesItsSlot' }, VERSIONS]);
    expect(planned(request(), observation(azure()), policy).warnings).toMatchObject([
      { code: 'PreviousSlotUnknown' },
      VERSIONS,
    ]);
  });

  it('has a ceiling when the owners have set one by a tag, and says so where it is felt', () => {
    const facts = observation(azure({ cluster: { tags: { [CEILING_TAG]: '25' } } }), provenLedger(KEY_1));
    const tagged = planned(request(), facts, policy);
    expect(ceilingOf(tagged)).toBe(25);
    expect(tagged.steps.find(({ id }) => id === 'rotate.rewrite')?.reason).toMatch(/At most 25 Secrets a second\.$/);
    expect(ceilingOf(planned(request(), proven, policy))).toBeNull();
  });

  it('warns of a ceiling that is not understood', () => {
    const facts = observation(azure({ cluster: { tags: { [CEILING_TAG]: 'slow' } } }), provenLedger(KEY_1));
    const p = planned(request(), facts, policy);
    expect(ceilingOf(p)).toBeNull();
    expect(p.warnings).toMatchObject([{ code: 'CeilingNotUnderstood' }, VERSIONS]);
  });

  it('for KMS v1 spares the vault, tells of the annotation, and says that the proof is weaker', () => {
    const v1 = (tags: Record<string, string>): Plan =>
      planned(
        request(),
        observation(azure({ cluster: { kubernetesVersion: '1.26.15', tags } }), provenLedger(KEY_1)),
        policy,
      );
    expect(v1({})).toMatchObject({ to: { scheme: 'kms-v1' }, warnings: [{ code: 'KmsV1' }, VERSIONS] });
    expect(ceilingOf(v1({}))).toBe(66);
    expect(v1({}).steps.find(({ id }) => id === 'rotate.rewrite')?.title).toMatch(/annotation/);
    expect(ceilingOf(v1({ [CEILING_TAG]: '5' }))).toBe(5);
    expect(ceilingOf(v1({ [CEILING_TAG]: '500' }))).toBe(66);
  });

  it('for KMS v1 goes by the slower of the two keys', () => {
    const cluster = { kubernetesVersion: '1.26.15' };
    const requestedKey = goodKey(KEY_2, { keySizeInBits: 4096 });
    const facts = observation(azure({ cluster, requestedKey }), provenLedger(KEY_1));
    expect(ceilingOf(planned(request({ keyId: KEY_2 }), facts, policy))).toBe(8);
  });

  it('for KMS v1 does not rotate a key that was set within the last hour and is not proven', () => {
    const turned = (minutesAgo: number, change: Partial<Generation> = {}): Observation => {
      const since = minutesAfter(NOW, -minutesAgo);
      const generation: Generation = { keyId: KEY_1, state: 'activated', origin: 'operation', since, ...change };
      const ledger: Ledger = { version: 1, generations: [generation] };
      return observation(azure({ cluster: { kubernetesVersion: '1.26.15' } }), ledger);
    };
    expect(plan(request(), turned(59), policy)).toMatchObject({
      plan: null,
      faults: [
        { code: 'KeyRotatedRecently', detail: expect.stringContaining('Ask again after 2026-11-22T12:01:00.000Z') },
      ],
    });
    expect(stepsOf(planned(request(), turned(60), policy))).toContain('current.prove');
    expect(stepsOf(planned(request(), turned(5, { state: 'proven' }), policy))).not.toContain('current.prove');
    // Nobody knows when it was set.
    expect(stepsOf(planned(request(), turned(0, { origin: 'adopted' }), policy))).toContain('current.prove');
    // With KMS v2 every server says what it writes with.
    const v2 = { ...turned(5), azure: azure() };
    expect(stepsOf(planned(request(), v2, policy))).toContain('current.prove');
  });

  it('does not prove without a switch what was set within the last hour where API servers do not show their key (before 1.29)', () => {
    const since = minutesAfter(NOW, -59);
    const set = (version: string): Observation =>
      observation(azure({ cluster: { kubernetesVersion: version } }), {
        version: 1,
        generations: [{ keyId: KEY_1, state: 'activated', origin: 'operation', since }],
      });
    expect(plan(request(), set('1.28.9'), policy).faults).toMatchObject([{ code: 'KeyRotatedRecently' }]);
    expect(stepsOf(planned(request(), set('1.29.0'), policy))).toContain('current.prove');
    const off: Observation = {
      azure: {
        ...azure({ cluster: { kubernetesVersion: '1.26.15', kms: { enabled: false } } }),
        currentKey: undefined,
      },
      ledger: { version: 1, generations: [{ keyId: null, state: 'activated', origin: 'operation', since }] },
    };
    expect(plan(requestOf('rewrite-secrets'), off, policy).faults).toMatchObject([
      { code: 'KeyRotatedRecently', detail: expect.stringMatching(/^KMS was disabled at/) },
    ]);
  });

  it('carries what the census found: faults stop it, warnings are shown', () => {
    const problem = (reason: RefusalReason): Observation => ({
      ...proven,
      census: {
        secrets: 3,
        problems: [{ reason, count: 1, secrets: ['n/x'], message: 'No.' }],
        finalizing: { count: 0, secrets: [] },
      },
    });
    expect(plan(request(), problem('Unreadable'), policy)).toMatchObject({
      plan: null,
      faults: [{ code: 'SecretsUnreadable' }],
    });
    expect(planned(request(), problem('AdmissionDenied'), policy).warnings).toContainEqual(
      expect.objectContaining({ code: 'SecretsRefuseRewrite' }),
    );
  });

  it('has a digest that the same facts give again and any other plan changes (O3)', () => {
    const { digest } = planned(request(), proven, policy);
    expect(
      planned(request(), { ...proven, azure: { ...proven.azure, at: '2027-01-01T00:00:00.000Z' } }, policy).digest,
    ).toBe(digest);
    expect(planned({ ...request(), change: { number: 'CHG2' } }, proven, policy).digest).not.toBe(digest);
    expect(planned(request(), observation(azure()), policy).digest).not.toBe(digest);
    expect(planned(request(), proven, { approvalsRequired: 2 }).digest).not.toBe(digest);
  });
});
