/**
 * Each way in, with each object and each vault, and each piece of it removed: a step makes the piece, or a refusal names it, or it is written
 * here why only the mount shows it (test/activities/csi-mount-table.test.ts). The inspection of the same connection names the piece as well.
 * A way in that is new has every piece until a reason is written here.
 */
import { describe, expect, it } from '@jest/globals';
import { ERRORS } from '../../domain/errors';
import type { CsiInspection } from '../../domain/csi/inspection';
import type { Plan } from '../../domain/plan/plan';
import { ConnectMode } from '../../domain/csi/parameters';
import {
  allOf,
  connected,
  inspectionOf,
  OBJECTS,
  planOf,
  WAYS,
  withCluster,
  withCsi,
  withInside,
  type Connection,
  type Way,
} from './connections/connected';
import { OF_CLUSTERS } from './connections/of-clusters';
import { OF_IDENTITIES } from './connections/of-identities';
import { OF_NETWORKS } from './connections/of-networks';
import { OF_VAULTS } from './connections/of-vaults';
import type { Piece } from './connections/piece';
import { UNSEEN, VAULTS, type VaultSort } from './connections/sorts-of-vault';

const NAMES = Object.keys(WAYS) as Way[];
const PIECES = [...OF_VAULTS, ...OF_NETWORKS, ...OF_IDENTITIES, ...OF_CLUSTERS];

function planFor(one: Connection): Plan {
  const { plan, faults } = planOf(one);
  if (plan === null) throw new Error(JSON.stringify(faults));
  return plan;
}

/** Steps that make something: those that only check what the plan found are not among them. */
const making = ({ steps }: Plan): string[] =>
  steps
    .filter((step) => !('exists' in step && step.exists))
    .map(({ type }) => type as string)
    .filter((type) => type !== 'gate' && !type.startsWith('prove-'));
const warningsOf = ({ warnings }: Plan): string[] => warnings.map(({ code }) => code);
const sentencesOf = ({ warnings }: Plan, code: string | undefined): string[] =>
  warnings.filter((one) => one.code === code).map(({ detail }) => detail);
const textOf = (words: string | ((whole: Connection) => string), whole: Connection): string =>
  typeof words === 'string' ? words : words(whole);
const of = <T extends object>(value: T | ((way: Way) => T), way: Way): T =>
  typeof value === 'function' ? value(way) : value;
const said = ({ broken, unknown, classes }: CsiInspection): { broken: string; unknown: string } => ({
  broken: [...broken, ...classes.flatMap((one) => one.broken)].join(' '),
  unknown: [...unknown, ...classes.flatMap((one) => one.unknown)].join(' '),
});

/** What each step of a plan makes, and how it is said, where the cluster has nothing. */
const FROM_NOTHING: Readonly<Record<Way, readonly string[]>> = {
  'workload identity': [
    'enable-secrets-provider',
    'enable-workload-identity',
    'create-identity',
    'create-federated-credential',
    'grant-vault-read',
    'create-service-account',
    'create-secret-provider-class',
  ],
  'the identity of the add-on': ['enable-secrets-provider', 'grant-vault-read', 'create-secret-provider-class'],
  'an identity of the nodes': [
    'enable-secrets-provider',
    'create-identity',
    'assign-node-identity',
    'grant-vault-read',
    'create-secret-provider-class',
  ],
  'the system-assigned identity': ['enable-secrets-provider', 'grant-vault-read', 'create-secret-provider-class'],
  // The class notes the connection first.
  'Service Connector': [
    'enable-secrets-provider',
    'create-secret-provider-class',
    'create-service-connection',
    'grant-vault-read',
  ],
};

function withNothing(whole: Connection): Connection {
  const { way, csi } = whole;
  const bare = withInside(
    withCluster(whole, { secretsProvider: undefined, issuerUrl: undefined, workloadIdentity: undefined }),
    { classes: [], serviceAccount: undefined, missing: ['The cluster has no CSIDriver secrets-store.csi.k8s.io.'] },
  );
  return withCsi(bare, {
    ...(way === 'the system-assigned identity' ? {} : { identity: { state: 'to-be-made' as const } }),
    ...(csi.vault.known
      ? {
          vault: {
            known: true as const,
            value: { ...csi.vault.value, policy: { secrets: [], keys: [], certificates: [] } },
          },
        }
      : {}),
    ...(csi.roles === undefined ? {} : { roles: { known: true as const, value: [] } }),
    ...(csi.credentials === undefined ? {} : { credentials: { known: true as const, value: [] } }),
    ...(csi.nodes?.known === true
      ? { nodes: { known: true as const, value: csi.nodes.value.map((one) => ({ ...one, identities: [] })) } }
      : {}),
    ...(csi.connections === undefined ? {} : { connections: { known: true as const, value: [] } }),
  });
}

