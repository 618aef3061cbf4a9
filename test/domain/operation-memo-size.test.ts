/** The memo of any operation that can be has a limit: whatever was refused, whatever people and other programs wrote. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { acceptedSecrets, blockedSecrets } from '../../domain/acceptance';
import type { Census } from '../../domain/census';
import { KINDS } from '../../domain/kinds';
import type { Generation } from '../../domain/ledger';
import type { Milestone } from '../../domain/milestone';
import { MOST_BESIDE_STEPS } from '../../domain/milestones';
import { newOperation } from '../../domain/new-operation';
import { OperationStatus, stepStates, type Operation } from '../../domain/operation';
import { MEMO_BYTES, memoOf, operationInMemo } from '../../domain/operation-memo';
import type { Plan } from '../../domain/plan/plan';
import { plan } from '../../domain/planner';
import { RefusalReason, refusedSecret, type RefusedSecret } from '../../domain/refusal';
import { RefusedNames } from '../../domain/refused-names';
import { OperationRequest } from '../../domain/request';
import { jsonBytes } from '../../domain/text-budget';
import { MOST_SCOPE_BYTES } from '../../domain/scope';
import type { Recovery } from '../../domain/recovery';
import {
  azure,
  csiFacts,
  csiInside,
  goodKey,
  identityAccess,
  NOW,
  observation,
  planned,
  provisioning,
  request,
  slotFacts,
  SIGNED,
} from './fixtures';

const ORDINARY_BYTES = 16_000;
/** Pools of a cluster up to which the limit holds for an upgrade: each is a step of the plan. */
const POOLS = 10;
/** As many bytes as there is room for. */
const SCOPES = ['s'.repeat(MOST_SCOPE_BYTES - 4)];
const FINGERPRINT = {
  fingerprint: `sha256:${'f'.repeat(64)}`,
  seal: {
    policy: { approvalsRequired: 5, scopes: SCOPES },
    approvalTimeoutInMs: 1_209_600_000,
    signature: SIGNED.signature,
  },
};

// As long as Azure and Kubernetes let names be.
const GROUP = `/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/${'g'.repeat(90)}/providers`;
const CLUSTER = `${GROUP}/Microsoft.ContainerService/managedClusters/${'c'.repeat(63)}`;
const keyIn = (vault: string, version: string): string =>
  `https://${vault.repeat(24)}.vault.azure.net/keys/${'k'.repeat(127)}/${version.repeat(32)}`;
const VAULT_ID = `${GROUP}/Microsoft.KeyVault/vaults/${'v'.repeat(24)}`;
const [OLDEST, CURRENT, OTHER, ELSEWHERE] = [keyIn('v', '0'), keyIn('v', '1'), keyIn('v', '2'), keyIn('w', '2')];
const NAMES = Array.from({ length: 5 }, (_, index) => `${'n'.repeat(63)}/${'s'.repeat(252)}${index}`);
const WEBHOOKS = Array.from({ length: 60 }, (_, index) => `${'w'.repeat(250)}${index}`);

/** A census that found everything. */
const CENSUS: Census = {
  secrets: 1900,
  problems: RefusalReason.options
    .filter((reason) => reason !== 'Unreadable' && reason !== 'NotPermitted')
    .map((reason) => ({ reason, count: 900, secrets: NAMES, message: 'm'.repeat(1_500) })),
  finalizing: { count: 900, secrets: NAMES },
  changed: { count: 900, secrets: NAMES },
  annotated: { count: 900, secrets: NAMES },
  admission: { changing: WEBHOOKS, denying: WEBHOOKS, unread: ['mutatingwebhookconfigurations'] },
};

const WORKSPACE = `${GROUP}/Microsoft.OperationalInsights/workspaces/${'w'.repeat(63)}`;

const SUBNET = `${GROUP}/Microsoft.Network/virtualNetworks/${'n'.repeat(64)}/subnets/${'s'.repeat(80)}`;

