/** A ledger lies where others may write: `proven` counts with signed evidence only (K2). */
import { describe, expect, it } from '@jest/globals';
import { newOperation } from '../../domain/new-operation';
import type { Generation, Ledger } from '../../domain/ledger';
import { stepStates } from '../../domain/operation';
import type { Plan } from '../../domain/plan/plan';
import type { Proof } from '../../domain/proof';
import { plan } from '../../domain/planner';
import { isChangedSinceProof, isConfirmed, trustedLedger, type SealedOperation } from '../../domain/trusted-ledger';
import { azure, CLUSTER, goodKey, KEY_1, KEY_2, NOW, observation, person, request } from './fixtures';

const PROOF = { operationId: 'op-1', at: NOW, convergedRv: '900', secrets: 12 };
const PROVEN: Generation = { keyId: KEY_1, state: 'proven', origin: 'operation', since: NOW, proof: PROOF };
const ledger = (...generations: Generation[]): Ledger => ({ version: 1, generations });

/** A rotation from one key to another, with the state before it proven or not. */
function rotation(from: string, to: string, proven: boolean): Plan {
  const facts = azure({ cluster: { kms: { enabled: true, keyId: from } }, requestedKey: goodKey(to) });
  const state = proven ? ('proven' as const) : ('activated' as const);
  const before = ledger({ keyId: from, state, origin: 'operation', since: NOW });
  const result = plan(request({ keyId: to }), observation(facts, before), { approvalsRequired: 1 });
  if (!result.plan) throw new Error(JSON.stringify(result.faults));
  return result.plan;
}

/** Evidence of an operation that proved key 1 after it had switched to it; from key 1, before it switched to another. */
function sealedOperation(
  change: {
    id?: string;
    cluster?: string;
    from?: string;
    switched?: boolean;
    sealedAt?: string;
    proved?: boolean;
    eTag?: string;
  } = {},
): SealedOperation {
  const { id = 'op-1', cluster = CLUSTER, from = KEY_2, switched = true, sealedAt = NOW, proved = true, eTag } = change;
  const made = from === KEY_1 ? rotation(KEY_1, KEY_2, false) : rotation(from, KEY_1, true);
  const transition = from === KEY_1 ? 'current' : 'rotate';
  const bounds = { baselineRv: null, convergedRv: '900', method: 'no-op' as const };
  const proof: Proof = {
    bounds,
    finalRv: '950',
    secrets: 12,
    unproven: 0,
    unprovenSecrets: [],
    convergenceHeld: true,
    weaknesses: [],
  };
  return {
    sealedAt,
    outputs: proved
      ? {
          [`${transition}.prove`]: { type: 'prove', proof },
          [`${transition}.record-proof`]: { type: 'record-proof', ledger: ledger(), proven: true, eTag },
        }
      : {},
    operation: {
      ...newOperation({ id, request: { ...request(), cluster }, requestedBy: person('olga'), requestedAt: NOW }),
      plan: made,
      steps: stepStates(made, switched ? [{ id: 'rotate.set-kms', status: 'done', startedAt: NOW }] : []),
    },
  };
}

describe('a cluster whose current key is proven', () => {
  it.each([
    ['is unchanged while its entity tag is that of the proof', 'e1', 'e1', false],
    ['was changed by another entity tag, though the key is the same', 'e1', 'e2', true],
    ['was changed when the evidence has no entity tag to compare', undefined, 'e1', true],
  ])('%s', (_what, atProof, now, changed) => {
    const records = [sealedOperation({ eTag: atProof })];
    expect(isConfirmed(ledger(PROVEN), CLUSTER, records)).toBe(true);
    expect(isChangedSinceProof(ledger(PROVEN), CLUSTER, records, now)).toBe(changed);
  });
});

describe('a ledger that calls the current key proven', () => {
  it('is believed with the evidence of that proof, whatever the case of the cluster’s id', () => {
    expect(isConfirmed(ledger(PROVEN), CLUSTER.toUpperCase(), [sealedOperation()])).toBe(true);
    const earlier = sealedOperation({ id: 'op-0', sealedAt: '2026-01-01T00:00:00.000Z' });
    const onlyPlanned = sealedOperation({
      id: 'op-2',
      sealedAt: '2027-01-01T00:00:00.000Z',
      switched: false,
      proved: false,
    });
    expect(isConfirmed(ledger(PROVEN), CLUSTER, [earlier, sealedOperation(), onlyPlanned])).toBe(true);
  });

  it.each<[string, Ledger, SealedOperation[]]>([
    ['was edited, without any evidence', ledger(PROVEN), []],
    ['has lost its proof', ledger({ ...PROVEN, proof: undefined }), [sealedOperation()]],
    ['names another operation', ledger({ ...PROVEN, proof: { ...PROOF, operationId: 'op-9' } }), [sealedOperation()]],
    [
      'names another resource version',
      ledger({ ...PROVEN, proof: { ...PROOF, convergedRv: '901' } }),
      [sealedOperation()],
    ],
    ['names another number of Secrets', ledger({ ...PROVEN, proof: { ...PROOF, secrets: 13 } }), [sealedOperation()]],
    ['names another key', ledger({ ...PROVEN, keyId: KEY_2 }), [sealedOperation()]],
    [
      'was copied from another cluster',
      ledger(PROVEN),
      [sealedOperation({ cluster: CLUSTER.replace('aks1', 'aks2') })],
    ],
    ['has evidence of an operation that proved nothing', ledger(PROVEN), [sealedOperation({ proved: false })]],
    [
      'was put back behind a later rotation',
      ledger(PROVEN),
      [sealedOperation(), sealedOperation({ id: 'op-2', sealedAt: '2027-01-01T00:00:00.000Z', proved: false })],
    ],
    ['was put back behind the switch of its own operation', ledger(PROVEN), [sealedOperation({ from: KEY_1 })]],
  ])('and %s is not believed, and the plan proves the key first', (_what, claimed, records) => {
    const confirmed = isConfirmed(claimed, CLUSTER, records);
    expect(confirmed).toBe(false);
    const believed = trustedLedger(claimed, confirmed);
    expect(believed.generations.at(-1)).toMatchObject({ state: 'activated' });
    const facts = azure({
      cluster: { kms: { enabled: true, keyId: believed.generations.at(-1)?.keyId ?? undefined } },
    });
    const planned = plan(
      request(),
      { ...observation(facts, believed), ledgerNotConfirmed: true },
      { approvalsRequired: 1 },
    );
    expect(planned.plan?.steps.map(({ id }) => id)).toContain('current.prove');
    expect(planned.plan?.warnings.map(({ code }) => code)).toContain('LedgerNotConfirmed');
  });

  it('is left as it is when it claims nothing', () => {
    const claimed = ledger({ ...PROVEN, state: 'activated', proof: undefined });
    expect(isConfirmed(claimed, CLUSTER, [])).toBe(true);
    expect(trustedLedger(claimed, true)).toBe(claimed);
  });
});
