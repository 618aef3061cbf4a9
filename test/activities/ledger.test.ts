import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { changeLedger, readLedger, type LedgerChange } from '../../activities/ledger';
import type { KubeConnection } from '../../activities/kubernetes/connection';
import { TestCluster } from './cluster-support';

const K = (version: number): string => `https://kv-test.vault.azure.net/keys/etcd/${String(version).padStart(32, '0')}`;
const PATH = '/api/v1/namespaces/kube-system/configmaps/keyturn-ledger';
const proof = { operationId: 'op-1', convergedRv: '10', secrets: 3 };

describe('the ledger in the cluster', () => {
  let c: TestCluster;
  beforeAll(async () => {
    c = await TestCluster.start();
  });
  afterAll(() => c.stop());
  afterEach(() => c.call('DELETE', PATH).catch(() => undefined));

  const change = (changes: LedgerChange[], reportedKeyId = K(1), connection = c.connection) =>
    changeLedger(connection, { reportedKeyId, changes });
  const version = async (): Promise<string> => (await c.call('GET', PATH)).metadata.resourceVersion;

  it('is absent at first, and adopts the key that Azure reports', async () => {
    expect(await readLedger(c.connection)).toBeNull();
    const ledger = await change([{ type: 'reconcile' }]);
    expect(ledger.generations).toMatchObject([{ keyId: K(1), state: 'activated', origin: 'adopted' }]);
    expect(await readLedger(c.connection)).toEqual(ledger);
  });

  it('notes a whole rotation, and writes nothing when a step is repeated, but for the time of a coming switch', async () => {
    const steps: { changes: LedgerChange[]; reported: string }[] = [
      { changes: [{ type: 'reconcile' }], reported: K(1) },
      { changes: [{ type: 'proven', keyId: K(1), proof }], reported: K(1) },
      { changes: [{ type: 'activating', keyId: K(2), operationId: 'op-1' }], reported: K(1) },
      { changes: [{ type: 'activated', keyId: K(2) }], reported: K(2) },
      { changes: [{ type: 'proven', keyId: K(2), proof }], reported: K(2) },
    ];
    for (const { changes, reported } of steps) {
      await change(changes, reported);
      const written = await version();
      await change(changes, reported);
      // How long ago the switch was last noted says whether every API server has surely switched.
      if (changes.some(({ type }) => type === 'activating')) expect(await version()).not.toBe(written);
      else expect(await version()).toBe(written);
    }
    expect((await readLedger(c.connection))?.generations).toMatchObject([
      { keyId: K(1), state: 'superseded' },
      { keyId: K(2), state: 'proven', proof: { secrets: 3 } },
    ]);
  });

  it('applies its change to what somebody else wrote in between', async () => {
    const older = { ...proof, convergedRv: '5' };
    await change([{ type: 'reconcile' }, { type: 'proven', keyId: K(1), proof: older }]);
    let interfered = false;
    const slow: KubeConnection = {
      ...c.connection,
      async request(request) {
        if (request.method === 'PUT' && !interfered) {
          interfered = true;
          await change([{ type: 'proven', keyId: K(1), proof }]);
        }
        return c.connection.request(request);
      },
    };
    const ledger = await change([{ type: 'activating', keyId: K(2), operationId: 'op-2' }], K(1), slow);
    expect(interfered).toBe(true);
    expect(ledger.generations).toMatchObject([
      { keyId: K(1), state: 'proven' },
      { keyId: K(2), state: 'activating' },
    ]);
    expect(await readLedger(c.connection)).toEqual(ledger);
  });

  it('asks a person when a rule forbids the change, or when the ledger was edited', async () => {
    await change([{ type: 'reconcile' }]);
    await expect(change([{ type: 'proven', keyId: K(2), proof }])).rejects.toMatchObject({
      type: 'LedgerContradiction',
      nonRetryable: true,
    });
    await c.call('PATCH', PATH, { data: { ledger: '{"version":1' } });
    await expect(readLedger(c.connection)).rejects.toMatchObject({ type: 'LedgerContradiction', nonRetryable: true });
  });
});
