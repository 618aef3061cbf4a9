/**
 * What `keyturn login` keeps: one session for each API, in `$XDG_CONFIG_HOME/keyturn/sessions.json`, readable by its owner only.
 *
 * Never does: give a token to another API than the one that it was got for.
 */
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { z } from 'zod';

/** How people sign in for one API, and the tokens of the last time. */
export const Session = z.object({
  issuer: z.string(),
  clientId: z.string(),
  scope: z.string(),
  accessToken: z.string(),
  refreshToken: z.string().optional(),
  /** Seconds since the epoch. */
  expiresAt: z.number(),
});
/** How people sign in for one API, and the tokens of the last time. */
export type Session = z.infer<typeof Session>;

const Sessions = z.record(z.string(), Session);

/** The file. @param env the environment */
export function sessionFile(env: NodeJS.ProcessEnv): string {
  const base = env.XDG_CONFIG_HOME || path.join(env.HOME || homedir(), '.config');
  return path.join(base, 'keyturn', 'sessions.json');
}

/** The session for an API; undefined when there is none. A file that cannot be read counts as none. */
export function readSession(file: string, apiUrl: string): Session | undefined {
  return readAll(file)[apiUrl];
}

/** Keeps a session. */
export function writeSession(file: string, apiUrl: string, session: Session): void {
  save(file, { ...readAll(file), [apiUrl]: session });
}

/** Forgets the session for an API. @returns whether there was one */
export function removeSession(file: string, apiUrl: string): boolean {
  const { [apiUrl]: removed, ...others } = readAll(file);
  if (removed !== undefined) save(file, others);
  return removed !== undefined;
}

function readAll(file: string): Record<string, Session> {
  try {
    return Sessions.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return {};
  }
}

/** Written whole under another name first: a reader never sees half a file. */
function save(file: string, sessions: Record<string, Session>): void {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(sessions, null, 2)}\n`, { mode: 0o600 });
  chmodSync(draft, 0o600);
  renameSync(draft, file);
}
