/**
 * The search for one tool: explicit path, PATH, cache, official download, Go build.
 *
 * Needs: the table, a folder to cache in.
 * Does: tries the places in that order and remembers every answer, so that a failure can tell all of them.
 * Never does: use a program from PATH whose version is not known to work, or fetch what another process is fetching.
 */
import { join, resolve } from 'node:path';
import { cachePaths, findCached, install, toolOf, withStaging } from './cache';
import { archiveUrl, downloadArchive } from './download';
import { goBuild } from './go-build';
import { withLock } from './lock';
import { isExecutable, onPath, versionOf } from './program';
import { acceptedVersions, adviceFor, codeOf, duration, reasonOf, ToolUnavailableError, type Attempt } from './report';
import { nonEmpty, type Settings } from './settings';
import type { Tool } from './table';

/**
 * The absolute path of a tool, which is fetched first if need be.
 * @throws ToolUnavailableError when no place has it; Error when the variable with its explicit path is wrong, or the
 *         cache cannot be written
 */
export async function locate(name: string, settings: Settings): Promise<string> {
  const tool = toolOf(name, settings);
  const explicit = await fromVariable(tool, settings);
  if (explicit !== undefined) return explicit;

  const attempts: Attempt[] = [{ where: tool.variable, result: 'not set' }];
  const found = (await fromPath(tool, attempts, settings)) ?? (await fromCache(name, attempts, settings));
  if (found !== undefined) return found;
  settings.say(`${name}: ${attempts.map(({ where, result }) => `${where}: ${result}`).join('; ')}`);

  return inCache(settings, () =>
    withLock(
      {
        directory: join(settings.cache, '.locks'),
        id: tool.download.archive.id,
        doing: `fetching ${name}`,
        say: settings.say,
        already: () => findCached(name, settings),
      },
      () => fetchTool(name, attempts, settings),
    ),
  );
}

async function fromVariable(tool: Tool, { env, say }: Settings): Promise<string | undefined> {
  const value = nonEmpty(env[tool.variable]);
  if (value === undefined) return undefined;
  const path = resolve(value);
  if (!(await isExecutable(path))) {
    throw new Error(`${tool.variable} is ${value}, but there is no file that can be executed. Correct or unset it.`);
  }
  const answer = await versionOf(tool, path, env);
  if (answer.version === undefined)
    throw new Error(`${tool.variable}: ${path} ${answer.problem}. Correct or unset it.`);
  if (!answer.accepted) {
    say(`${tool.variable}: ${path} says ${answer.version}, made for ${acceptedVersions(tool)}; using it as told`);
  }
  return path;
}

async function fromPath(tool: Tool, attempts: Attempt[], { env }: Settings): Promise<string | undefined> {
  const candidates = await onPath(tool.binary, env);
  const refused: string[] = [];
  for (const path of candidates) {
    const answer = await versionOf(tool, path, env);
    if (answer.version !== undefined && answer.accepted) return path;
    const why = answer.version === undefined ? answer.problem : `says ${answer.version}`;
    refused.push(`${path} ${why}, wanted is ${acceptedVersions(tool)}`);
  }
  attempts.push({ where: 'PATH', result: refused.join('; ') || `no ${tool.binary}` });
  return undefined;
}

async function fromCache(name: string, attempts: Attempt[], settings: Settings): Promise<string | undefined> {
  const found = await findCached(name, settings);
  if (found === undefined) {
    attempts.push({ where: 'cache', result: `nothing at ${cachePaths(name, settings).join(' or ')}` });
  }
  return found;
}

/** Runs under the lock. @throws ToolUnavailableError */
async function fetchTool(name: string, attempts: Attempt[], settings: Settings): Promise<string> {
  const tool = toolOf(name, settings);
  const failure = await reasonForFailure(() => download(name, settings));
  if (failure !== undefined) {
    attempts.push({ where: 'download', result: failure });
    settings.say(`${name}: download failed: ${failure}`);
  }
  // The failure may have been of a relative in the same archive.
  if (failure !== undefined && (await findCached(name, settings)) === undefined) {
    const from = `build of ${tool.build.from.source} with Go`;
    const buildFailure = await reasonForFailure(() => build(name, settings));
    if (buildFailure !== undefined) attempts.push({ where: from, result: buildFailure });
  }
  const path = await findCached(name, settings);
  if (path === undefined) throw new ToolUnavailableError(name, attempts, adviceFor(tool, settings));
  return path;
}

/** Fetches the archive of a tool and puts every missing tool of it into the cache. */
async function download(name: string, settings: Settings): Promise<void> {
  const { archive } = toolOf(name, settings).download;
  const earlier = settings.failedDownloads.get(archive.id);
  if (earlier !== undefined) throw new Error(`${earlier} (not tried again)`);
  const names = await missing(name, (other) => other.download.archive === archive, settings);
  const start = Date.now();
  settings.say(`${name}: downloading ${archiveUrl(archive, settings)}`);
  try {
    await withStaging(settings, async (directory) => {
      const members = names.map((each) => toolOf(each, settings).download.member);
      const files = await downloadArchive(archive, members, directory, settings);
      for (const each of names) {
        const { member, version } = toolOf(each, settings).download;
        const path = await install(each, version, files.get(member) ?? member, settings);
        settings.say(`${each}: ${version} downloaded in ${duration(Date.now() - start)}: ${path}`);
      }
    });
  } catch (error) {
    settings.failedDownloads.set(archive.id, reasonOf(error));
    throw error;
  }
}

/** Builds a tool and every missing tool of the same Go module: their packages are mostly the same. */
async function build(name: string, settings: Settings): Promise<void> {
  const { from } = toolOf(name, settings).build;
  const names = await missing(name, (other) => other.build.from === from, settings);
  const packages = names.map((each) => toolOf(each, settings).build.package);
  const start = Date.now();
  await withStaging(settings, async (directory) => {
    const output = await goBuild(from, packages, names.join(', '), directory, settings);
    for (const each of names) {
      const { output: file, version } = toolOf(each, settings).build;
      const path = await install(each, version, join(output, file), settings);
      settings.say(`${each}: ${version} built in ${duration(Date.now() - start)}: ${path}`);
    }
  });
}

/** `name` first, then the other tools of its archive that are neither cached nor named by a variable. */
async function missing(name: string, isRelative: (tool: Tool) => boolean, settings: Settings): Promise<string[]> {
  const names = [name];
  for (const [other, tool] of Object.entries(settings.tools)) {
    if (other === name || !isRelative(tool) || nonEmpty(settings.env[tool.variable]) !== undefined) continue;
    if ((await findCached(other, settings)) === undefined) names.push(other);
  }
  return names;
}

/** Why `work` failed, or undefined when it did not. */
async function reasonForFailure(work: () => Promise<void>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

/** A cache that cannot be written is the one failure here that has nothing to do with the tool. */
async function inCache(settings: Settings, work: () => Promise<string>): Promise<string> {
  try {
    return await work();
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'ENOTDIR'].includes(codeOf(error) ?? '')) throw error;
    const hint = 'Set KEYTURN_CACHE to a folder that can be written and has 1 GB free.';
    throw new Error(`The cache ${settings.cache} cannot be used: ${reasonOf(error)}. ${hint}`, { cause: error });
  }
}
