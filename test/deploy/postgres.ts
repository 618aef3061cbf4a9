/**
 * Debian's PostgreSQL in the place of the image `postgres`: the same steps as the image's entrypoint.
 *
 * Needs: `initdb` and `postgres`, on PATH or where Debian puts them.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const DEBIAN = '/usr/lib/postgresql';
/** What docker-compose.yml runs, and Debian 12 has. */
const OLDEST_MAJOR = 15;

/** The folder with PostgreSQL's programs. @throws Error that says what to install */
export function postgresPrograms(env: NodeJS.ProcessEnv = process.env, debianFolder = DEBIAN): string {
  const majors = existsSync(debianFolder) ? readdirSync(debianFolder) : [];
  const debian = majors.map((major) => path.join(debianFolder, major, 'bin'));
  const folders = [...debian, ...(env.PATH ?? '').split(path.delimiter)];
  const found = folders.find(
    (folder) => existsSync(path.join(folder, 'initdb')) && majorOf(path.join(folder, 'postgres')) >= OLDEST_MAJOR,
  );
  if (found !== undefined) return found;
  throw new Error(
    `The rehearsal of docker-compose.yml needs PostgreSQL ${OLDEST_MAJOR} or newer, and it is not installed: on Debian and Ubuntu, run "apt-get install postgresql".`,
  );
}

function majorOf(program: string): number {
  if (!existsSync(program)) return 0;
  return Number(/ (\d+)\./.exec(execFileSync(program, ['--version'], { encoding: 'utf8' }))?.[1] ?? 0);
}

/**
 * Makes the database cluster that the image's entrypoint makes from these variables; nothing when it is there already.
 * @param run runs a program as the database's user, with this standard input
 */
export function initialise(
  directory: string,
  environment: Readonly<Record<string, string | null>>,
  run: (argv: readonly string[], input?: string) => void,
): void {
  const data = path.join(directory, 'data');
  if (existsSync(path.join(data, 'PG_VERSION'))) return;
  const { POSTGRES_USER: user, POSTGRES_PASSWORD: password, POSTGRES_DB: database } = environment;
  const passwordFile = path.join(directory, 'password');
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o644 });
  const options = (environment.POSTGRES_INITDB_ARGS ?? '').split(' ').filter((option) => option !== '');
  run(['initdb', `--pgdata=${data}`, `--username=${user}`, `--pwfile=${passwordFile}`, '--encoding=UTF8', ...options]);
  rmSync(passwordFile);
  run(['postgres', '--single', '-D', data, 'postgres'], `CREATE DATABASE "${database}";\n`);
}