const PROVISIONED = { vaultName: 'v'.repeat(24), vaultResourceGroup: 'g'.repeat(90), keyName: 'k'.repeat(127) };

const POD_IDENTITY = `${GROUP}/Microsoft.ManagedIdentity/userAssignedIdentities/${'i'.repeat(128)}`;
const CSI_PLACE = {
  namespace: 'n'.repeat(63),
  secretProviderClass: 's'.repeat(253),
  serviceAccount: 'a'.repeat(253),
  identity: POD_IDENTITY,
};

const PARAMETERS: Readonly<Record<string, Readonly<Record<string, unknown>> & { readonly keyId?: string }>> = {
  'enable-kms': { keyId: OTHER },
  'rotate-key': { keyId: OTHER },
  'replace-key': { keyId: OTHER },
  // With API Server VNet Integration: four steps and a gate more.
  'change-vault': {
    keyId: ELSEWHERE,
    vaultAccess: 'Private',
    enableVnetIntegration: true,
    apiServerSubnetId: SUBNET,
  },
  'retire-key': { keyId: OLDEST },
  'change-vault-access': { vaultAccess: 'Public' },
  'enable-vault-diagnostics': { workspaceId: WORKSPACE, settingName: 's'.repeat(100) },
  'provision-kms': { ...PROVISIONED, vaultAccess: 'Private' },
  'create-cluster': {
    location: 'l'.repeat(40),
    identityId: `${GROUP}/Microsoft.ManagedIdentity/userAssignedIdentities/${'i'.repeat(128)}`,
    vaultAccess: 'Private',
    apiServerSubnetId: SUBNET,
    nodeSubnetId: SUBNET,
    dnsPrefix: 'd'.repeat(54),
    vmSize: 's'.repeat(60),
  },
  'connect-csi': {
    ...CSI_PLACE,
    mode: 'workload-identity',
    vaultId: VAULT_ID,
    // As much as a request may name.
    objects: Array.from({ length: 2 }, (_, index) => ({
      objectName: `${index}`.padEnd(127, 'o'),
      objectType: 'secret',
      objectAlias: `${index}`.padEnd(200, '界'.repeat(25)),
      objectVersion: 'f'.repeat(32),
    })),
    image: 'i'.repeat(255),
    rotationPollInterval: '1799s',
  },
  'disconnect-csi': { ...CSI_PLACE, disableAddOn: true },
};

/** Two keys of two vaults, each disabled and expired, and an identity that is gone. */
const EVERYTHING_BROKEN: Recovery = {
  slots: [[CURRENT, 'current'] as const, [ELSEWHERE, 'previous'] as const].map(([keyId, slot]) => ({
    ...slotFacts(slot, keyId, { version: { enabled: false, expiresOn: '2026-01-01T00:00:00.000Z' } }),
    vault: { state: 'live', vaultId: VAULT_ID, permissionModel: 'rbac', openToAllNetworks: true },
  })),
  identity: {
    id: `${GROUP}/Microsoft.ManagedIdentity/userAssignedIdentities/${'i'.repeat(128)}`,
    location: 'westeurope',
    state: 'missing',
  },
};

