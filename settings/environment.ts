/**
 * Settings from environment variables, the only way in which the processes of Keyturn are configured.
 *
 * Does: reads all variables of one process at once, and says everything that is wrong with them in one message.
 * Never does: read `process.env` by itself, or repeat the value of a variable that may be a secret.
 */
import { z } from 'zod';

/** Names whose values are never repeated in a message. */
const SECRET_NAME = /SECRET|PASSWORD|TOKEN|API_KEY/;
const LONGEST_VALUE_SHOWN = 80;

/** What `KEYTURN_LOG_LEVEL` may be: the levels of pino. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
/** One of them. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A process cannot start with the settings that it was given. */
export class SettingsError extends Error {
  constructor(
    /** One sentence for each thing that is wrong. */
    readonly faults: readonly string[],
  ) {
    super(['The settings cannot be used:', ...faults.map((fault) => `  - ${fault}`)].join('\n'));
    this.name = 'SettingsError';
  }
}

/**
 * Reads environment variables by a schema whose members are the variables' names.
 * A variable that is set to nothing counts as not set, as in a shell's `${X:-default}`.
 * @throws SettingsError that names every variable at fault.
 */
export function readEnvironment<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  env: NodeJS.ProcessEnv,
): z.infer<z.ZodObject<Shape>> {
  const given = Object.fromEntries(Object.keys(schema.shape).map((name) => [name, nonEmpty(env[name])]));
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new SettingsError(
    parsed.error.issues.map((issue) => sentence(String(issue.path[0] ?? ''), issue.message, given)),
  );
}

/**
 * Runs several readers and reports the faults of all of them together, so that an operator need not start a process once for
 * each fault. Other errors than `SettingsError` pass through.
 * @throws SettingsError
 */
export function readTogether<Readers extends Record<string, () => unknown>>(
  readers: Readers,
): { [Name in keyof Readers]: ReturnType<Readers[Name]> } {
  const faults: string[] = [];
  const values = Object.entries(readers).map(([name, read]) => {
    try {
      return [name, read()];
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      faults.push(...error.faults);
      return [name, undefined];
    }
  });
  if (faults.length > 0) throw new SettingsError(faults);
  return Object.fromEntries(values) as { [Name in keyof Readers]: ReturnType<Readers[Name]> };
}

/** A text that must be set. @param meaning what it is, for the message when it is missing: "the Entra tenant whose …" */
export function requiredText(meaning: string): z.ZodString {
  return z.string({ error: `is not set. It is ${meaning}.` });
}

/** A text. */
export function text(fallback: string): z.ZodDefault<z.ZodString> {
  return z.string().default(fallback);
}

/** A whole number within bounds, both included. */
export function wholeNumber(bounds: {
  readonly min: number;
  readonly max: number;
  readonly fallback: number;
}): z.ZodType<number, string | undefined> {
  const { min, max, fallback } = bounds;
  return z
    .string()
    .refine((digits) => /^\d{1,15}$/.test(digits) && Number(digits) >= min && Number(digits) <= max, {
      error: `must be a whole number from ${min} to ${max}`,
    })
    .transform(Number)
    .default(fallback);
}

/** One of several words. */
export function oneOf<const Word extends string>(words: readonly Word[], fallback: Word): z.ZodType<Word> {
  return z
    .enum(words, { error: `must be one of ${words.join(', ')}` })
    .optional()
    .transform((word): Word => word ?? fallback);
}

/** An absolute http or https URL without user, query and fragment; slashes at its end are cut off. */
export function optionalUrl(): z.ZodType<string | undefined> {
  return z
    .string()
    .refine(isPlainUrl, { error: 'must be an http or https URL without user, query and fragment' })
    .transform((url) => url.replace(/\/+$/, ''))
    .optional();
}

/** A variable that is set to nothing counts as not set. */
export function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value.trim();
}

/** Whether a host name or address is this machine itself. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

function isPlainUrl(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, search, hash, username, password } = new URL(value);
  return (protocol === 'http:' || protocol === 'https:') && `${search}${hash}${username}${password}` === '';
}

function sentence(name: string, message: string, given: Record<string, string | undefined>): string {
  const value = given[name];
  if (value === undefined) return `${name} ${message}`;
  const shown = SECRET_NAME.test(name) ? 'the value that is set' : JSON.stringify(value.slice(0, LONGEST_VALUE_SHOWN));
  return `${name} ${message}, not ${shown}.`;
}
