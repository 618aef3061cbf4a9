/** Webhooks and policies that keep or deny what Keyturn writes: found before the plan, and named. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { takeCensus } from '../../activities/secrets/census';
import { nodesByPool } from '../../activities/kubernetes/nodes';
import { censusFaults, censusWarnings } from '../../domain/census';
import { seedSecrets } from '../../sandbox/cluster/seed';
import { eventually } from '../sandbox/cluster-support';
import { PACE, SECRETS, TestCluster, testRunning } from './cluster-support';
import { turn } from './operation-support';
import { startWebhookServer, type WebhookServer } from './webhook-server';

const ADMISSION = '/apis/admissionregistration.k8s.io/v1';
const COUNT = 4;
let c: TestCluster;
let webhook: WebhookServer | undefined;
beforeEach(async () => {
  c = await TestCluster.start();
  await seedSecrets(c.cluster.adminKubeconfig, { count: COUNT, namespaces: ['team-a'] });
});
afterEach(async () => {
  await webhook?.close();
  webhook = undefined;
  await c.stop();
});

describe('a webhook that is down and fails open after its timeout', () => {
  it('makes the plan say how long writes take, and every Secret is proven all the same', async () => {
    let asked = 0;
    webhook = await startWebhookServer(() => void asked++);
    const slow = { failurePolicy: 'Ignore', timeoutSeconds: 2 };
    await c.call(
      'POST',
      `${ADMISSION}/validatingwebhookconfigurations`,
      webhook.configuration('down.example.com', slow),
    );
    await c.createSecret('probe');
    await eventually(async () => {
      await c.call('PATCH', `${SECRETS}/probe`, { metadata: { labels: { at: String(Date.now()) } } });
      return asked > 0;
    });
    await c.call('DELETE', `${SECRETS}/probe`);

    const census = await takeCensus(c.connection, PACE, testRunning());
    expect(census.problems).toEqual([]);
    const warning = censusWarnings(census).find(({ code }) => code === 'WritesAreSlow');
    expect(warning?.detail).toMatch(/takes about \d+\.\d s here.*down\.example\.com/);
    expect(census.writes?.medianInMs).toBeGreaterThanOrEqual(1_900);

    await webhook.close();
    webhook = undefined;
    const { report, proof } = await turn(
      c,
      () => c.switchKey(),
      () => c.target,
    );
    expect(report).toMatchObject({ rewritten: COUNT, refused: 0 });
    expect(proof).toMatchObject({ unproven: 0 });
  });
});

describe('the policy that locks managed system namespaces', () => {
  const NAME = 'aks-managed-protect-system-namespaces';

  /** As AKS Automatic has it. @param exempt the groups that it lets through */
  async function lock(exempt: string): Promise<void> {
    const rules = [
      { apiGroups: ['*'], apiVersions: ['*'], operations: ['CREATE', 'UPDATE', 'DELETE'], resources: ['*'] },
    ];
    await c.call('POST', `${ADMISSION}/validatingadmissionpolicies`, {
      metadata: { name: NAME },
      spec: {
        matchConstraints: {
          resourceRules: rules,
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } },
        },
        matchConditions: [
          { name: 'secrets-and-maps', expression: "request.resource.resource in ['secrets', 'configmaps']" },
        ],
        validations: [{ expression: `request.userInfo.groups.exists(group, group == '${exempt}')` }],
      },
    });
    await c.call('POST', `${ADMISSION}/validatingadmissionpolicybindings`, {
      metadata: { name: NAME },
      spec: { policyName: NAME, validationActions: ['Deny'] },
    });
  }

  it('is found by name before the plan, for the canaries and the ledger', async () => {
    await lock('nobody');
    await eventually(async () => (await takeCensus(c.connection, PACE, testRunning())).refusedObjects?.length === 2);
    const faults = censusFaults(await takeCensus(c.connection, PACE, testRunning()));
    expect(faults.map(({ code }) => code)).toEqual(['ClusterAccessRefused', 'ClusterAccessRefused']);
    expect(faults[0]?.detail).toMatch(/^A dry run says .*Secret kube-system\/keyturn-canary.*Nothing was changed/);
    expect(faults[1]?.detail).toContain('ConfigMap kube-system/keyturn-ledger');
    for (const { detail } of faults) expect(detail).toContain(`ValidatingAdmissionPolicy ${NAME}`);
  });

  it('is no reason to refuse where it exempts the user of Keyturn', async () => {
    await lock('system:masters');
    const census = await takeCensus(c.connection, PACE, testRunning());
    expect(census.admission?.denying).toContain(`ValidatingAdmissionPolicy ${NAME}`);
    expect(censusFaults(census)).toEqual([]);
  });
});

it('nodes are counted by their agent pool, where the API server has any', async () => {
  expect(await nodesByPool(c.connection)).toBeUndefined();
  for (const [name, pool] of [
    ['a1', 'a'],
    ['a2', 'a'],
    ['b1', 'b'],
  ] as const) {
    await c.call('POST', '/api/v1/nodes', { metadata: { name, labels: { 'kubernetes.azure.com/agentpool': pool } } });
  }
  await c.call('POST', '/api/v1/nodes', { metadata: { name: 'elsewhere' } });
  expect(await nodesByPool(c.connection)).toEqual({ a: 2, b: 1 });
});
