/** The census on a real cluster: everything that can stand in the way of a rewrite is found, and nothing is changed. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { KubeConnection } from '../../activities/kubernetes/connection';
import { takeCensus } from '../../activities/secrets/census';
import { censusFaults, censusWarnings, type Census } from '../../domain/census';
import { seedSecrets } from '../../sandbox/cluster/seed';
import { eventually } from '../sandbox/cluster-support';
import { PACE, SECRETS, TestCluster, testRunning } from './cluster-support';
import { deleteRecord, putObject, putRecord } from './etcd';
import { restrictedConnection } from './restricted-access';

const ADMISSION = '/apis/admissionregistration.k8s.io/v1';
const HOUR_IN_MS = 3_600_000;
const LOST = '/registry/secrets/default/lost';
const METADATA = { uid: '5b0c8a52-7a51-4f6e-9d0e-0f3c5a1d2b4e', creationTimestamp: '2026-01-01T00:00:00Z' };

describe('a census', () => {
  let c: TestCluster;
  beforeAll(async () => {
    c = await TestCluster.start();
    await seedSecrets(c.cluster.adminKubeconfig, { count: 40, namespaces: ['team-a'] });
  });
  afterAll(() => c.stop());

  const census = (connection: KubeConnection = c.connection, now?: () => number): Promise<Census> =>
    takeCensus(connection, PACE, testRunning(), { now });
  const problem = async (reason: string) => (await census()).problems.find((one) => one.reason === reason);

  it('of a healthy cluster finds nothing, changes nothing and tells how far it is', async () => {
    const before = await resourceVersions();
    const running = testRunning();
    const none = { count: 0, secrets: [] };
    expect(await takeCensus(c.connection, PACE, running)).toEqual({
      secrets: 40,
      problems: [],
      finalizing: none,
      changed: none,
      annotated: none,
      listRv: expect.stringMatching(/^\d+$/),
      admission: { changing: [], denying: [], unread: [] },
      refusedObjects: [],
      keepsChanging: false,
    });
    expect(running.heartbeats[0]).toMatchObject({ done: 0, total: 40 });
    expect(await resourceVersions()).toEqual(before);
  });

  it('finds what an admission policy denies, and warns', async () => {
    await c.createSecret('frozen', { frozen: 'yes' });
    await c.call('POST', `${ADMISSION}/validatingadmissionpolicies`, {
      metadata: { name: 'frozen' },
      spec: {
        matchConstraints: {
          resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['secrets'] }],
        },
        validations: [{ expression: "!has(object.metadata.labels) || !('frozen' in object.metadata.labels)" }],
      },
    });
    await c.call('POST', `${ADMISSION}/validatingadmissionpolicybindings`, {
      metadata: { name: 'frozen' },
      spec: { policyName: 'frozen', validationActions: ['Deny'] },
    });
    await eventually(async () => (await problem('AdmissionDenied')) !== undefined);
    const found = await census();
    expect(found.problems).toMatchObject([{ reason: 'AdmissionDenied', count: 1, secrets: ['default/frozen'] }]);
    expect(censusFaults(found)).toEqual([]);
    expect(censusWarnings(found)).toMatchObject([
      { code: 'SecretsRefuseRewrite', detail: expect.stringContaining('default/frozen') },
      { code: 'AdmissionAppliesToSecrets', detail: expect.stringContaining('ValidatingAdmissionPolicy frozen') },
    ]);
    await c.call('DELETE', `${ADMISSION}/validatingadmissionpolicybindings/frozen`);
    await c.call('DELETE', `${ADMISSION}/validatingadmissionpolicies/frozen`);
    await untilAdmitted('frozen');
  });

  it('says what it cannot foretell: a webhook that has side effects is not asked in a dry run', async () => {
    await c.createSecret('hooked');
    // Today's API does not take such a webhook any more, but clusters keep those of the time of v1beta1.
    await store('/registry/validatingwebhookconfigurations/hook', {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { ...METADATA, name: 'hook' },
      webhooks: [
        {
          name: 'hook.example.com',
          admissionReviewVersions: ['v1'],
          sideEffects: 'Unknown',
          failurePolicy: 'Fail',
          matchPolicy: 'Equivalent',
          timeoutSeconds: 1,
          objectSelector: {},
          clientConfig: { url: 'https://127.0.0.1:1/' },
          rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['secrets'], scope: '*' }],
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } },
        },
      ],
    });
    await eventually(async () => (await problem('DryRunUnsupported')) !== undefined);
    expect(censusWarnings(await census())).toMatchObject([
      { code: 'SecretsNotForetold' },
      { code: 'AdmissionAppliesToSecrets', detail: expect.stringContaining('webhook hook.example.com') },
    ]);
    await c.call('DELETE', `${ADMISSION}/validatingwebhookconfigurations/hook`);
    await untilAdmitted('hooked');
  });

  /** An API server goes on enforcing a policy or a webhook for a moment after it was deleted. */
  async function untilAdmitted(name: string): Promise<void> {
    const change = { metadata: { annotations: { tried: 'yes' } } };
    await eventually(() =>
      c.call('PATCH', `${SECRETS}/${name}?dryRun=All`, change).then(
        () => true,
        () => false,
      ),
    );
  }

  it('finds a Secret that has grown too large to be stored where it asks by dry runs, and one whose deletion is stuck', async () => {
    // Nobody has bound it, and Keyturn does not judge that: it could apply.
    await c.call('POST', `${ADMISSION}/validatingadmissionpolicies`, {
      metadata: { name: 'unbound' },
      spec: {
        matchConstraints: {
          resourceRules: [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*'] }],
        },
        validations: [{ expression: 'true' }],
      },
    });
    const data = { blob: Buffer.alloc(1_100_000, 'x').toString('base64') };
    const metadata = { ...METADATA, name: 'huge', namespace: 'default' };
    await store('/registry/secrets/default/huge', { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data });
    await c.call('POST', SECRETS, { metadata: { name: 'stuck', finalizers: ['example.com/never'] } });
    await c.call('DELETE', `${SECRETS}/stuck`);
    const found = await census(c.connection, () => Date.now() + HOUR_IN_MS);
    expect(found.problems).toMatchObject([{ reason: 'TooLarge', secrets: ['default/huge'] }]);
    expect(found.finalizing).toEqual({ count: 1, secrets: ['default/stuck'] });
    expect((await census()).finalizing.count).toBe(0);
    await c.call('PATCH', `${SECRETS}/stuck`, { metadata: { finalizers: null } });
    await c.call('DELETE', `${SECRETS}/huge`);
    await c.call('DELETE', `${ADMISSION}/validatingadmissionpolicies/unbound`);
  });

  it('finds that Keyturn may not patch, and refuses', async () => {
    const { connection, close } = await restrictedConnection(c, [
      { apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list'] },
    ]);
    const found = await census(connection);
    await close();
    expect(found.problems).toMatchObject([{ reason: 'NotPermitted' }]);
    expect(found.problems[0]?.count).toBe(found.secrets);
    expect(censusFaults(found)).toMatchObject([
      { code: 'RewriteNotPermitted', detail: expect.stringContaining('may not patch secrets') },
      { code: 'ClusterAccessRefused', detail: expect.stringContaining('Secret kube-system/keyturn-canary-census') },
      { code: 'ClusterAccessRefused', detail: expect.stringContaining('ConfigMap kube-system/keyturn-ledger') },
    ]);
  });

  it('finds a record that cannot be decrypted, names it, and refuses', async () => {
    await c.createSecret('lost');
    await putRecord(c.cluster.etcdUrl, LOST, 'k8s:enc:kms:v2:gone:whatever');
    // The server notices at its own pace; while it does, it may refuse lists for other reasons.
    let found: Census | undefined;
    await eventually(async () => {
      found = await census().catch(() => undefined);
      return found !== undefined && found.problems.length > 0;
    });
    expect(found?.problems).toMatchObject([{ reason: 'Unreadable', count: 1, secrets: ['default/lost'] }]);
    expect(found && censusFaults(found)).toMatchObject([
      { code: 'SecretsUnreadable', detail: expect.stringContaining('would wedge the cluster') },
    ]);
    await deleteRecord(c.cluster.etcdUrl, LOST);
  });

  const store = (key: string, object: unknown): Promise<void> => putObject(c.cluster.etcdUrl, key, object);

  async function resourceVersions(): Promise<unknown> {
    const list = (await c.connection.request({ method: 'GET', path: '/api/v1/secrets' })) as {
      items: { metadata: { name: string; resourceVersion: string } }[];
    };
    return list.items.map(({ metadata: { name, resourceVersion } }) => [name, resourceVersion]);
  }
});
