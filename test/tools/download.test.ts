import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readFileSync, statSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { create } from 'tar';
import { findTool } from '../../tools';
import { locate } from '../../tools/find-tool';
import { settingsFrom } from '../../tools/settings';
import { TOOLS, type Archive, type Tool } from '../../tools/table';
import {
  digest,
  goLog,
  installFakeGo,
  listen,
  makeArchive,
  makePlace,
  PLATFORM,
  publishTemporal,
  saysVersion,
  startOrigin,
  TEMPORAL_CHECKSUMS_PATH,
  TEMPORAL_PATH,
  type Origin,
  type Place,
} from './support';

let origin: Origin;
let place: Place;

beforeEach(async () => {
  origin = await startOrigin();
  place = makePlace(origin.url);
});

afterEach(async () => {
  place.remove();
  await origin.close();
});

const ENVTEST_PATH = TOOLS.etcd.download.archive.path(PLATFORM);
const cachedTemporal = (): string => join(place.cache, 'tools', 'temporal', `1.5.1-${PLATFORM}`, 'temporal');

describe('a download with a published checksum', () => {
  test('is cached when the checksum is right, and fetched once', async () => {
    await publishTemporal(origin, place);
    expect(await findTool('temporal', place.options)).toBe(cachedTemporal());
    expect(await findTool('temporal', place.options)).toBe(cachedTemporal());
    expect(origin.requests).toEqual([TEMPORAL_CHECKSUMS_PATH, TEMPORAL_PATH]);
    expect(place.cached()).toEqual([cachedTemporal()]);
    const modes = [cachedTemporal(), dirname(cachedTemporal())].map((path) => statSync(path).mode & 0o777);
    expect(modes).toEqual([0o755, 0o755]);
  });

  test('is refused when the checksum is wrong, and leaves nothing in the cache', async () => {
    await publishTemporal(origin, place, { checksum: 'a'.repeat(64) });
    await expect(findTool('temporal', place.options)).rejects.toThrow(
      /was refused: its sha256 is [0-9a-f]{64}, expected is a{64}/,
    );
    expect(place.cached()).toEqual([]);
  });

  test('is refused when the list has no checksum of it', async () => {
    await publishTemporal(origin, place);
    origin.files.set(TEMPORAL_CHECKSUMS_PATH, `${'0'.repeat(64)}  something-else.tar.gz\n`);
    await expect(findTool('temporal', place.options)).rejects.toThrow('has no checksum of temporal_cli_1.5.1_');
    expect(origin.requests).not.toContain(TEMPORAL_PATH);
  });

  test('follows the redirect to where the bytes are', async () => {
    await publishTemporal(origin, place);
    const archive = origin.files.get(TEMPORAL_PATH);
    if (archive !== undefined) origin.files.set('/assets/1', archive);
    origin.files.set(TEMPORAL_PATH, { location: `${origin.url}/assets/1` });
    expect(await findTool('temporal', place.options)).toBe(cachedTemporal());
  });

  test('goes through the proxy of the environment', async () => {
    await publishTemporal(origin, place);
    const asked: string[] = [];
    const proxy = createServer().on('connect', (request, socket) => {
      asked.push(request.url ?? '');
      const upstream = connect(origin.port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        upstream.pipe(socket).pipe(upstream);
      });
      for (const end of [upstream, socket]) end.on('error', () => undefined);
    });
    const port = await listen(proxy);
    const env = {
      ...place.env,
      KEYTURN_TOOLS_MIRROR: 'http://releases.invalid',
      HTTP_PROXY: `http://127.0.0.1:${port}`,
    };
    try {
      expect(await findTool('temporal', { ...place.options, env })).toBe(cachedTemporal());
    } finally {
      proxy.closeAllConnections();
      proxy.close();
    }
    expect(new Set(asked)).toEqual(new Set(['releases.invalid:80']));
  });

  test('fails at once when nobody listens', async () => {
    const start = Date.now();
    const env = { ...place.env, KEYTURN_TOOLS_MIRROR: 'http://127.0.0.1:1' };
    await expect(findTool('temporal', { ...place.options, env })).rejects.toThrow('ECONNREFUSED');
    expect(Date.now() - start).toBeLessThan(4_000);
  });

  test('is not cached when its binary does not run, or is another version', async () => {
    await publishTemporal(origin, place, { script: 'exit 1' });
    await expect(findTool('temporal', place.options)).rejects.toThrow('the new temporal does not run');
    await publishTemporal(origin, place, { script: saysVersion('1.2.3') });
    await expect(findTool('temporal', place.options)).rejects.toThrow('says 1.2.3, wanted is version 1.5.1 or newer');
    expect(place.cached()).toEqual([]);
  });

  test('does not take a link for a binary', async () => {
    await publishTemporal(origin, place);
    symlinkSync('/bin/sh', join(place.directory, 'temporal'));
    const file = join(place.directory, 'link.tar.gz');
    await create({ gzip: true, file, cwd: place.directory }, ['temporal']);
    const archive = readFileSync(file);
    const sums = `${digest('sha256', archive)}  ${TEMPORAL_PATH.split('/').at(-1)}\n`;
    origin.files.set(TEMPORAL_PATH, archive).set(TEMPORAL_CHECKSUMS_PATH, sums);
    await expect(findTool('temporal', place.options)).rejects.toThrow('the archive has no file temporal');
    expect(place.cached()).toEqual([]);
  });
});

