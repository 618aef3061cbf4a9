/** The main job on the real parts: Temporal, kube-apiserver, etcd, and the real Azure SDKs against the sandbox. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { OperationAnswer } from '../../cli/api-client';
import { Ledger } from '../../domain/ledger';
import { verdictOn } from '../support/evidence';
import { clusterWrites } from '../../launch/sandbox-control';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { recordHistory } from '../support/histories';
import { kubeApi } from '../support/kube';
import { ownFiles } from '../support/own-files';
import { askForRotation, control, ended, makeCluster, openTemporal, people, rotateBody } from '../support/stack';
import { keyVersions } from '../support/vault';

const SECRETS = 120;
/** Bytes of the history of such a rotation, at most: each write of the memo and each answer of an activity is in it. */
const HISTORY_BYTES = 130_000;
const MARKER = `marker-${randomBytes(12).toString('hex')}`;

describe('a rotation from request to proof', () => {
  let cluster: SandboxClusterFacts;
  let operation: OperationAnswer;
  let newKeyId: string;

  beforeAll(async () => {
    cluster = await makeCluster('rotation', {
      count: SECRETS,
      namespaces: ['team-a', 'team-b', 'default'],
      immutableEvery: 7,
      largeEvery: 40,
      marker: MARKER,
    });
    await applyWithKubectl('team-a', 'secret-00001');
    const { requester, approver1 } = people();
    const asked = await askForRotation(requester, cluster.resourceId);
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    operation = await ended(requester, asked.id);
    newKeyId = operation.result?.currentKeyId ?? '';
    await recordHistory('happy', operation.id);
  });

  /** Leaves what `kubectl apply` leaves: a copy of the whole object in its metadata, values and all. */
  async function applyWithKubectl(namespace: string, name: string): Promise<void> {
    const { core, secret } = kubeApi(cluster);
    const { metadata, ...body } = await secret(namespace, name);
    const copy = JSON.stringify({ ...body, stringData: { password: MARKER } });
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': copy };
    await core.replaceNamespacedSecret({ namespace, name, body: { ...body, metadata: { ...metadata, annotations } } });
  }

  it('succeeds, with every Secret rewritten and none unproven', () => {
    expect(operation).toMatchObject({
      status: 'Succeeded',
      result: {
        previousKeyId: cluster.keyId,
        rewrite: { secrets: SECRETS, rewritten: SECRETS },
        proof: { secrets: SECRETS, unproven: 0 },
      },
    });
    expect(operation.steps.map(({ status }) => status)).toEqual(operation.steps.map(() => 'done'));
  });

  it('leaves every record in raw etcd under the new key, and no canary', async () => {
    const count = await countByKey(readSecretRecords(cluster.etcd), { newKeyId, oldKeyId: cluster.keyId });
    expect(count).toEqual({ newKey: SECRETS, oldKey: 0, plaintext: 0, other: 0 });
  });

  it('leaves both keys in place and enabled, and says that both are needed (K1)', async () => {
    expect(await keyVersions(cluster.keyId)).toEqual([
      { keyId: cluster.keyId, enabled: true },
      { keyId: newKeyId, enabled: true },
    ]);
    expect([...operation.keysNeeded].sort()).toEqual([cluster.keyId, newKeyId].sort());
  });

  it('wrote to ARM once', async () => {
    const journal = await control().journal();
    expect(clusterWrites(journal, cluster.resourceId)).toBe(2); // The PUT that made the cluster, and the rotation's.
    expect(journal.filter(({ path: at, kms }) => kms && at.endsWith('/rotation'))).toHaveLength(2);
  });

  it('notes both generations in the ledger inside the cluster', async () => {
    const map = await kubeApi(cluster).configMap('kube-system', 'keyturn-ledger');
    const ledger = Ledger.parse(JSON.parse(map.ledger ?? ''));
    expect(ledger.generations).toMatchObject([
      { keyId: cluster.keyId, state: 'superseded' },
      { keyId: newKeyId, state: 'proven', operationId: operation.id, proof: { secrets: SECRETS } },
    ]);
  });

  it('seals evidence that verifies, and does not after one changed byte', () => {
    const bytes = readFileSync(operation.evidence?.file ?? '');
    const verdict = verdictOn(bytes);
    expect(verdict).toMatchObject({ ok: true, record: { operation: { id: operation.id, status: 'Succeeded' } } });
    for (const at of [0, Math.floor(bytes.length / 2), bytes.length - 1]) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(verdictOn(changed)).toMatchObject({ ok: false });
    }
  });

  it('has a short history', async () => {
    const client = await openTemporal();
    const { raw } = await client.workflow.getHandle(operation.id).describe();
    await client.connection.close();
    const bytes = Number(raw.workflowExecutionInfo?.historySizeBytes);
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThanOrEqual(HISTORY_BYTES);
  });

  it('lets no Secret value into Temporal, logs, evidence or answers (S1)', async () => {
    const client = await openTemporal();
    const history = JSON.stringify(await client.workflow.getHandle(operation.id).fetchHistory());
    await client.connection.close();
    // The encodings in which a value travels: as it is, in base64, and in base64 of the envelope around it.
    const forms = [MARKER, Buffer.from(MARKER).toString('base64').slice(0, 30)];
    const files = ownFiles();
    expect(files.length).toBeGreaterThan(3);
    for (const form of forms) {
      expect(history).not.toContain(form);
      expect(JSON.stringify(operation)).not.toContain(form);
      for (const { file, text } of files) expect({ file, has: text.includes(form) }).toEqual({ file, has: false });
    }
    // The search itself works: the marker is where it belongs, also in the metadata that Keyturn's lists have.
    const { data, metadata } = await kubeApi(cluster).secret('team-a', 'secret-00001');
    expect(JSON.stringify(data)).toContain(forms[1]);
    expect(JSON.stringify(metadata)).toContain(forms[0]);
  });

  it('can be followed by a second one, which needs no proof of the current key first', async () => {
    const { requester, approver2 } = people();
    const asked = await askForRotation(requester, cluster.resourceId);
    expect(asked.plan?.steps.map(({ id }) => id)).not.toContain('current.prove');
    await approver2.approve(asked.id, asked.plan?.digest ?? '');
    const second = await ended(requester, asked.id);
    expect(second).toMatchObject({ status: 'Succeeded', result: { previousKeyId: newKeyId, proof: { unproven: 0 } } });
  });

  it('takes a key that the request names, and refuses it once it is current', async () => {
    const { requester } = people();
    const current = (await keyVersions(cluster.keyId)).at(-1)?.keyId ?? '';
    await expect(
      requester.create(rotateBody(cluster.resourceId, { parameters: { keyId: current } }), randomUUID()),
    ).rejects.toMatchObject({
      status: 422,
      code: 'KeyAlreadyCurrent',
    });
  });
});