/** The longest plan of a kind: the current state is not proven, and every gate needs five people. */
function longestPlan(kind: string): Plan {
  const v1 = kind === 'upgrade-to-kms-v2';
  const version = v1 ? '1.26.3' : '1.34.1';
  const kms =
    kind === 'enable-kms'
      ? { enabled: false }
      : { enabled: true, keyId: CURRENT, networkAccess: 'Private', vaultId: VAULT_ID };
  const agentPools = Array.from({ length: POOLS }, (_, index) => ({
    name: `nodepool${1000 + index}`,
    version,
    wantedVersion: version,
    count: 1,
    mode: 'System',
  }));
  const parameters = PARAMETERS[kind] ?? {};
  const generation = (keyId: string | null, state: Generation['state']): Generation => ({
    keyId,
    state,
    origin: 'operation',
    since: '2026-01-01T00:00:00.000Z',
  });
  const made = plan(
    OperationRequest.parse({
      kind,
      cluster: CLUSTER,
      change: { number: 'C'.repeat(64) },
      parameters: kind === 'create-cluster' ? { ...parameters, provision: PROVISIONED } : parameters,
    }),
    {
      ...observation(
        {
          ...azure({
            cluster: {
              resourceId: CLUSTER,
              kubernetesVersion: version,
              wantedKubernetesVersion: version,
              agentPools,
              vnetIntegration: true,
              kms,
            },
            ...(kms.enabled ? { currentKey: { keyId: CURRENT } } : {}),
          }),
          ...(kms.enabled ? {} : { currentKey: undefined }),
          ...(parameters.keyId === undefined
            ? {}
            : { requestedKey: { found: true as const, key: goodKey(parameters.keyId) } }),
          identityAccess: identityAccess(),
          vaultDiagnostics: { known: true, vaultId: VAULT_ID, settings: [], workspaceFound: true },
          provisioning: provisioning({ vaultId: VAULT_ID }),
          csi: csiFacts({ vault: { vaultId: VAULT_ID, openToAllNetworks: false } }),
          vaultIds: { ['v'.repeat(24)]: VAULT_ID },
          recovery: EVERYTHING_BROKEN,
          ...(kind === 'create-cluster'
            ? {
                cluster: { found: false as const, state: 'missing' as const, why: 'None.' },
                clusterToMake: { identity: { state: 'missing' as const } },
              }
            : {}),
          upgradeProfile: { current: version, offered: ['1.27.3'] },
          keyUsers: {
            keyId: parameters.keyId ?? CURRENT,
            users: [],
            clusters: 900,
            unread: Array.from({ length: 90 }, (_, index) => `${CLUSTER}${index}`),
            refusedSubscriptions: [],
          },
        },
        {
          version: 1,
          generations: [
            generation(OLDEST, 'evicted'),
            generation(ELSEWHERE, 'superseded'),
            // A key can be retired only when nothing may be stored under it any more.
            kind === 'retire-key'
              ? {
                  ...generation(CURRENT, 'proven'),
                  proof: { operationId: 'op-1', at: NOW, secrets: 9, convergedRv: '9' },
                }
              : generation(kms.enabled ? CURRENT : null, 'activated'),
          ],
        },
      ),
      census: CENSUS,
      csiInside: csiInside({
        serviceAccount:
          kind === 'disconnect-csi'
            ? { namespace: CSI_PLACE.namespace, name: CSI_PLACE.serviceAccount, ours: true }
            : undefined,
      }),
      changedSinceProof: true,
      ledgerNotConfirmed: true,
    },
    { approvalsRequired: 5 },
  );
  if (!made.plan) throw new Error(`${kind}: ${JSON.stringify(made.faults)}`);
  return made.plan;
}

const PLANS = KINDS.map(({ name }) => longestPlan(name));

/** Characters of one to six bytes in JSON. */
const text = (most: number): fc.Arbitrary<string> =>
  fc
    .tuple(fc.constantFrom('x', '"', '\u0001', 'é', '界', '😀'), fc.integer({ min: 1, max: most }))
    .map(([character, length]) => character.repeat(length).slice(0, most));
const name = (most: number): fc.Arbitrary<string> =>
  fc
    .tuple(fc.constantFrom(1, 20, most), fc.stringMatching(/^[a-z0-9]{1,8}$/))
    .map(([length, start]) => start.padEnd(length, 'x'));
const actor = fc.record({
  tenantId: fc.constant('t'.repeat(36)),
  objectId: fc.constant('o'.repeat(36)),
  name: text(200),
  type: fc.constant('user' as const),
});
const refused = fc
  .array(
    fc.record({
      namespace: name(63),
      name: name(253),
      reason: fc.constantFrom(...RefusalReason.options),
      message: text(2_000),
    }),
    { size: 'max', maxLength: 300 },
  )
  .map((all) => {
    const names = new RefusedNames();
    for (const { namespace, name: of, reason, message } of all)
      names.add(refusedSecret({ namespace, name: of }, reason, message));
    return { count: all.length, secrets: names.secrets };
  });