describe('a download with a pinned checksum', () => {
  test('is refused when the archive is another one, and a Go build follows', async () => {
    origin.files.set(ENVTEST_PATH, await makeArchive(place, { 'controller-tools/envtest/etcd': 'not etcd' }));
    installFakeGo(place);
    const path = await findTool('etcd', place.options);
    expect(path).toBe(join(place.cache, 'tools', 'etcd', `3.6.16-${PLATFORM}`, 'etcd'));
    expect(place.cached()).toEqual([path]);
    expect(place.lines.join('\n')).toMatch(/download failed: .*was refused: its sha512 is/);
    expect(goLog(place)).toHaveLength(1);
  });

  test('brings every tool of the archive at once, but not one that a variable points to', async () => {
    const archive = await makeArchive(place, {
      'controller-tools/envtest/etcd': `#!/bin/sh\n${saysVersion('3.6.4')}\n`,
      'controller-tools/envtest/kube-apiserver': `#!/bin/sh\n${saysVersion('1.34.1')}\n`,
      'controller-tools/envtest/kubectl': `#!/bin/sh\n${saysVersion('1.34.1')}\n`,
    });
    origin.files.set(ENVTEST_PATH, archive);
    const pinned: Archive = {
      ...TOOLS.etcd.download.archive,
      checksum: { kind: 'pinned', algorithm: 'sha512', digests: { [PLATFORM]: digest('sha512', archive) } },
    };
    const repin = (tool: Tool): Tool => ({ ...tool, download: { ...tool.download, archive: pinned } });
    const table = {
      etcd: repin(TOOLS.etcd),
      'kube-apiserver-1.34': repin(TOOLS['kube-apiserver-1.34']),
      kubectl: repin(TOOLS.kubectl),
    };
    const env = { ...place.env, KEYTURN_KUBECTL: place.script('mine', saysVersion('1.34.0')) };
    const settings = settingsFrom(table, { ...place.options, env });
    const paths = [await locate('kube-apiserver-1.34', settings), await locate('etcd', settings)];
    expect(paths).toEqual([
      join(place.cache, 'tools', 'kube-apiserver-1.34', `1.34.1-${PLATFORM}`, 'kube-apiserver'),
      join(place.cache, 'tools', 'etcd', `3.6.4-${PLATFORM}`, 'etcd'),
    ]);
    expect(place.cached().sort()).toEqual([...paths].sort());
    expect(origin.requests).toEqual([ENVTEST_PATH]);
  });

  test('is not even tried for a platform that nothing is pinned for', async () => {
    const settings = {
      ...settingsFrom(TOOLS, place.options),
      platform: { os: 'plan9', arch: 'mips', id: 'plan9-mips' },
    };
    await expect(locate('etcd', settings)).rejects.toThrow('no digest of envtest-1.34.1 is pinned for plan9-mips');
    expect(origin.requests).toEqual([]);
  });
});
