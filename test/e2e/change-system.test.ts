/** An operation waits for its change: for its window, and while it is on hold in the middle; then it goes on by itself. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { startDirectedService, type DirectedService } from '../support/directed-service';
import { askForRotation, control, ended, makeCluster, people, testStack, until } from '../support/stack';

const CHANGE = 'CHG8000001';
/** As ServiceNow has times: UTC, without a zone. */
const serviceNowTime = (hoursFromNow: number): string =>
  new Date(Date.now() + hoursFromNow * 3_600_000).toISOString().slice(0, 19).replace('T', ' ');

describe('an operation of a change that ServiceNow has', () => {
  let service: DirectedService;
  let cluster: SandboxClusterFacts;

  beforeAll(async () => {
    const { directory, sandbox } = testStack();
    const secretFile = path.join(directory, 'service-now-secret');
    writeFileSync(secretFile, sandbox.serviceNow.clientSecret);
    const env = {
      KEYTURN_CHANGE_SYSTEM: 'servicenow',
      KEYTURN_CHANGE_URL: sandbox.serviceNow.url,
      KEYTURN_CHANGE_CLIENT_ID: sandbox.serviceNow.clientId,
      KEYTURN_CHANGE_SECRET_FILE: secretFile,
      KEYTURN_CHANGE_ASK_SECONDS: '1',
    };
    [cluster, service] = await Promise.all([
      makeCluster('change-waits', { count: 6 }),
      startDirectedService('change-waits', env),
    ]);
  });
  afterAll(() => service.stop());

  it('is refused when there is no such change; otherwise it waits where the change does not allow it, and goes on', async () => {
    const { requester, approver1 } = people(service.apiUrl);
    const unknown = await askForRotation(requester, cluster.resourceId, { change: { number: 'CHG8999999' } });
    expect(unknown).toMatchObject({ status: 'Failed', reason: { code: 'ChangeNotFound' } });

    // Approved; the window has ended.
    const record = { state: '-1', approval: 'approved', start_date: serviceNowTime(-2), end_date: serviceNowTime(-1) };
    await control().setChange(CHANGE, record);
    const asked = await askForRotation(requester, cluster.resourceId, { change: { number: CHANGE } });
    const switching = service.hold('submitClusterChange');
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    const waits = await until(requester, asked.id, ({ waitingFor }) => waitingFor?.includes('a new window') ?? false);
    expect(waits).toMatchObject({ status: 'Planning', offers: ['cancel'] });
    expect(waits.waitingFor).toContain('Nothing was changed.');

    // The change system has a new window: the operation begins. After the switch the change is put on hold.
    await control().setChange(CHANGE, { end_date: serviceNowTime(2) });
    await switching.held();
    await control().setChange(CHANGE, { on_hold: 'true' });
    switching.release();
    const held = await until(requester, asked.id, ({ waitingFor }) => waitingFor?.includes('it is on hold') ?? false);
    expect(held).toMatchObject({ status: 'Running', offers: ['pause', 'cancel'] });
    expect(held.waitingFor).toMatch(/Next: .*[Rr]ewrite.*not every Secret is proven/);
    expect(held.steps.find(({ id }) => id === 'rotate.rewrite')?.status).toBe('pending');

    await control().setChange(CHANGE, { on_hold: 'false' });
    expect(await ended(requester, asked.id)).toMatchObject({ status: 'Succeeded', planRevision: 1 });
  });

  it('ends when its window has ended and no change system could open another one, and nothing was changed', async () => {
    const { requester, approver1 } = people();
    const end = Date.now() + 15_000;
    const window = { start: new Date(end - 3_600_000).toISOString(), end: new Date(end).toISOString() };
    const asked = await askForRotation(requester, cluster.resourceId, { change: { number: 'CHG8000002', window } });
    await until(requester, asked.id, () => Date.now() > end);
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    expect(await ended(requester, asked.id)).toMatchObject({
      status: 'Canceled',
      reason: { code: 'ChangeWindowEnded', detail: expect.stringContaining('Nothing was changed.') as unknown },
    });
  });
});
