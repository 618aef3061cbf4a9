/** What the tests of tools/ share: a folder each, an origin on loopback, archives and programs made on the spot. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { transformSync } from '@swc/core';
import { create } from 'tar';

export const REPOSITORY = resolve(__dirname, '..', '..');
const ARCH = process.arch === 'x64' ? 'amd64' : process.arch;
export const PLATFORM = `${process.platform}-${ARCH}`;

/** A folder with a `bin` for PATH and a `cache`, and the environment of somebody who has nothing else. */
export interface Place {
  readonly directory: string;
  readonly cache: string;
  /** PATH has `bin` only, so that nothing that happens to be installed can be found. */
  readonly env: NodeJS.ProcessEnv;
  readonly lines: string[];
  readonly options: { readonly env: NodeJS.ProcessEnv; readonly onProgress: (line: string) => void };
  /** Writes an executable file below the folder. */
  script(path: string, body: string): string;
  /** Every file below the cache, locks left out. */
  cached(): string[];
  remove(): void;
}

/** @param origin what stands in for github.com; by default a port where nobody listens */
export function makePlace(origin = 'http://127.0.0.1:9'): Place {
  const directory = mkdtempSync(join(tmpdir(), 'keyturn-tools-'));
  const cache = join(directory, 'cache');
  const lines: string[] = [];
  const env = { PATH: join(directory, 'bin'), HOME: directory, KEYTURN_CACHE: cache, KEYTURN_TOOLS_MIRROR: origin };
  mkdirSync(env.PATH);
  return {
    directory,
    cache,
    env,
    lines,
    options: { env, onProgress: (line) => void lines.push(line) },
    script(path, body) {
      const file = join(directory, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, `#!/bin/sh\n${body}\n`);
      chmodSync(file, 0o755);
      return file;
    },
    cached: () =>
      existsSync(cache)
        ? readdirSync(cache, { recursive: true, withFileTypes: true })
            .filter((entry) => !entry.isDirectory() && !entry.parentPath.includes('.locks'))
            .map((entry) => join(entry.parentPath, entry.name))
        : [],
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** The body of a script that says its version, whatever it is asked. */
export function saysVersion(version: string): string {
  return `echo "made by a test, version ${version}"`;
}

/**
 * A stand-in for Go that is as fast as a shell: `go version` answers, `go build` writes programs that say the pinned
 * versions, and each call leaves a line in `go.log`.
 * @param build shell code that `go build` runs first
 */
export function installFakeGo(
  place: Place,
  options: { readonly version?: string; readonly build?: string } = {},
): void {
  place.script(
    'bin/go',
    `if [ "$1" = version ]; then echo "go version go${options.version ?? '1.26.1'} any/any"; exit 0; fi
echo "GOTOOLCHAIN=$GOTOOLCHAIN GOWORK=$GOWORK PWD=$PWD $*" >> '${place.directory}/go.log'
${options.build ?? ''}
while [ $# -gt 0 ]; do
  case "$1" in
    -o) out=$2; shift 2 ;;
    -ldflags) shift 2 ;;
    -* | build) shift ;;
    *)
      case "$1" in
        go.etcd.io/*) name=server version=3.6.16 ;;
        k8s.io/*) name=\${1##*/} version=1.34.1 ;;
        *) name=\${1##*/} version=1.5.1 ;;
      esac
      printf '#!/bin/sh\\necho %s\\n' "$version" > "$out$name"
      shift ;;
  esac
done`,
  );
}

export function goLog(place: Place): string[] {
  const file = join(place.directory, 'go.log');
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
}

/** A tar.gz with these files (path to content), as bytes. */
export async function makeArchive(place: Place, files: Readonly<Record<string, string>>): Promise<Buffer> {
  const root = mkdtempSync(join(place.directory, 'archive-'));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  await create({ gzip: true, file: join(root, 'it.tar.gz'), cwd: root }, Object.keys(files));
  return readFileSync(join(root, 'it.tar.gz'));
}

export function digest(algorithm: 'sha256' | 'sha512', bytes: Buffer): string {
  return createHash(algorithm).update(bytes).digest('hex');
}

/** What an origin answers for a path: bytes, or another place to look. */
export type Answer = Buffer | string | { readonly location: string };

export interface Origin {
  readonly url: string;
  readonly port: number;
  /** The path of every request, in order. */
  readonly requests: string[];
  readonly files: Map<string, Answer>;
  /** What each answer waits for. */
  until: Promise<unknown>;
  close(): Promise<void>;
}

/** A release site on loopback. */
export async function startOrigin(): Promise<Origin> {
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    origin.requests.push(path);
    const answer = origin.files.get(path);
    void origin.until.then(() => {
      if (answer === undefined) response.writeHead(404).end();
      else if (typeof answer === 'object' && 'location' in answer) response.writeHead(302, answer).end();
      else response.end(answer);
    });
  });
  const port = await listen(server);
  const origin: Origin = {
    url: `http://127.0.0.1:${port}`,
    port,
    requests: [],
    files: new Map(),
    until: Promise.resolve(),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return origin;
}

export async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

export const TEMPORAL_ARCHIVE_NAME = `temporal_cli_1.5.1_${PLATFORM.replace('-', '_')}.tar.gz`;
export const TEMPORAL_PATH = `/temporalio/cli/releases/download/v1.5.1/${TEMPORAL_ARCHIVE_NAME}`;
export const TEMPORAL_CHECKSUMS_PATH = '/temporalio/cli/releases/download/v1.5.1/checksums.txt';

/** Puts a release of Temporal on an origin whose checksum is right, or not. */
export async function publishTemporal(
  origin: Origin,
  place: Place,
  options: { readonly script?: string; readonly checksum?: string } = {},
): Promise<void> {
  const script = `#!/bin/sh\n${options.script ?? 'echo "temporal version 1.5.1 (Server 1.29.1)"'}\n`;
  const archive = await makeArchive(place, { LICENSE: 'MIT', temporal: script });
  const checksum = options.checksum ?? digest('sha256', archive);
  origin.files.set(TEMPORAL_PATH, archive);
  origin.files.set(
    TEMPORAL_CHECKSUMS_PATH,
    `${'0'.repeat(64)}  temporal_cli_1.5.1_other.zip\n${checksum}  ${TEMPORAL_ARCHIVE_NAME}\n`,
  );
}

/**
 * Compiles tools/ for a plain `node` process, which jest's transform does not reach.
 * @returns the folder of the compiled files; run them with `nodePath` as NODE_PATH
 */
export function compileTools(place: Place): string {
  const target = join(place.directory, 'compiled');
  mkdirSync(target);
  for (const name of readdirSync(join(REPOSITORY, 'tools')).filter((file) => file.endsWith('.ts'))) {
    const { code } = transformSync(readFileSync(join(REPOSITORY, 'tools', name), 'utf8'), {
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      module: { type: 'commonjs' },
      swcrc: false,
    });
    writeFileSync(join(target, name.replace(/\.ts$/, '.js')), code);
  }
  return target;
}

export const nodePath = join(REPOSITORY, 'node_modules');
