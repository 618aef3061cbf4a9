/**
 * Tools built from the Go modules that `tools/modules` pins: what is left when nothing can be downloaded.
 *
 * Needs: Go 1.26 or newer on PATH and a module proxy (or a filled module cache); go.sum pins every source file.
 * Does: runs `go build`, counts what it compiles, and keeps what it complains about.
 * Never does: change go.mod or go.sum.
 */
import { mkdir } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild } from './child-process';
import { onPath, outputOf } from './program';
import { withHeartbeat } from './report';
import { modulesDirectory, nonEmpty, type Settings } from './settings';
import type { GoBuild } from './table';

const WANTED_MINOR = 26;
const FIRST_MINOR_THAT_FETCHES_TOOLCHAINS = 21;
const COMPLAINT_LINES = 20;

interface Go {
  readonly path: string;
  /** `1.26.8`, as installed; a newer one may be fetched for the build. */
  readonly version: string;
  readonly isOld: boolean;
}

/**
 * Builds packages of one pinned module into `directory`.
 * @param label whom the progress lines speak of
 * @returns the folder with the binaries, named as `go build` names them
 * @throws Error when there is no Go, it is too old, or the build fails; the message ends with the last 20 lines of the
 *         output that are not mere progress
 */
export async function goBuild(
  build: GoBuild,
  packages: readonly string[],
  label: string,
  directory: string,
  settings: Settings,
): Promise<string> {
  const go = await findGo(settings.env);
  const output = join(directory, 'bin');
  const scratch = join(directory, 'tmp');
  await Promise.all([mkdir(output), mkdir(scratch)]);
  settings.say(
    `${label}: building ${build.source} with Go ${go.version}; from an empty Go build cache this takes about ` +
      `${build.minutesOn2Cores} min on 2 cores (here: ${cpus().length})`,
  );
  if (go.isOld)
    settings.say(`${label}: Go ${go.version} is older than 1.${WANTED_MINOR}; letting it fetch a newer one`);

  const progress = new BuildOutput();
  const child = startChild({
    name: 'go build',
    // Go reports on standard error; one stream keeps the lines in order.
    command: '/bin/sh',
    args: ['-c', 'exec "$@" 2>&1', 'sh', go.path, ...buildArguments(build, packages, output)],
    cwd: join(modulesDirectory(), build.module),
    env: buildEnvironment(go, scratch, settings),
    onStdout: (chunk) => progress.add(chunk),
  });
  const exit = await withHeartbeat(
    settings.say,
    (elapsed) => `${label}: still building: ${elapsed}, ${progress.summary()}`,
    () => child.exited,
  );
  if (exit.code === 0) return output;
  const how = exit.code === null ? `was killed (${exit.signal})` : `ended with code ${exit.code}`;
  throw new Error(`${go.path} build ${how}${toolchainHint(go, settings.env)}\n${progress.complaints()}`.trimEnd());
}

/** @throws Error when PATH has no Go, or one too old to fetch a newer one itself */
async function findGo(env: NodeJS.ProcessEnv): Promise<Go> {
  const [path] = await onPath('go', env);
  if (path === undefined) throw new Error('there is no go on PATH');
  // In a folder without go.mod, and local: otherwise an old Go may fetch a new one just to answer.
  const output = await outputOf(path, ['version'], { env: { ...env, GOTOOLCHAIN: 'local' }, cwd: tmpdir() });
  const [, version = '', minor = ''] = /go(1\.(\d+)[.\w]*)/.exec(output) ?? [];
  if (version === '') throw new Error(`${path} version prints no version: ${output.trim()}`);
  if (Number(minor) < FIRST_MINOR_THAT_FETCHES_TOOLCHAINS) {
    throw new Error(`${path} is Go ${version}, wanted is 1.${WANTED_MINOR} or newer`);
  }
  return { path, version, isOld: Number(minor) < WANTED_MINOR };
}

function buildArguments(build: GoBuild, packages: readonly string[], output: string): string[] {
  return [
    'build',
    '-mod=readonly',
    '-trimpath',
    '-buildvcs=false',
    '-v',
    '-o',
    `${output}/`,
    '-ldflags',
    ['-s -w', ...build.ldflags].join(' '),
    ...packages,
  ];
}

/** The caller's environment, without what would make Go build something else than the pinned module for this machine. */
function buildEnvironment(go: Go, scratch: string, { env, platform }: Settings): NodeJS.ProcessEnv {
  return {
    ...env,
    GO111MODULE: 'on',
    GOWORK: 'off',
    // A killed Go cannot remove its temporary files; here they are in the staging folder, which is always removed.
    GOTMPDIR: scratch,
    GOOS: platform.os,
    GOARCH: platform.arch,
    // Distributions switch fetching off by default; a variable that is set is respected.
    ...(go.isOld && nonEmpty(env.GOTOOLCHAIN) === undefined ? { GOTOOLCHAIN: 'auto' } : {}),
  };
}

function toolchainHint(go: Go, env: NodeJS.ProcessEnv): string {
  if (!go.isOld) return '';
  const setting = nonEmpty(env.GOTOOLCHAIN);
  const why = setting === undefined ? 'fetching a newer one may be what failed' : `GOTOOLCHAIN=${setting} is in force`;
  return ` (it is Go ${go.version}, wanted is 1.${WANTED_MINOR} or newer; ${why})`;
}

/** Reads the output of `go build -v`: one line per package and download, and complaints between them. */
class BuildOutput {
  #rest = '';
  #packages = 0;
  #downloads = 0;
  #complaints: string[] = [];

  add(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#count(line);
  }

  summary(): string {
    const downloads = this.#downloads === 0 ? '' : `${this.#downloads} modules fetched, `;
    return `${downloads}${this.#packages} packages compiled`;
  }

  complaints(): string {
    this.add('\n');
    return this.#complaints.join('\n');
  }

  #count(line: string): void {
    if (line.startsWith('go: downloading ')) this.#downloads += 1;
    else if (/^[\w.~/-]+$/.test(line)) this.#packages += 1;
    else if (line.trim() !== '') this.#complaints = [...this.#complaints, line].slice(-COMPLAINT_LINES);
  }
}