describe.each(NAMES)('%s', (way) => {
  it.each(Object.keys(VAULTS) as VaultSort[])(
    'with a vault of %s makes nothing where the connection is whole, and everything where there is nothing',
    (vault) => {
      for (const object of Object.values(OBJECTS)) {
        const whole = connected(way, vault, object);
        const kept = planFor(whole);
        expect(making(kept)).toEqual([]);
        expect(kept.steps.find(({ type }) => type === 'prove-mount')).toMatchObject({ objects: [object] });
        expect(said(inspectionOf(whole))).toEqual({ broken: '', unknown: UNSEEN[vault] });
        expectReach(kept, vault);
        expectRotation(kept, whole);
        const made = planFor(withNothing(whole));
        expect(making(made)).toEqual(FROM_NOTHING[way]);
        expect(made.steps.at(-1)).toMatchObject({ type: 'prove-mount', objects: [object] });
        expectReach(made, vault);
      }
    },
  );

  it('is one of the modes of the request', () => {
    expect(ConnectMode.options).toContain(WAYS[way].mode);
  });

  it.each(PIECES.filter(({ exempt }) => exempt?.[way] === undefined).map((row) => [row.what, row] as const))(
    'without %s',
    (_what, row) => {
      const cases = allOf(way).flatMap((whole) => {
        const without = row.removed(whole);
        return without === undefined ? [] : [[whole, without] as const];
      });
      expect(cases.length).toBeGreaterThan(0);
      for (const [whole, without] of cases) {
        expectPlanned(row, whole, without);
        expectInspected(row, whole, without);
      }
    },
  );
});

/** Approvers of a connection to a private vault learn what an inspection says, and who shows the rest. */
function expectReach(plan: Plan, vault: VaultSort): void {
  const unseen = UNSEEN[vault];
  const sentences = sentencesOf(plan, 'VaultNotOpenToNodes');
  expect(sentences).toEqual(unseen === '' ? [] : [expect.stringMatching(/the mount at the end shows\.$/)]);
  expect(sentences.join(' ')).toContain(unseen);
}

/** Keyturn makes an object in the vault for it: where it has no way in, and for certificates, the plan says that it is not proven. */
function expectRotation(plan: Plan, { vault, object }: Connection): void {
  const proven = UNSEEN[vault] === '' && object.objectType !== 'cert';
  expect(plan.steps.some(({ type }) => type === 'prove-rotation')).toBe(proven);
  expect(warningsOf(plan).includes('RotationNotProven')).toBe(!proven);
}

function expectPlanned(row: Piece, whole: Connection, without: Connection): void {
  const planned = of(row.planned, whole.way);
  const names = textOf(row.names, whole);
  const { plan, faults } = planOf(without);
  if ('refused' in planned) {
    expect([...new Set(faults.map(({ code }) => code))]).toEqual(expect.arrayContaining([planned.refused]));
    const sentences = faults.filter(({ code }) => code === planned.refused).map(({ detail }) => detail);
    expect(sentences.join(' ')).toContain(names);
    return;
  }
  if (plan === null) throw new Error(JSON.stringify(faults));
  if ('same' in planned) {
    expect(planned.same).toMatch(/^[A-Z].{10,}\.$/);
    expect(making(plan)).toEqual([]);
    expect(plan.steps.map(({ type }) => type)).toContain('prove-mount');
    if (planned.warned !== undefined) expect(sentencesOf(plan, planned.warned).join(' ')).toContain(names);
    return;
  }
  expect(making(plan)).toEqual([planned.made, ...(planned.with ?? [])]);
  if (planned.warned !== undefined) expect(warningsOf(plan)).toContain(planned.warned);
  const sentences = [
    ...plan.steps.filter(({ type }) => type === planned.made).map(({ title }) => title),
    ...sentencesOf(plan, planned.warned),
  ];
  expect(sentences.join(' ')).toContain(names);
}

function expectInspected(row: Piece, whole: Connection, without: Connection): void {
  const inspected = of(row.inspected as Exclude<Piece['inspected'], string>, whole.way) as Piece['inspected'];
  const found = said(inspectionOf(without));
  const names = textOf(row.inspectedAs ?? row.names, whole);
  const unseen = UNSEEN[whole.vault];
  // What is said of a whole connection names no piece that is missing.
  if (without !== whole) found.unknown = found.unknown.replace(unseen, '').trim();
  if (inspected === 'broken' || inspected === 'unknown') expect(found[inspected]).toContain(names);
  else {
    expect((inspected as { silent: string }).silent).toMatch(/^[A-Z].{10,}\.$/s);
    expect(found).toEqual({ broken: '', unknown: without === whole ? unseen : '' });
  }
}

it('every row has its reasons in sentences, and codes that are documented', () => {
  for (const { exempt = {}, planned } of PIECES) {
    for (const reason of Object.values(exempt)) expect(reason).toMatch(/^[A-Z].{10,}\.$/);
    for (const way of NAMES) {
      const one = of(planned, way);
      if ('refused' in one) expect(Object.keys(ERRORS)).toContain(one.refused);
    }
  }
});
