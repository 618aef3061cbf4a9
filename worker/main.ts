/**
 * The worker process: runs the workflows and the activities.
 *
 * Prints one line of JSON on standard output when it polls; its log is on standard error. Ends on SIGTERM after the
 * activities had time to stop; what they were doing is resumed by the next worker from their last heartbeat.
 */
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import pino from 'pino';
import { createActivities } from '../activities';
import { createAzureAccess } from '../azure/access';
import { AuditLog } from '../evidence/audit-log';
import { openStore } from '../evidence/open-store';
import { OF_EVIDENCE } from '../evidence/receipts';
import { UnusableKey } from '../evidence/signer';
import { OF_API, readPublicKeys } from '../trust/public-keys';
import { createStatementVerifier } from '../trust/verify';
import { RECONNECTING } from '../settings/temporal';
import { SettingsError } from '../settings/environment';
import { makeWorkflowBundle, WORKFLOW_BUNDLE } from './bundle';
import { openEvidenceKey } from './evidence-key';
import { ensureSearchAttributes } from './search-attributes';
import { ensureSweeper } from './sweeper';
import { readWorkerSettings, type WorkerSettings } from './settings';

/** Kubernetes gives a pod 30 s by default; activities heartbeat and stop well before. */
const SHUTDOWN_GRACE_TIME = '10 seconds';

async function main(): Promise<void> {
  process.title = 'keyturn-worker';
  const settings = readWorkerSettings(process.env);
  const logger = pino({ name: 'worker', level: settings.logLevel }, pino.destination(2));
  Runtime.install({
    logger: new DefaultLogger('INFO', ({ level, message, meta }) => {
      const write = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;
      logger[write[level]](meta ?? {}, message);
    }),
  });
  await makeWorkflowBundle();
  const worker = await createWorker(settings, logger);
  process.stdout.write(
    `${JSON.stringify({ taskQueue: settings.taskQueue, namespace: settings.temporal.namespace })}\n`,
  );
  await worker.run();
}

async function createWorker({ temporal, ...settings }: WorkerSettings, logger: pino.Logger): Promise<Worker> {
  const { namespace } = temporal;
  // Two connections: the SDK's worker needs its native one, activities need a client.
  const connection = await Connection.connect({ ...temporal.connection, ...RECONNECTING });
  await ensureSearchAttributes(connection, namespace);
  const client = new Client({ connection, namespace });
  await ensureSweeper(client, settings.taskQueue).catch((error: unknown) => {
    // It seals what was ended from outside; everything else works without it.
    logger.warn({ error: String(error) }, 'no sweeper: the schedule could not be made');
  });
  const azure = createAzureAccess(settings.cloud);
  const store = openStore(settings.evidenceStore, settings.cloud);
  return await Worker.create({
    connection: await NativeConnection.connect(temporal.connection),
    namespace,
    taskQueue: settings.taskQueue,
    workflowBundle: { codePath: WORKFLOW_BUNDLE },
    activities: createActivities({
      azure,
      evidence: {
        store,
        key: await openEvidenceKey(settings.evidenceKey, azure, logger),
        earlierKeys: await readPublicKeys(settings.evidenceEarlierPublicKeys, OF_EVIDENCE),
        audit: new AuditLog(store, 'worker'),
      },
      trust: {
        statements: createStatementVerifier(await readPublicKeys(settings.apiPublicKeys, OF_API)),
        minimumApprovals: settings.minimumApprovals,
        approvalMaxAgeInSeconds: settings.approvalMaxAgeInSeconds,
      },
      pace: settings.pace,
      client,
      change: settings.change,
      clusterDecidesAfterInMs: settings.clusterDecidesAfterInMs,
      apiServerDrainInMs: settings.apiServerDrainInMs,
      mountFailsAfterInMs: settings.mountFailsAfterInMs,
      webhooks: settings.webhooks,
    }),
    maxCachedWorkflows: settings.cachedOperations,
    shutdownGraceTime: SHUTDOWN_GRACE_TIME,
    // Heartbeats carry the progress that people watch: once a second, not once in 0.8 of the heartbeat timeout.
    maxHeartbeatThrottleInterval: '1 second',
  });
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error instanceof SettingsError || error instanceof UnusableKey ? error.message : error);
    process.exit(1);
  },
);
