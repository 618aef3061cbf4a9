/** Recorded histories replay with today's workflow code: an operation that runs over an upgrade of Keyturn goes on. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { COMPILED } from '../../launch/node-process';
import { HISTORIES } from '../support/histories';

interface Recorded {
  readonly name: string;
  readonly workflowId: string;
  readonly history: { events: Record<string, unknown>[] };
}

const recorded: Recorded[] = readdirSync(HISTORIES).map((file) => ({
  name: path.basename(file, '.json'),
  ...(JSON.parse(readFileSync(path.join(HISTORIES, file), 'utf8')) as Omit<Recorded, 'name'>),
}));

/** The workflow id is given: the code derives ids from it. */
async function replay({ history, workflowId }: Recorded): Promise<void> {
  const workflowBundle = { codePath: path.join(COMPILED, 'workflow-bundle.js') };
  await Worker.runReplayHistory({ workflowBundle }, historyFromJSON(history), workflowId);
}

describe('a recorded history', () => {
  beforeAll(() => {
    Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined) });
  });

  it('exists for every path of an operation', () => {
    expect(recorded.map(({ name }) => name).sort()).toEqual([
      'accepted',
      'blocked',
      'canceled',
      'denied',
      'expired',
      'happy',
      'plan-changed',
    ]);
  });

  it.each(recorded)('of the path "$name" replays', async (one) => {
    await expect(replay(one)).resolves.toBeUndefined();
  });

  it('does not replay when the code would do something else: the test above can fail', async () => {
    const happy = recorded.find(({ name }) => name === 'happy');
    if (!happy) throw new Error('There is no happy history.');
    const changed = structuredClone(happy);
    const event = changed.history.events.find((one) => JSON.stringify(one).includes('"takeBaseline"'));
    if (!event) throw new Error('The happy history has no takeBaseline.');
    const attributes = event.activityTaskScheduledEventAttributes as { activityType: { name: string } };
    attributes.activityType.name = 'submitClusterChange';
    await expect(replay(changed)).rejects.toThrow(/[Nn]ondeterminism/);
  });
});
