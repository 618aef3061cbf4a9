/**
 * Official archives, fetched and checked.
 *
 * Needs: HTTP access to the origin, directly or through the proxy that HTTPS_PROXY names.
 * Does: writes an archive to a folder while hashing it, compares the digest, then takes single files out of it.
 * Never does: read an archive whose digest it has not checked.
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { lstat, mkdir } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar';
import { EnvHttpProxyAgent, interceptors, request, type Dispatcher } from 'undici';
import { reasonOf, withHeartbeat } from './report';
import type { Settings } from './settings';
import type { Archive } from './table';

const CONNECT_TIMEOUT_IN_MS = 5_000;
const FIRST_ANSWER_TIMEOUT_IN_MS = 20_000;
const SILENCE_TIMEOUT_IN_MS = 30_000;
const CHECKSUM_FILE_LIMIT_IN_BYTES = 1024 * 1024;

/** Where an archive for this platform is fetched from. */
export function archiveUrl(archive: Archive, settings: Settings): string {
  return settings.origin + archive.path(settings.platform.id);
}

/**
 * Fetches an archive into `directory` and takes `members` out of it.
 * @returns the extracted file of each member, by the member's path in the archive
 * @throws Error when nothing is pinned for this platform, the network fails, the digest differs, or a member is missing;
 *         what was written stays in `directory`, which the caller removes
 */
export async function downloadArchive(
  archive: Archive,
  members: readonly string[],
  directory: string,
  settings: Settings,
): Promise<ReadonlyMap<string, string>> {
  const file = join(directory, 'archive.tar.gz');
  const agent = proxyAgent(settings.env);
  try {
    const expected = await expectedDigest(archive, agent, settings);
    const actual = await fetchToFile(archive, file, agent, settings);
    if (actual !== expected) {
      throw new Error(
        `${archiveUrl(archive, settings)} was refused: its ${archive.checksum.algorithm} is ${actual}, expected is ` +
          `${expected}. Something between here and its publisher changed it or cut it short.`,
      );
    }
  } finally {
    await agent.destroy();
  }
  return takeOut(file, members, join(directory, 'members'));
}

async function expectedDigest(archive: Archive, agent: Dispatcher, settings: Settings): Promise<string> {
  const { checksum } = archive;
  if (checksum.kind === 'pinned') {
    const digest = checksum.digests[settings.platform.id];
    if (digest === undefined) throw new Error(`no digest of ${archive.id} is pinned for ${settings.platform.id}`);
    return digest;
  }
  const url = settings.origin + checksum.path;
  const body = await open(url, agent);
  let text = '';
  for await (const chunk of body.setEncoding('utf8')) {
    text += String(chunk);
    if (text.length > CHECKSUM_FILE_LIMIT_IN_BYTES) throw new Error(`${url} is too long for a list of checksums`);
  }
  // One `<digest>  <file>` per line, as sha256sum writes it (`*` marks binary mode).
  const wanted = posix.basename(archive.path(settings.platform.id));
  const digest = text
    .split('\n')
    .map((line) => /^([0-9a-f]{64}) [ *]?(\S+)\s*$/.exec(line))
    .find((match) => match?.[2] === wanted)?.[1];
  if (digest === undefined) throw new Error(`${url} has no checksum of ${wanted}`);
  return digest;
}

/** @returns the digest of what was written, in hex */
async function fetchToFile(archive: Archive, file: string, agent: Dispatcher, settings: Settings): Promise<string> {
  const url = archiveUrl(archive, settings);
  const hash = createHash(archive.checksum.algorithm);
  let bytes = 0;
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  await withHeartbeat(
    settings.say,
    (elapsed) => `${archive.id}: still downloading: ${elapsed}, ${(bytes / 1e6).toFixed(1)} MB so far`,
    async () => pipeline(await open(url, agent), count, createWriteStream(file)),
  );
  return hash.digest('hex');
}

/** The body of a GET, redirects followed: GitHub sends release downloads elsewhere. */
async function open(url: string, agent: Dispatcher): Promise<Dispatcher.ResponseData['body']> {
  const impatience = new AbortController();
  const timer = setTimeout(
    () => impatience.abort(new Error(`no answer within ${FIRST_ANSWER_TIMEOUT_IN_MS / 1000} s`)),
    FIRST_ANSWER_TIMEOUT_IN_MS,
  );
  try {
    const { statusCode, body } = await request(url, { dispatcher: agent, signal: impatience.signal });
    if (statusCode !== 200) {
      body.on('error', () => undefined).destroy();
      throw new Error(`HTTP ${statusCode}`);
    }
    return body;
  } catch (error) {
    throw new Error(`GET ${url}: ${reasonOf(error)}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

function proxyAgent(env: NodeJS.ProcessEnv): Dispatcher {
  const agent = new EnvHttpProxyAgent({
    httpProxy: env.http_proxy ?? env.HTTP_PROXY ?? '',
    httpsProxy: env.https_proxy ?? env.HTTPS_PROXY ?? '',
    noProxy: env.no_proxy ?? env.NO_PROXY ?? '',
    connect: { timeout: CONNECT_TIMEOUT_IN_MS },
    proxyTls: { timeout: CONNECT_TIMEOUT_IN_MS },
    bodyTimeout: SILENCE_TIMEOUT_IN_MS,
  });
  return agent.compose(interceptors.redirect({ maxRedirections: 5 }));
}

/** Extracts only the members. Each must be a plain file: a link could lead out of the archive. */
async function takeOut(file: string, members: readonly string[], directory: string): Promise<Map<string, string>> {
  await mkdir(directory);
  const seen: string[] = [];
  await extract({
    file,
    cwd: directory,
    filter: (path) => {
      const member = posix.normalize(path);
      seen.push(member);
      return members.includes(member);
    },
  });
  const files = new Map(members.map((member) => [member, join(directory, member)]));
  for (const [member, path] of files) {
    const found = await lstat(path).catch(() => undefined);
    if (found?.isFile() !== true) {
      throw new Error(`the archive has no file ${member}; it has ${seen.join(', ') || 'nothing'}`);
    }
  }
  return files;
}