const fault = fc.record({
  code: fc.constant('RewriteNotPermitted'),
  detail: text(4_000),
  pointer: fc.constant('/parameters/keyId'),
});
const counts = {
  secrets: 900,
  rewritten: 900,
  alreadyProven: 1,
  unchanged: 1,
  gone: 1,
  contradictions: 1,
  refused: 900,
};

/** As many as there can be, a year after the request: each step, and what people cause again and again. */
function allMilestones({ steps }: Plan): Milestone[] {
  const at = '2027-11-22T12:00:00.000Z';
  const [longest = ''] = steps.map(({ id }) => id).sort((a, b) => b.length - a.length);
  const block = { type: 'blocked' as const, at, step: longest, attempt: 99, code: 'ResourceVersionWentBackwards' };
  const each = 14 + longest.length + block.code.length;
  return [
    ...steps.flatMap(({ id: step }) =>
      (['step.started', 'step.done'] as const).map((type) => ({ type, at: NOW, step })),
    ),
    ...Array.from({ length: Math.ceil(MOST_BESIDE_STEPS / each) }, () => block),
    { type: 'canceled', at, code: 'CanceledOnRequest' },
    { type: 'evidence_sealed', at },
  ];
}

const operations = fc
  .record({
    plan: fc.constantFrom(...PLANS),
    faults: fc.array(fault, { minLength: 1, maxLength: 12, size: 'max' }),
    reason: text(500),
    requestedBy: actor,
    approvals: fc.array(fc.record({ by: actor, comment: text(500) }), { maxLength: 10, size: 'max' }),
    waitingFor: text(4_000),
    result: text(4_000),
    blocked: refused,
    accepted: refused,
    acceptance: fc.record({ by: actor, reason: text(500) }),
    weaknesses: fc.array(text(500), { maxLength: 6, size: 'max' }),
  })
  .map((of): Operation => {
    const bounds = { baselineRv: '9'.repeat(19), convergedRv: '9'.repeat(19), method: 'forced' as const };
    return {
      ...newOperation({
        id: `op-${'f'.repeat(26)}`,
        request: {
          ...request(),
          kind: of.plan.kind,
          cluster: CLUSTER,
          parameters: PARAMETERS[of.plan.kind] ?? {},
          change: { number: 'C'.repeat(64), reason: of.reason },
        },
        requestedBy: of.requestedBy,
        requestedAt: NOW,
      }),
      status: OperationStatus.AwaitingApproval,
      reason: of.faults[0] ?? null,
      faults: of.faults,
      endedAt: NOW,
      plan: of.plan,
      planRevision: 99,
      approvals: of.approvals.map((approval) => ({
        ...SIGNED,
        ...approval,
        planDigest: of.plan.digest,
        gate: 'approve-plaintext',
      })),
      approvalDeadline: NOW,
      steps: stepStates(
        of.plan,
        of.plan.steps.map(({ id }) => ({ id, status: 'interrupted', startedAt: NOW, endedAt: NOW, result: of.result })),
      ),
      waitingFor: of.waitingFor,
      keysNeeded: [OLDEST, CURRENT, OTHER, ELSEWHERE],
      offers: ['approve', 'deny', 'retry', 'accept', 'cancel'],
      blockedSecrets: blockedSecrets(of.blocked.count, of.blocked.secrets, { acceptable: true }),
      acceptance: {
        ...SIGNED,
        ...of.acceptance,
        step: 'rotate.rewrite',
        digest: FINGERPRINT.fingerprint,
        secrets: acceptedSecrets(of.accepted),
      },
      result: {
        previousKeyId: CURRENT,
        currentKeyId: OTHER,
        rewrite: { bounds, ...counts },
        proof: {
          bounds,
          finalRv: '9'.repeat(19),
          secrets: 900,
          unproven: 9,
          convergenceHeld: true,
          weaknesses: of.weaknesses,
        },
      },
      evidence: {
        file: `/${'e'.repeat(250)}.json`,
        digest: FINGERPRINT.fingerprint,
        signingKeyId: FINGERPRINT.fingerprint,
      },
      milestones: allMilestones(of.plan),
    };
  });

