/** The worker's settings of webhooks. */
import { z } from 'zod';
import type { WebhookSettings } from '../activities/webhooks/webhooks';
import { reachFaults, webhookEndpoints } from '../domain/webhooks';
import { oneOf, optionalUrl, SettingsError, wholeNumber } from '../settings/environment';
import { readSettingsFile } from '../settings/text-file';

/** The variables. */
export const WebhookVariables = {
  KEYTURN_WEBHOOKS_FILE: z.string().optional(),
  KEYTURN_WEBHOOK_HOSTS: z
    .string()
    .optional()
    .transform((hosts) =>
      (hosts ?? '')
        .toLowerCase()
        .split(',')
        .map((host) => host.trim())
        .filter((host) => host !== ''),
    ),
  KEYTURN_WEBHOOK_PRIVATE_ADDRESSES: oneOf(['refuse', 'allow'], 'refuse'),
  KEYTURN_WEBHOOK_HTTP_LOOPBACK: oneOf(['refuse', 'allow'], 'refuse'),
  KEYTURN_WEBHOOK_FIRST_RETRY_SECONDS: wholeNumber({ min: 1, max: 3_600, fallback: 5 }),
  KEYTURN_WEBHOOK_LONGEST_RETRY_SECONDS: wholeNumber({ min: 1, max: 86_400, fallback: 3_600 }),
  KEYTURN_WEBHOOK_TIMEOUT_SECONDS: wholeNumber({ min: 1, max: 30, fallback: 15 }),
  KEYTURN_API_PUBLIC_URL: optionalUrl(),
};

/** What they say. @throws SettingsError that names every fault of the file, and every endpoint that may not be reached */
export function webhookSettings(variables: z.infer<z.ZodObject<typeof WebhookVariables>>): WebhookSettings {
  const file = variables.KEYTURN_WEBHOOKS_FILE;
  const httpToLoopback = variables.KEYTURN_WEBHOOK_HTTP_LOOPBACK === 'allow';
  const { endpoints, faults } =
    file === undefined
      ? { endpoints: [], faults: [] }
      : webhookEndpoints(readSettingsFile('KEYTURN_WEBHOOKS_FILE', file));
  const all = [...faults, ...reachFaults(endpoints, { hosts: variables.KEYTURN_WEBHOOK_HOSTS, httpToLoopback })];
  if (all.length > 0) throw new SettingsError(all.map((fault) => `KEYTURN_WEBHOOKS_FILE: ${fault}.`));
  return {
    endpoints,
    publicUrl: variables.KEYTURN_API_PUBLIC_URL,
    privateAddresses: variables.KEYTURN_WEBHOOK_PRIVATE_ADDRESSES === 'allow',
    httpToLoopback,
    firstRetryInMs: variables.KEYTURN_WEBHOOK_FIRST_RETRY_SECONDS * 1_000,
    longestRetryInMs: variables.KEYTURN_WEBHOOK_LONGEST_RETRY_SECONDS * 1_000,
    timeoutInMs: variables.KEYTURN_WEBHOOK_TIMEOUT_SECONDS * 1_000,
  };
}
