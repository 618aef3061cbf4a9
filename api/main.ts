/**
 * The API process.
 *
 * Reads the policy file again on SIGHUP. Prints one line of JSON on standard output when it listens: `{"url":"http://…"}`; its log is on standard error. Ends on
 * SIGTERM or SIGINT after it has answered the requests under way.
 */
import { observeAzure } from '../activities/observe-azure';
import { createSharedLooks } from '../activities/shared-look';
import { createAzureAccess, type AzureAccess } from '../azure/access';
import { canonicalJson } from '../domain/canonical';
import { openStore } from '../evidence/open-store';
import { UnusableKey } from '../evidence/signer';
import { SettingsError } from '../settings/environment';
import type { ObserveAzure } from './deps';
import { createLogger } from './logging';
import { startApi } from './server';
import { readApiSettings } from './settings';

async function main(): Promise<void> {
  process.title = 'keyturn-api';
  const settings = readApiSettings(process.env);
  const logger = createLogger(settings.logLevel);
  const azure = createAzureAccess(settings.cloud);
  const api = await startApi(settings, {
    observeAzure: observeTogether(azure),
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

/** Requests that come at the same time and ask Azure the same share the answer: each gets what Azure said after it came. */
function observeTogether(azure: AzureAccess): ObserveAzure {
  const shared = createSharedLooks();
  return (request, { abortSignal }) => {
    const { kind, cluster, parameters } = request;
    const key = canonicalJson([kind, cluster, parameters]);
    return shared.of(key, abortSignal, (signal) => observeAzure(azure, request, { abortSignal: signal }));
  };
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