describe('the memo', () => {
  it('of any operation has at most 37.4 kB, and tells its lists, its counts and its plan again', () => {
    fc.assert(
      fc.property(operations, (operation) => {
        const memo: unknown = JSON.parse(JSON.stringify({ ...FINGERPRINT, ...memoOf(operation) }));
        expect(jsonBytes(memo)).toBeLessThanOrEqual(MEMO_BYTES);
        const {
          blockedSecrets: blocked,
          acceptance,
          plan: read,
          result,
          faults,
          milestones,
        } = operationInMemo(memo as object as Record<string, unknown>);
        expect(blocked).toEqual(operation.blockedSecrets);
        expect(acceptance?.secrets).toEqual(operation.acceptance?.secrets);
        expect(read).toEqual(operation.plan);
        expect(result?.proof?.unproven).toBe(9);
        expect(milestones).toEqual(operation.milestones);
        expect(faults.map(({ code }) => code)).toEqual(operation.faults.map(({ code }) => code));
      }),
      // A counterexample is large, and shrinking one takes minutes.
      { numRuns: 30, endOnFailure: true },
    );
  });

  it('of an ordinary rotation has at most 16 kB, and no text of it is cut', () => {
    const rotation = planned('rotate-key', { proven: false });
    const warnings = Array.from({ length: 6 }, (_, index) => ({ code: `Warning${index}`, detail: 'w'.repeat(400) }));
    const actorOf = (who: string): Operation['requestedBy'] => ({
      tenantId: 't'.repeat(36),
      objectId: 'o'.repeat(36),
      name: who,
      type: 'user',
    });
    const operation: Operation = {
      ...newOperation({ id: 'op-1', request: request(), requestedBy: actorOf('Olga'), requestedAt: NOW }),
      status: OperationStatus.Succeeded,
      plan: { ...rotation, warnings },
      planRevision: 1,
      approvals: [
        { ...SIGNED, by: actorOf('Anna'), planDigest: rotation.digest, gate: 'approve', comment: 'Reviewed.' },
      ],
      steps: stepStates(
        { ...rotation, warnings },
        rotation.steps.map(({ id }) => ({ id, status: 'done', startedAt: NOW, endedAt: NOW, result: 'r'.repeat(160) })),
      ),
      offers: [],
      waitingFor: null,
    };
    expect(jsonBytes({ ...FINGERPRINT, ...memoOf(operation) })).toBeLessThanOrEqual(ORDINARY_BYTES);
    expect(operationInMemo(memoOf(operation) as Record<string, unknown>)).toEqual(operation);
  });
});

describe('a list of refused Secrets', () => {
  const secret = (
    index: number,
    message = 'The admission webhook policy.example.com denied the request.',
  ): RefusedSecret =>
    refusedSecret({ namespace: 'team-a', name: `app-credentials-${index}` }, 'AdmissionDenied', message);
  const namesOf = (secrets: readonly RefusedSecret[]): RefusedSecret[] => {
    const names = new RefusedNames();
    for (const one of secrets) names.add(one);
    return names.secrets;
  };

  it('names a hundred ordinary ones', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => secret(index));
    expect(namesOf(hundred)).toHaveLength(100);
  });

  it('that is too long to be named cannot be accepted, and counts all', () => {
    const many = Array.from({ length: 900 }, (_, index) => secret(index));
    const list = blockedSecrets(many.length, namesOf(many), { acceptable: true });
    expect(list.count).toBe(900);
    expect(list.secrets.length).toBeLessThan(900);
    expect(list.acceptable).toBe(false);
  });

  it('is the same in whatever order the API servers answered', () => {
    const [one, other] = [secret(1), secret(2)];
    expect(namesOf([one, other])).toEqual(namesOf([other, one]));
  });
});
