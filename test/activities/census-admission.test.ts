/** What a census sees of webhooks that change Secrets, and how many requests it sends where there are none. */
import { afterEach, describe, expect, it } from '@jest/globals';
import type { KubeConnection } from '../../activities/kubernetes/connection';
import { takeCensus } from '../../activities/secrets/census';
import { rewriteSecrets } from '../../activities/secrets/rewrite';
import { censusFaults, censusWarnings, forcedRewriteWarnings } from '../../domain/census';
import type { EncryptionTarget } from '../../domain/encryption';
import { seedSecrets } from '../../sandbox/cluster/seed';
import { PACE, SECRETS, TestCluster, testRunning } from './cluster-support';
import { annotating, installMutatingWebhook, type MutatingWebhook } from './mutating-webhook';
import { newOperationId, turn } from './operation-support';

const COUNT = 40;
let c: TestCluster;
let webhook: MutatingWebhook | undefined;
afterEach(async () => {
  await webhook?.close();
  webhook = undefined;
  await c.stop();
});

describe('a census', () => {
  it('names Secrets that a webhook would change, and refuses when it changes them on every update', async () => {
    c = await TestCluster.start();
    await c.call('POST', SECRETS, { metadata: { name: 'empty' }, data: { foo: '', bar: 'eA==' } });
    await c.call('POST', SECRETS, { metadata: { name: 'full' }, data: { bar: 'eA==' } });
    await c.call('POST', SECRETS.replace('default', 'kube-system'), { metadata: { name: 'some' }, data: {} });
    webhook = await installMutatingWebhook(c, (secret) => {
      if (secret.metadata.name === 'some') return annotating('at', () => new Date().toISOString())(secret);
      const empty = Object.entries(secret.data ?? {}).filter(([, value]) => value === '');
      return empty.map(([name]) => ({ op: 'remove', path: `/data/${name}` }));
    });
    const census = await takeCensus(c.connection, PACE, testRunning());
    // That a webhook removes an empty value shows in no metadata: the plan names the webhook, and says so.
    expect(census.changed).toEqual({ count: 1, secrets: ['kube-system/some'] });
    expect(censusWarnings(census)).toMatchObject([
      { code: 'SecretsChangedByAdmission', detail: expect.stringContaining('webhook mutator.example.com') },
      { code: 'AdmissionAppliesToSecrets', detail: expect.stringContaining('need not show') },
    ]);
    expect(censusFaults(census)).toMatchObject([{ code: 'CanariesNotStill' }]);
  });

  it.each([
    { kubernetesMinor: '1.26', perSecret: 0 },
    { kubernetesMinor: '1.34', perSecret: 1 },
  ])('of $kubernetesMinor asks $perSecret times for each Secret, and later only for what changed', async (options) => {
    c = await TestCluster.start(options);
    await seedSecrets(c.cluster.adminKubeconfig, { count: COUNT, namespaces: ['team-a'] });
    let asked = 0;
    const requestText: KubeConnection['requestText'] = (request) => {
      if (/\/namespaces\/team-a\/secrets\//.test(request.path)) asked++;
      return c.connection.requestText(request);
    };
    const request: KubeConnection['request'] = async (one) => JSON.parse(await requestText(one)) as unknown;
    const counting = { ...c.connection, requestText, request };
    const earlier = await takeCensus(counting, PACE, testRunning());
    expect(asked).toBe(COUNT * options.perSecret);
    asked = 0;
    await c.call('POST', SECRETS.replace('default', 'team-a'), { metadata: { name: 'late' } });
    expect(await takeCensus(counting, PACE, testRunning(), { earlier })).toMatchObject({ secrets: COUNT + 1 });
    expect(asked).toBe(options.perSecret);
  });

  it('foretells annotations that leave no room for a forced rewrite, which then meets them by the same name', async () => {
    c = await TestCluster.start({ kubernetesMinor: '1.26', kmsProviderNames: 'shared' });
    const cluster = c;
    await seedSecrets(c.cluster.adminKubeconfig, { count: COUNT, namespaces: ['team-a'] });
    // Longer by the name of the annotation: 262,110 of 262,144 bytes.
    const annotations = { big: 'x'.repeat(262_107) };
    await c.call('POST', SECRETS, { metadata: { name: 'annotated', annotations }, data: { a: 'eA==' } });
    const census = await takeCensus(c.connection, PACE, testRunning());
    expect(census).toMatchObject({ problems: [], annotated: { count: 1, secrets: ['default/annotated'] } });
    const [warning] = forcedRewriteWarnings(census);
    expect(warning).toMatchObject({ code: 'SecretsRefuseRewrite' });
    expect(warning?.detail).toMatch(/AnnotationsTooLarge.*default\/annotated.*256 KiB/);

    const target = (): EncryptionTarget => ({ scheme: 'kms-v1', keyId: cluster.key });
    const { bounds, report, proof } = await turn(cluster, () => cluster.switchKey(), target);
    expect(bounds.method).toBe('forced');
    expect(report).toMatchObject({ rewritten: COUNT, refused: 1 });
    const refused = {
      namespace: 'default',
      name: 'annotated',
      reason: 'AnnotationsTooLarge',
      suggestion: expect.stringMatching(/^Remove annotations .*256 KiB/),
    };
    expect(report.refusedSecrets).toMatchObject([refused]);
    expect(proof).toMatchObject({ unproven: 1, unprovenSecrets: [refused] });

    // What the advice says helps.
    await c.call('PATCH', `${SECRETS}/annotated`, { metadata: { annotations: null } });
    const again = { bounds, operationId: newOperationId(), pace: PACE };
    expect(await rewriteSecrets(c.connection, again, testRunning())).toMatchObject({ refused: 0 });
    expect(await c.stored()).toMatchObject({ newKey: COUNT + 1 });
  });
});
