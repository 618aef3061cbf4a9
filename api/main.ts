/**
 * The API process.
 *
 * Reads the policy file again on SIGHUP. Prints one line of JSON on standard output when it listens: `{"url":"http://…"}`; its log is on standard error. Ends on
 * SIGTERM or SIGINT after it has answered the requests under way.
 */
import { observeAzure } from '../activities/observe-azure';
import { createAzureAccess } from '../azure/access';
import { openStore } from '../evidence/open-store';
import { UnusableKey } from '../evidence/signer';
import { SettingsError } from '../settings/environment';
import { createLogger } from './logging';
import { startApi } from './server';
import { readApiSettings } from './settings';

async function main(): Promise<void> {
  process.title = 'keyturn-api';
  const settings = readApiSettings(process.env);
  const logger = createLogger(settings.logLevel);
  const azure = createAzureAccess(settings.cloud);
  const api = await startApi(settings, {
    observeAzure: (request, options) => observeAzure(azure, request, options),
    store: openStore(settings.evidenceStore, settings.cloud),
    logger,
  });
  process.stdout.write(`${JSON.stringify({ url: api.url })}\n`);
  logger.info(
    { url: api.url, temporal: settings.temporal.connection.address, namespace: settings.temporal.namespace },
    'listening',
  );

  if (settings.auth.approvalClients === undefined)
    logger.warn('KEYTURN_APPROVAL_CLIENTS is not set: decisions count through every application.');

  // Without this the signal would end the process.
  process.on('SIGHUP', () => api.reloadPolicy());

  const signal = await new Promise<NodeJS.Signals>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  logger.info({ signal }, 'stopping');
  await api.close();
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    // An error that an operator can fix is one sentence; any other needs its stack.
    const expected =
      error instanceof SettingsError ||
      error instanceof UnusableKey ||
      (error instanceof Error && error.cause !== undefined);
    console.error(expected ? error.message : error);
    process.exit(1);
  },
);
