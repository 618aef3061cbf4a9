/**
 * Loaded into the product's own worker process before anything else (`--require`): has it die, or wait, at a point that a test
 * chose. The worker itself has no hook for tests.
 *
 * Needs: KEYTURN_TEST_DIRECTIONS, a folder of the test's own that outlives the process.
 * Does: with a file `crash-before` in the folder, ends the process by SIGKILL before the first activity of each step whose id it
 *       matches, a regular expression; with a file `crash-after`, after the work of each activity that writes, before Temporal hears of it. Once for each such point, which is
 *       noted in `crashes`, a line each.
 *       With a file `hold-ACTIVITY`, an activity of that name begins only when the file is gone; `held-ACTIVITY` says that it waits.
 *       With a file `hold-steps`, the first activity of each step begins only when there is a file `passed-STEP`; `held-at` has the step.
 * Why the timeout: Temporal notices a dead worker by the heartbeat that does not come. Fifteen seconds, dozens of times, is long.
 */
const { appendFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { Client, Connection } = require('@temporalio/client');
const { Worker } = require('@temporalio/worker');

const DIRECTIONS = process.env.KEYTURN_TEST_DIRECTIONS;
/** Activities that only read: their lost answer is a read that is done again. Anything else counts as writing. */
const READ_ONLY = new Set([
  'checkRules',
  'makePlan',
  'takeCensus',
  'readClusterHolder',
  'awaitClusterIdle',
  'awaitClusterChange',
  'verifyCluster',
  'checkKeyUnused',
  'awaitKeyAccess',
  'confirmVaultDiagnostics',
  'awaitKms',
  'awaitEndpointApproval',
  'awaitNewCluster',
  'awaitApiServers',
]);

/** They belong to no step: an operation is admitted that goes on in a new run, a decision is verified, a change system asked or a webhook told while some step is shown. */
const BESIDE_STEPS = new Set([
  'admitOperation',
  'verifyDecision',
  'checkChange',
  'announceEvents',
  'deliverNextEvent',
  'sweepOperations',
]);

const fileOf = (name) => path.join(DIRECTIONS, name);

/** Ends this process at a point where no worker has ended before. Written first, at once: nothing after the signal is sure. */
function dieOnce(point) {
  const line = JSON.stringify(point);
  const died = existsSync(fileOf('crashes')) ? readFileSync(fileOf('crashes'), 'utf8').split('\n') : [];
  if (died.includes(line)) return false;
  appendFileSync(fileOf('crashes'), `${line}\n`);
  process.kill(process.pid, 'SIGKILL');
  return true;
}

const isChosen = (when, step) => new RegExp(readFileSync(fileOf(`crash-${when}`), 'utf8')).test(step ?? '');

let client;
/** The step that an operation is at, by what its workflow shows; null before and after its steps. */
async function stepOf(workflowId) {
  client ??= Connection.connect({ address: process.env.TEMPORAL_ADDRESS }).then(
    (connection) => new Client({ connection, namespace: process.env.TEMPORAL_NAMESPACE }),
  );
  const { memo } = await (await client).workflow.getHandle(workflowId).describe();
  const running = Object.entries(memo ?? {}).find(
    ([key, step]) => key.startsWith('step:') && step.status === 'running',
  );
  return running?.[0].slice('step:'.length) ?? null;
}

/** What waits is alive: without heartbeats Temporal would give the activity to another try. */
async function holdAt(activity, heartbeat) {
  if (!existsSync(fileOf(`hold-${activity}`))) return;
  writeFileSync(fileOf(`held-${activity}`), '');
  while (existsSync(fileOf(`hold-${activity}`))) {
    heartbeat();
    await sleep(50);
  }
  rmSync(fileOf(`held-${activity}`));
}

/** As `holdAt`, for the step that an activity belongs to. */
async function holdStep(step, heartbeat) {
  if (step === null || existsSync(fileOf(`passed-${step}`))) return;
  writeFileSync(fileOf('held-at'), step);
  while (!existsSync(fileOf(`passed-${step}`)) && existsSync(fileOf('hold-steps'))) {
    heartbeat();
    await sleep(50);
  }
}

const never = new Promise(() => undefined);

const directions = ({ info, heartbeat }) => ({
  inbound: {
    async execute(input, next) {
      const activity = info.activityType;
      await holdAt(activity, heartbeat);
      if (BESIDE_STEPS.has(activity)) return await next(input);
      if (existsSync(fileOf('hold-steps'))) await holdStep(await stepOf(info.workflowExecution.workflowId), heartbeat);
      const [before, after] = [existsSync(fileOf('crash-before')), existsSync(fileOf('crash-after'))];
      if (!before && !after) return await next(input);
      const operation = info.workflowExecution.workflowId;
      const step = await stepOf(operation);
      if (before && step !== null && isChosen('before', step) && dieOnce({ operation, when: 'before', step }))
        await never;
      const result = await next(input);
      // By its id and not its name: a step may ask for the same activity twice.
      const { activityId } = info;
      if (
        after &&
        !READ_ONLY.has(activity) &&
        isChosen('after', step) &&
        dieOnce({ operation, when: 'after', step, activity, activityId })
      )
        await never;
      return result;
    },
  },
});

/**
 * The bundle of the product, with a dead worker noticed sooner, and without its source map, which is most of it and is decoded at each
 * start. Made once: workers come and go.
 */
function soonNoticed({ codePath }) {
  const made = fileOf('workflow-bundle.js');
  if (existsSync(made)) return { codePath: made };
  const code = readFileSync(codePath, 'utf8');
  const sooner = code
    .slice(0, code.lastIndexOf('//# sourceMappingURL='))
    .replace(/HEARTBEAT_TIMEOUT = '\d+ seconds'/, "HEARTBEAT_TIMEOUT = '4 seconds'");
  if (!sooner.includes("HEARTBEAT_TIMEOUT = '4 seconds'"))
    throw new Error('workflows/activities.ts has no HEARTBEAT_TIMEOUT any more: change this line too.');
  const noMap = JSON.stringify({ version: 3, file: made, sources: [], names: [], mappings: '' });
  const comment = `//# sourceMappingURL=data:application/json;base64,${Buffer.from(noMap).toString('base64')}\n`;
  writeFileSync(`${made}.new`, sooner + comment);
  renameSync(`${made}.new`, made);
  return { codePath: made };
}

const create = Worker.create;
Worker.create = (options) =>
  create.call(Worker, {
    ...options,
    workflowBundle: soonNoticed(options.workflowBundle),
    interceptors: { activity: [directions] },
    // Temporal looks for the cache of a dead worker first, for ten seconds unless told otherwise; then any worker replays the history.
    stickyQueueScheduleToStartTimeout: '1 second',
  });
