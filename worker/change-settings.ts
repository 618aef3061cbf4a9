/** Which change system the worker asks: environment variables. Secrets are in a file, never in a variable. */
import { resolve } from 'node:path';
import { z } from 'zod';
import type { ChangeSystemSettings } from '../activities/change/port';
import { oneOf, readEnvironment, SettingsError, wholeNumber } from '../settings/environment';

const LOOPBACK = ['127.0.0.1', '[::1]', 'localhost'];

const Variables = z.object({
  KEYTURN_CHANGE_SYSTEM: oneOf(['none', 'webhook', 'servicenow'], 'none'),
  KEYTURN_CHANGE_URL: z
    .string()
    .refine(isSafeUrl, {
      error: 'must be an https URL without user, query and fragment (http only for an address of this machine)',
    })
    .transform((url) => url.replace(/\/+$/, ''))
    .optional(),
  KEYTURN_CHANGE_SECRET_FILE: z.string().optional(),
  KEYTURN_CHANGE_CLIENT_ID: z.string().optional(),
  KEYTURN_CHANGE_USER: z
    .string()
    .regex(/^[^:]+$/, { error: 'must be a name without a colon' })
    .optional(),
  KEYTURN_CHANGE_ASK_SECONDS: wholeNumber({ min: 1, max: 3_600, fallback: 60 }),
});

/** Reads them. @throws SettingsError that names every fault */
export function readChangeSettings(env: NodeJS.ProcessEnv): ChangeSystemSettings {
  const {
    KEYTURN_CHANGE_SYSTEM: name,
    KEYTURN_CHANGE_ASK_SECONDS: askEveryInSeconds,
    KEYTURN_CHANGE_URL: url,
    KEYTURN_CHANGE_SECRET_FILE: file,
    KEYTURN_CHANGE_CLIENT_ID: clientId,
    KEYTURN_CHANGE_USER: user,
  } = readEnvironment(Variables, env);
  const given = { URL: url, SECRET_FILE: file, CLIENT_ID: clientId, USER: user };
  if (name === 'none') {
    // Whoever names a change system means to have it asked.
    const [set] = Object.entries(given).flatMap(([variable, value]) => (value === undefined ? [] : [variable]));
    if (set === undefined) return { name, askEveryInSeconds };
    throw new SettingsError([`KEYTURN_CHANGE_${set} is set, and KEYTURN_CHANGE_SYSTEM names no change system.`]);
  }
  const needed = [
    ...(url === undefined ? ['KEYTURN_CHANGE_URL is not set. It is where the change system is asked.'] : []),
    ...(file === undefined
      ? ['KEYTURN_CHANGE_SECRET_FILE is not set. It is a file with the secret of the change system.']
      : []),
    ...(name === 'servicenow' && (clientId === undefined) === (user === undefined)
      ? ['Set one of KEYTURN_CHANGE_CLIENT_ID (OAuth client credentials) and KEYTURN_CHANGE_USER (a password).']
      : []),
    ...(name === 'webhook' && (clientId ?? user) !== undefined
      ? ['KEYTURN_CHANGE_CLIENT_ID and KEYTURN_CHANGE_USER are for ServiceNow only.']
      : []),
  ];
  if (url === undefined || file === undefined || needed.length > 0) throw new SettingsError(needed);
  const shared = { askEveryInSeconds, url, secretFile: resolve(file) };
  if (name === 'webhook') return { name, ...shared };
  const login = clientId === undefined ? { user: user ?? '' } : { clientId };
  return { name, ...shared, login };
}

function isSafeUrl(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, hostname, search, hash, username, password } = new URL(value);
  if (`${search}${hash}${username}${password}` !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.includes(hostname));
}
